"""A bulk module gives the same result in the controller's process and as a module in a process of its own."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.instance import ACME, ROOT, SERVICES, Done, Instance

COLLECTION = "smartercl.smarteros."
RECORD = f"{COLLECTION}tenant_record"
# Their roles call these at other times than when a tenant is worked on
FURTHER: dict[str, dict[str, Any]] = {
    "vercel_projects": {
        "url": "{{ vercel_url }}",
        "token": "{{ vercel_token }}",
        "team": "{{ vercel_team }}",
        "projects": [
            {
                "name": "smarteros-new",
                "framework": "nextjs",
                "environment": [{"key": "A", "value": "a-value-that-is-secret"}],
            }
        ],
    },
    "vercel_deployments": {
        "url": "{{ vercel_url }}",
        "token": "{{ vercel_token }}",
        "team": "{{ vercel_team }}",
        "environment": "sandbox",
        "poll": 0,
        "health_url": "{{ vercel_health_url }}",
        "frontends": [
            {
                "service": "docs",
                "project": "smarteros-docs",
                "git": "github:smartercl/docs",
                "ref": "v0.2.0",
                "domain": "docs.smarterbot.cl",
                "environment": [{"key": "A", "value": "a-value-that-is-secret"}],
            }
        ],
    },
    "cloudflare_zone_records": {
        "url": "{{ cloudflare_url }}",
        "token": "{{ cloudflare_token }}",
        "zone": "{{ cloudflare_zone }}",
        "records": [{"type": "TXT", "name": "_dmarc", "content": "v=DMARC1; p=none"}],
    },
    "token_check": {},  # all providers of the catalogue
}
ONLY_OF_MODULES = ("invocation", "failed", "warnings", "deprecations")  # what Ansible adds to a module's own answer


def bulk_modules() -> set[str]:
    """The modules that have both ways."""
    files = (ROOT / "plugins" / "action").glob("*.py")
    return {path.stem for path in files if "(BulkAction)" in path.read_text(encoding="utf-8")}


def tasks_of(service: str) -> list[dict[str, Any]]:
    """The calls of bulk modules that a service's role makes for tenants, as the role writes them."""
    tasks = yaml.safe_load((ROOT / "roles" / service / "tasks" / "tenant.yml").read_text(encoding="utf-8"))
    return [task for task in tasks if RECORD not in task]


def calls() -> list[tuple[str, str, dict[str, Any]]]:
    """All calls: the service (whose defaults they need), the module, the task."""
    found = [
        (service, next(key for key in task if key.startswith(COLLECTION)).removeprefix(COLLECTION), task)
        for service in SERVICES
        for task in tasks_of(service)
    ]
    return found + [(name.partition("_")[0], name, {f"{COLLECTION}{name}": FURTHER[name]}) for name in sorted(FURTHER)]


def write_role(folder: Path, service: str, tasks: list[dict[str, Any]]) -> None:
    """A role with the defaults of the service's own one and these tasks."""
    defaults = ROOT / "roles" / service / "defaults" / "main.yml"
    for name in ("defaults", "tasks"):
        (folder / name).mkdir(parents=True)
    if defaults.is_file():
        shutil.copy(defaults, folder / "defaults" / "main.yml")
    (folder / "tasks" / "main.yml").write_text(json.dumps(tasks))


def play(folder: Path) -> Path:
    """A playbook that makes every call twice in check mode, predicted, and writes down what each told."""
    by_service: dict[str, list[dict[str, Any]]] = {}
    names = []
    for number, (service, module, task) in enumerate(calls()):
        for way, environment in (("here", {}), ("apart", {"APART": "1"})):
            name = f"{module}__{number}__{way}"
            names.append(name)
            told = {"name": name, "register": name, "check_mode": True, "environment": environment}
            by_service.setdefault(service, []).append({**task, **told})
    for service, tasks in by_service.items():
        write_role(folder / "roles" / f"calls_{service}", service, tasks)
    everything = "{{ {" + ", ".join(f"'{name}': {name}" for name in names) + "} | to_json }}"
    copy = {"content": everything, "dest": str(folder / "told.json"), "mode": "0600"}
    document = {
        "hosts": ACME.slug,
        "gather_facts": False,
        "vars": {"smos_tenants": [ACME.slug]},
        "roles": [f"calls_{service}" for service in by_service],
        "post_tasks": [{"ansible.builtin.copy": copy}],
    }
    book = folder / "play.yml"
    book.write_text(json.dumps([document]))
    return book


def run(smos: Instance, book: Path) -> Done:
    """Run a playbook of this file's making with plain Ansible."""
    roles = str(book.parent / "roles")
    return smos.play(str(book), "-vvv", ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), ANSIBLE_ROLES_PATH=roles)


def answer(told: dict[str, Any]) -> dict[str, Any]:
    """What a module told. Of tokens only the verdicts: in a process of its own all of a connection is taken as secret."""
    if "providers" in told:
        return {name: (row["state"], row["missing_scopes"]) for name, row in told["providers"].items()}
    return {key: value for key, value in told.items() if key not in ONLY_OF_MODULES}


def test_every_bulk_module_is_called() -> None:
    assert {module for _service, module, _task in calls()} == bulk_modules()


def test_both_ways_foretell_the_same(smos: Instance, tmp_path: Path) -> None:
    smos.up()
    smos.add_files([ACME])
    last = smos.seen()
    done = run(smos, play(tmp_path))
    assert done.code == 0, done
    assert smos.writes(last) == []
    # Each was a process of its own one time, and not the other
    processes = Counter(re.findall(r"Using module file \S+/smarteros/plugins/modules/(\w+)\.py", done.out))
    assert processes == Counter(module for _service, module, _task in calls())
    told = json.loads((tmp_path / "told.json").read_text())
    active = set()
    for number, (_service, module, _task) in enumerate(calls()):
        here, apart = (told[f"{module}__{number}__{way}"] for way in ("here", "apart"))
        assert answer(here) == answer(apart), module
        active |= {module} if here["changed"] else set()
    assert active == bulk_modules() - {"token_check"}


@pytest.mark.parametrize("environment", [{}, {"APART": "1"}], ids=["here", "apart"])
def test_bad_arguments_are_refused_both_ways(smos: Instance, tmp_path: Path, environment: dict[str, str]) -> None:
    smos.up()
    smos.add_files([ACME])
    task = {f"{COLLECTION}odoo_companies": {"companies": "nonsense"}, "environment": environment}
    book = tmp_path / "play.yml"
    book.write_text(json.dumps([{"hosts": ACME.slug, "gather_facts": False, "tasks": [task]}]))
    done = run(smos, book)
    assert done.code == 2, done
    assert "companies" in done.out
