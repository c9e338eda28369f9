"""How fast is it? Measures runs over many tenants against the sandbox, and prints one table with goals and figures.

    python tests/load/tenants.py                 # 1,000 tenants, a quarter of an hour
    python tests/load/tenants.py --smoke         # small sizes: only whether it still works

Times are never asserted: machines differ. It fails when a result is wrong. Everything happens in a temporary folder,
with specs, state and sandbox of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "collections"), str(ROOT / "tests")]

import yaml

from smos.sandbox import server
from support.instance import SERVICES, TOOLS, ZONE, Instance, Shop, instance, shop

EMPTY_PLAY = "- hosts: localhost\n  gather_facts: false\n  tasks: []\n"
CONTROL_PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: One record after the other
      cloudflare_dns:
        zone: "{{ zone }}"
        record: "{{ item }}"
        type: CNAME
        value: "app.{{ zone }}"
        proxied: true
        api_token: sandbox-cloudflare-token
        state: present
      loop: "{{ names }}"
"""
OUR_PLAY = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: All records at once
      smartercl.smarteros.cloudflare_dns_records:
        url: "{{ cloudflare_url }}"
        token: sandbox-cloudflare-token
        zone: "{{ zone }}"
        records: "{{ records }}"
"""


class WrongResult(Exception):
    """A run did not do what it should have done; the message says what."""


@dataclass
class Table:
    """What was measured, line by line; printed at once, so that a broken-off run still tells something."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, what: str, goal: str, figure: str) -> None:
        """One line."""
        self.rows.append((what, goal, figure))
        print(f"  {what}: {figure}", file=sys.stderr, flush=True)

    def __str__(self) -> str:
        head = ("what", "goal", "figure")
        widths = [max(len(row[column]) for row in (head, *self.rows)) for column in range(3)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (head, *self.rows)
        ]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything and print the table; gives the exit code."""
    options = _options(arguments)
    table = Table()
    try:
        with tempfile.TemporaryDirectory(prefix="smos-load-") as folder:
            for part in (_one_tenant, _a_hundred, _many_tenants, _many_with_latency, _control, _looks):
                with instance(Path(folder) / part.__name__) as smos:
                    part(smos, options, table)
    except WrongResult as wrong:
        print(f"WRONG RESULT: {wrong}", file=sys.stderr)
        return 1
    finally:
        print(f"\nload, {os.cpu_count()} cores, Python {sys.version.split()[0]}\n{table}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=1000, help="tenants of the runs over many (default 1000)")
    parser.add_argument("--hundred", type=int, default=100, help="tenants of the run over some (default 100)")
    parser.add_argument("--latency", type=float, default=50.0, help="milliseconds that each answer takes (default 50)")
    parser.add_argument("--control", type=int, default=100, help="DNS records of the comparison; 0 leaves it out")
    parser.add_argument("--listed", type=int, default=10_000, help="tenants of `tenant list` (default 10000)")
    parser.add_argument("--smoke", "--quick", action="store_true", help="small sizes, for every run of the tests")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.tenants, options.hundred, options.latency, options.control, options.listed = 12, 5, 20.0, 3, 200
    return options


# --- parts


def _one_tenant(smos: Instance, options: argparse.Namespace, table: Table) -> None:
    smos.up()
    turns = 1 if options.smoke else 3
    walls = []
    for number in range(turns):
        wall, _done = _run(smos, "create", "tenant", *shop(number).words)
        walls.append(wall)
    _complete(smos, [shop(number) for number in range(turns)])
    starts = [_timed(lambda: _play(smos, EMPTY_PLAY)) for _turn in range(turns)]
    what = f"create 1 tenant, {len(SERVICES)} services (median of {turns})"
    table.add(what, "6 s", f"{statistics.median(walls):.2f} s")
    table.add("… of which Ansible's start (an empty play)", "1.5 s", f"{statistics.median(starts):.2f} s")


def _many_tenants(smos: Instance, options: argparse.Namespace, table: Table) -> None:
    smos.up()
    shops = [shop(number) for number in range(options.tenants)]
    smos.add_files(shops)
    count = f"{options.tenants} tenants"
    wall, _done = _run(smos, "tenant", "apply")
    asked = _requests(smos)
    _complete(smos, shops)
    table.add(f"first run of {count}, no latency", "", f"{wall:.1f} s, {sum(asked.values())} requests")
    table.add("… requests per tenant", "", _per_tenant(asked, options.tenants))

    last = smos.seen()
    wall, done = _run(smos, "tenant", "apply")
    asked = _requests(smos, last)
    if done["changed"] or smos.writes(last):
        raise WrongResult("the second run changed something")
    table.add(f"second run of {count} (no change)", "20 s", f"{wall:.1f} s, {sum(asked.values())} requests")
    table.add("… requests by provider", "pages", ", ".join(f"{name} {count}" for name, count in asked.items()))


def _a_hundred(smos: Instance, options: argparse.Namespace, table: Table) -> None:
    smos.up()
    shops = [shop(number) for number in range(options.hundred)]
    smos.add_files(shops)
    wall, _done = _run(smos, "tenant", "apply")
    asked = _requests(smos)
    _complete(smos, shops)
    table.add(
        f"first run of {options.hundred} tenants, no latency", "20 s", f"{wall:.1f} s, {sum(asked.values())} requests"
    )
    for job in ("suspend", "resume"):
        given = json.dumps({"tenant_id": [each.slug for each in shops]})
        wall = _timed(partial(_played, smos, f"{job}_tenant.yml", given))
        table.add(f"{job} {options.hundred} tenants", "", f"{wall:.1f} s")


def _many_with_latency(smos: Instance, options: argparse.Namespace, table: Table) -> None:
    smos.up(latency_ms=options.latency)
    shops = [shop(number) for number in range(options.tenants)]
    smos.add_files(shops)
    wall, _done = _run(smos, "tenant", "apply")
    asked = _requests(smos)
    _complete(smos, shops)
    waiting = sum(number * options.latency / 1000 / _concurrency(name) for name, number in asked.items())
    what = f"first run of {options.tenants} tenants, {options.latency:g} ms latency"
    table.add(what, f"{1.5 * waiting + 10:.1f} s", f"{wall:.1f} s, {sum(asked.values())} requests")
    at_once = ", ".join(f"{name} {_concurrency(name)}" for name in asked)
    table.add("… sum of requests * latency ÷ concurrency", "", f"{waiting:.1f} s ({at_once} at once)")


def _control(smos: Instance, options: argparse.Namespace, table: Table) -> None:
    """The same DNS records, made by a loop over community.general's module and by one call of ours."""
    if not options.control:
        return
    sandbox = smos.up()
    library = _control_library(smos.home / "control", sandbox.provider_url("cloudflare"))
    shops = [shop(number) for number in range(options.control)]
    start = min(_timed(lambda: _play(smos, EMPTY_PLAY)) for _turn in range(2))

    variables: dict[str, Any] = {"zone": ZONE, "cloudflare_url": sandbox.provider_url("cloudflare")}
    variables["names"] = [each.domain for each in shops]
    looped = _timed(lambda: _play(smos, CONTROL_PLAY, variables, **library))
    loop_requests = sum(_requests(smos).values())
    made = _records(smos, shops)

    server.reset(smos.sandbox, "cloudflare")
    last = smos.seen()
    variables["records"] = [
        {"tenant": each.rut, "name": each.domain, "type": "CNAME", "content": f"app.{ZONE}", "proxied": True}
        for each in shops
    ]
    bulk = _timed(lambda: _play(smos, OUR_PLAY, variables))
    bulk_requests = sum(_requests(smos, last).values())
    if _records(smos, shops) != made or len(made) != options.control:
        raise WrongResult("the two ways did not make the same records")
    what = f"{options.control} DNS records"
    table.add(f"{what}: loop over community.general.cloudflare_dns", "", f"{looped:.1f} s, {loop_requests} requests")
    table.add(f"{what}: one call of cloudflare_dns_records", "", f"{bulk:.2f} s, {bulk_requests} requests")
    table.add("… ratio, without Ansible's start", "50 times", f"{(looped - start) / max(bulk - start, 0.01):.0f} times")
    table.add("… ratio of the whole plays", "", f"{looped / bulk:.0f} times")


