"""A bulk module gives the same result in the controller's process and as a module in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support.instance import ACME, ROOT, Instance

SERVICES = {
    "cloudflare_dns_records": ("records", "cloudflare_dns_records(cloudflare_zone, 'app.' ~ cloudflare_zone)"),
    "odoo_companies": ("companies", "odoo_companies"),
    "odoo_users": ("users", "odoo_users"),
}
CONNECTIONS = {
    "cloudflare_dns_records": ("url", "token", "zone"),
    "odoo_companies": ("url", "database", "login", "secret"),
    "odoo_users": ("url", "database", "login", "secret"),
}


def play(module: str, folder: Path, apart: bool) -> list[dict[str, Any]]:
    """A play that calls the module twice in check mode: predicted, and written to a file."""
    option, through = SERVICES[module]
    provider = module.partition("_")[0]
    arguments = {name: f"{{{{ {provider}_{name} }}}}" for name in CONNECTIONS[module]}
    tenants = "query('smartercl.smarteros.tenants', ['acme'])"
    arguments[option] = f"{{{{ {tenants} | smartercl.smarteros.{through} }}}}"
    task: dict[str, Any] = {f"smartercl.smarteros.{module}": arguments, "register": "told", "check_mode": True}
    if apart:
        task["environment"] = {"APART": "1"}
    copy = {"content": "{{ told | to_json }}", "dest": str(folder / f"{module}-{apart}.json"), "mode": "0600"}
    return [{"hosts": "acme", "gather_facts": False, "tasks": [task, {"ansible.builtin.copy": copy}]}]


@pytest.mark.parametrize("module", sorted(SERVICES))
def test_both_ways_foretell_the_same(smos: Instance, tmp_path: Path, module: str) -> None:
    smos.up()
    smos.add_files([ACME])
    results = []
    for apart in (False, True):
        playbook = tmp_path / f"play-{apart}.yml"
        playbook.write_text(json.dumps(play(module, tmp_path, apart)))
        command = ["ansible-playbook", "-i", "inventories/sandbox", str(playbook)]
        variables = {**smos.variables, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads((tmp_path / f"{module}-{apart}.json").read_text())
        results.append({key: told[key] for key in ("changed", "results", "diff", "requests")})
    in_process, as_module = results
    assert in_process == as_module
    assert in_process["changed"]


def test_bad_arguments_are_refused_both_ways(smos: Instance, tmp_path: Path) -> None:
    smos.up()
    smos.add_files([ACME])
    for environment in ({}, {"APART": "1"}):
        task = {"smartercl.smarteros.odoo_companies": {"companies": "nonsense"}, "environment": environment}
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps([{"hosts": "acme", "gather_facts": False, "tasks": [task]}]))
        command = ["ansible-playbook", "-i", "inventories/sandbox", str(playbook)]
        done = subprocess.run(command, cwd=ROOT, env=smos.variables, capture_output=True, text=True)
        assert done.returncode == 2
        assert "companies" in done.stdout
