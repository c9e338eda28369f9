# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How fast the zone is with many records: prints a table of what was measured beside what is aimed at.

    python tests/load/dns.py [--records 5000] [--smoke]

Specs with that many records of the system, and a zone of the sandbox with as many of others beside them. Everything
happens in a temporary folder. Times are wall clock seconds; each row with "process" in it includes the start of
ansible-playbook. The exit code is 1 when an aim is missed; ``--smoke`` takes few records and aims at nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "src"), str(PROJECT / "collections"), str(PROJECT / "tests")]

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import cloudflare as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import zone_records
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import rules, zone_wishes
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import specs as spec_files
from support.instance import ZONE, Done, Instance, instance
from support.sandbox_api import ByHand

RECORDS, SMOKE = 5_000, 50
PLAN_S, BATCH = 5.0, 200


class Measured(NamedTuple):
    """One row: what, how many seconds, and what is aimed at."""

    what: str
    value: float
    aim: float | None = None


@contextmanager
def timed() -> Iterator[Callable[[], float]]:
    """Give a function that says how long the block has taken."""
    began = time.perf_counter()
    yield lambda: time.perf_counter() - began


def wish(smos: Instance, records: int) -> None:
    """Add records of several types to the specs."""
    path = smos.specs / "infra" / "dns.yml"
    dns = yaml.safe_load(path.read_text())
    makers: list[Callable[[str], dict[str, Any]]] = [
        lambda name: {"type": "A", "name": name, "host": "vps", "proxied": True},
        lambda name: {"type": "CNAME", "name": name, "target": "pages.example.net", "proxied": False},
        lambda name: {"type": "TXT", "name": name, "text": f"proof={name} " + "x" * 300},
        lambda name: {"type": "MX", "name": name, "target": "mx.example.net", "priority": 10},
    ]
    dns["records"] += [makers[n % len(makers)](f"n{n:05d}.docs") for n in range(records)]
    path.write_text(yaml.safe_dump(dns, sort_keys=False))


def others(hand: ByHand, records: int) -> None:
    """Records of tenants and of nobody, as a large zone has."""
    posts = [
        {
            "type": "A",
            "name": f"o{n:05d}.blog",
            "content": "192.0.2.1",
            "ttl": 300,
            "comment": ["", "smarteros:12345678-5"][n % 2],
        }
        for n in range(records)
    ]
    for start in range(0, records, BATCH):
        hand.cloudflare("POST", "dns_records/batch", {"posts": posts[start : start + BATCH]})


def run(smos: Instance, *words: str) -> Done:
    """The playbook; what it says must be good."""
    done = smos.play("zone.yml", *words)
    if done.code:
        raise SystemExit(str(done))
    return done


def in_process(smos: Instance, aim: float | None) -> Iterator[Measured]:
    """What the plan costs without Ansible: specs, listing, comparison."""
    with timed() as whole:
        with timed() as took:
            mistakes = rules.judge_specs(smos.specs, tenants=())
            loaded = spec_files.load(smos.specs)
            yield Measured("specs read and judged", took())
        if mistakes:
            raise SystemExit(str(mistakes[0]))
        with timed() as took:
            made = zone_wishes.of_specs(loaded.dns, {}, lambda _host, _version: "203.0.113.10").records
            wishes = [zone_records.wish_of(record, ZONE) for _place, record in made]
            bad = zone_records.clashes(wishes)
            yield Measured("records made of them", took())
        url = (smos.sandbox / "url").read_text().strip()
        with timed() as took:
            client = api.connect(
                {"url": f"{url}/cloudflare/client/v4", "token": "sandbox-cloudflare-token", "zone": ZONE}
            )
            records = client.records()
            yield Measured(f"zone of {len(records):,} records listed", took())
        with timed() as took:
            plan = zone_records.plan(wishes, records, ZONE, prune=True)
            yield Measured("compared", took())
        yield Measured("plan as a whole, without Ansible", whole(), aim)
    if bad or plan.refusals:
        raise SystemExit(f"{len(bad)} clashes, {len(plan.refusals)} refusals")


def rows(smos: Instance, count: int, aim: float | None) -> Iterator[Measured]:
    """All measurements, from an empty zone on."""
    smos.up()
    wish(smos, count)
    others(ByHand(smos), count)
    yield from in_process(smos, aim)
    with timed() as took:
        run(smos, "--check")
        yield Measured("process: --check, all are to be made", took())
    with timed() as took:
        run(smos)
        yield Measured("process: all are made", took())
    seen = smos.seen()
    with timed() as took:
        run(smos, "--check")
        yield Measured("process: --check, nothing is to be done", took(), aim)
    if smos.writes(seen):
        raise SystemExit("the second plan was not empty")


def table(found: list[Measured]) -> str:
    """The rows as text."""
    width = max(len(row.what) for row in found)
    lines = [f"{'':{width}}  {'measured':>10}  {'aim':>8}"]
    for row in found:
        aim = "" if row.aim is None else f"≤ {row.aim:g} s"
        missed = "MISSED" if row.aim is not None and row.value > row.aim else ""
        lines.append(f"{row.what:{width}}  {row.value:>8.3f} s  {aim:>8}  {missed}".rstrip())
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the zone with many records.")
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--smoke", action="store_true", help="few records, no aims")
    options = parser.parse_args()
    count = SMOKE if options.smoke else options.records
    with tempfile.TemporaryDirectory(prefix="dns-load-") as place, instance(Path(place) / "smos") as smos:
        found = list(rows(smos, count, None if options.smoke else PLAN_S))
    print(f"{count:,} records of the system, {len(os.sched_getaffinity(0))} processors (load {os.getloadavg()[0]:.1f})")
    print(table(found))
    return 0 if all(row.aim is None or row.value <= row.aim for row in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