def _looks(smos: Instance, options: argparse.Namespace, table: Table) -> None:
    shops = [shop(number) for number in range(options.listed)]
    smos.add_files(shops)
    count = f"{options.listed} tenants"
    cold, listed = _run(smos, "tenant", "list")
    if len(listed["result"]["tenants"]) != options.listed:
        raise WrongResult(f"`tenant list` shows {len(listed['result']['tenants'])} of {count}")
    table.add(f"`tenant list` of {count}, first time", "", f"{cold:.2f} s")
    warm = statistics.median(_run(smos, "tenant", "list")[0] for _turn in range(3))
    table.add(f"`tenant list` of {count}", "0.5 s", f"{warm:.2f} s")
    shown = statistics.median(_run(smos, "tenant", "show", shops[-1].slug)[0] for _turn in range(3))
    table.add(f"`tenant show` of one of {count}", "0.5 s", f"{shown:.2f} s")
    launcher = ROOT / "smos"
    if (ROOT / ".smos/venv/made-for").is_file() and "SMOS_STATE_DIR" not in os.environ:
        line, name = [str(launcher), "--help"], "./smos --help"
    else:
        line, name = [sys.executable, "-P", "-m", "smos", "--help"], "smos --help (without the launcher)"
    _timed(lambda: _help(line, smos))
    helped = statistics.median(_timed(lambda: _help(line, smos)) for _turn in range(5))
    table.add(f"`{name}`", "0.2 s", f"{helped:.2f} s")


# --- helpers


def _timed(work: Callable[[], object]) -> float:
    """Wall seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _run(smos: Instance, *args: str) -> tuple[float, dict[str, Any]]:
    """Wall seconds and document of a command that must end with 0."""
    began = time.perf_counter()
    done = smos.run(*args, "--json", timeout=7200)
    wall = time.perf_counter() - began
    if done.code != 0:
        raise WrongResult(str(done))
    return wall, done.document


def _played(smos: Instance, playbook: str, given: str) -> None:
    done = smos.play(playbook, "-e", given, timeout=7200)
    if done.code != 0:
        raise WrongResult(str(done))


def _help(line: list[str], smos: Instance) -> None:
    variables = {name: value for name, value in smos.variables.items() if not name.startswith(("SMOS_", "PYTHONPATH"))}
    variables = smos.variables if line[0] == sys.executable else variables
    subprocess.run(line, check=True, capture_output=True, env=variables)


def _play(smos: Instance, text: str, variables: dict[str, Any] | None = None, **environment: str) -> None:
    """Run a small playbook with our inventory."""
    playbook = smos.home / "play.yml"
    playbook.write_text(text)
    given = smos.home / "play.json"
    given.write_text(json.dumps(variables or {}))
    line = [str(TOOLS / "ansible-playbook"), "-i", str(ROOT / "inventories/sandbox"), str(playbook), "-e", f"@{given}"]
    done = subprocess.run(
        line, cwd=ROOT, env={**smos.variables, **environment}, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        raise WrongResult(
            f"{playbook.name} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )


def _control_library(folder: Path, url: str) -> dict[str, str]:
    """community.general with the address of Cloudflare's API in its module replaced; gives the variables to use it."""
    fetched = subprocess.run(
        [sys.executable, str(ROOT / "tests/tools/ansible_package.py")], check=True, stdout=subprocess.PIPE, text=True
    )
    collections = Path(fetched.stdout.strip())
    module = next(collections.rglob("community/general/plugins/modules/cloudflare_dns.py"))
    real = "https://api.cloudflare.com/client/v4"
    text = module.read_text(encoding="utf-8")
    if real not in text:
        raise WrongResult(f"{module} does not name {real}: the control would leave this machine")
    folder.mkdir()
    (folder / "cloudflare_dns.py").write_text(text.replace(real, url), encoding="utf-8")
    paths = os.pathsep.join([str(ROOT / "collections"), str(collections)])
    return {"ANSIBLE_LIBRARY": str(folder), "ANSIBLE_COLLECTIONS_PATH": paths}


def _records(smos: Instance, shops: Sequence[Shop]) -> list[tuple[object, ...]]:
    """The DNS records of these shops, without what only we write (the owner's mark)."""
    names = {each.domain for each in shops}
    rows = [row for row in smos.content()["cloudflare_records"] if row["name"] in names]
    return sorted(((row["name"], row["type"], row["content"], row["proxied"]) for row in rows), key=repr)


def _requests(smos: Instance, since: int = 0) -> dict[str, int]:
    """How many requests each provider got after that one."""
    counts = {
        name: server.requests(smos.sandbox, provider=name, since=since, limit=0)["matching"]
        for name in sorted(server.BASES)
    }
    return {name: count for name, count in counts.items() if count}


def _per_tenant(asked: dict[str, int], tenants: int) -> str:
    return ", ".join(f"{name} {number / tenants:.2f}" for name, number in asked.items())


def _concurrency(provider: str) -> int:
    """How many requests a role sends at once by default."""
    role = "whatsapp" if provider == "smtp" else provider  # one role writes by both ways
    defaults = yaml.safe_load((ROOT / f"roles/{role}/defaults/main.yml").read_text(encoding="utf-8"))
    return int(defaults.get(f"{provider}_concurrency", 1))


def _complete(smos: Instance, shops: Sequence[Shop]) -> None:
    """Every tenant is active and has exactly one of everything."""
    wrong = smos.inventory().wrong(each.rut for each in shops)
    if wrong:
        raise WrongResult("; ".join(wrong[:5]))
    waiting = [rut for rut, phase in smos.phases().items() if phase != "active"]
    if waiting:
        raise WrongResult(f"{len(waiting)} tenants are not active, {waiting[0]} for one")


if __name__ == "__main__":
    sys.exit(main())
