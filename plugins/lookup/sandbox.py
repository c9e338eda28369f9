# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Where the embedded sandbox and its VPS are, without a chain of templates: every task of a run asks it several times."""

from __future__ import annotations

DOCUMENTATION = r"""
name: sandbox
author:
  - SmarterCL (@SmarterCL)
version_added: 0.1.0
short_description: Where the embedded sandbox and its VPS are
description:
  - Gives what C(smos sandbox up) has written into the state folder, which is E(SMOS_STATE_DIR), or else C(.smos) of the project.
  - A variable of the environment goes before it, E(SMOS_SANDBOX_URL) or E(SMOS_SANDBOX_SMTP_PORT). Where neither says anything,
    the result is the address that a first sandbox takes.
  - How a VPS is reached is known after C(smos sandbox up --vps); before that, asking for it is an error that says so.
options:
  _terms:
    description:
      - What is asked for.
      - V(url) and V(smtp_port) lead to the providers.
      - V(vps_host), V(vps_port) and V(vps_key) lead to a machine by SSH, V(vps_known_hosts) is the file with the key that it shows.
        V(vps_http_port) and V(vps_https_port) are the ports of V(vps_host) that lead to its ports 80 and 443.
        V(vps_address) is its address among the machines.
      - V(images) is a mapping of components to the images that were built for the sandbox, empty where none were.
    type: list
    elements: str
    choices:
      - url
      - smtp_port
      - vps_host
      - vps_port
      - vps_key
      - vps_known_hosts
      - vps_http_port
      - vps_https_port
      - vps_address
      - images
    required: true
  host:
    description: Which machine is meant.
    type: str
    default: vps1
"""

EXAMPLES = r"""
- name: Say where the sandbox is
  ansible.builtin.debug:
    msg: "{{ lookup('smartercl.smarteros.sandbox', 'url') }}"

- name: Say where the second machine is
  ansible.builtin.debug:
    msg: "{{ lookup('smartercl.smarteros.sandbox', 'vps_port', host='vps2') }}"
"""

RETURN = r"""
_raw:
  description: One value for each term, of V(images) a dictionary, of the others text.
  type: list
  elements: raw
"""

import json
import os
import typing as t
from pathlib import Path

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

USUAL = {"url": "http://127.0.0.1:8321", "smtp_port": "8322"}
# Term → its name in machines.json, which `smos sandbox up --vps` writes
OF_A_MACHINE = {
    "vps_host": "host",
    "vps_port": "port",
    "vps_key": "key",
    "vps_http_port": "http_port",
    "vps_https_port": "https_port",
    "vps_address": "address",
}
KNOWN_HOSTS = "vps_known_hosts"
IMAGES = "images"


class LookupModule(LookupBase):
    """Looks into the state folder in this process."""

    def run(
        self, terms: t.Sequence[t.Any], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[t.Any]:
        """See the documentation."""
        self.set_options(var_options=variables or {}, direct=kwargs)
        has = [*USUAL, *OF_A_MACHINE, KNOWN_HOSTS, IMAGES]
        unknown = [str(term) for term in terms if term not in has]
        if unknown:
            raise AnsibleLookupError(f"{', '.join(unknown)}: a sandbox has {', '.join(has[:-1])} and {has[-1]}")
        folder = _state(variables or {}) / "sandbox"
        return [_found(str(term), folder, self.get_option("host")) for term in terms]


def _found(what: str, folder: Path, host: str) -> t.Any:
    if what in OF_A_MACHINE:
        return str(_machine(folder, host)[OF_A_MACHINE[what]])
    if what == KNOWN_HOSTS:
        return str(folder.resolve() / "vps" / "known_hosts")
    if what == IMAGES:
        return _read(folder / "images.json")
    return _address(what, folder)


def _address(what: str, folder: Path) -> str:
    named = os.environ.get(f"SMOS_SANDBOX_{what.upper()}")
    if named:
        return named
    try:
        return (folder / what).read_text(encoding="utf-8").strip() or USUAL[what]
    except OSError:
        return USUAL[what]


def _machine(folder: Path, host: str) -> dict[str, t.Any]:
    machines = _read(folder / "vps" / "machines.json").get("machines", [])
    found = next((machine for machine in machines if machine.get("name") == host), None)
    if found is None:
        there = ", ".join(str(machine.get("name")) for machine in machines)
        raise AnsibleLookupError(
            f"the sandbox has no VPS {host}{f', only {there}' if there else ''}; "
            f"make it with: smos sandbox up --vps{'' if host == 'vps1' else ' --nodes N'}"
        )
    return t.cast("dict[str, t.Any]", found)


def _read(path: Path) -> dict[str, t.Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise AnsibleLookupError(f"{path} cannot be read: {exc}") from exc
    return found if isinstance(found, dict) else {}


def _state(variables: t.Mapping[str, t.Any]) -> Path:
    named = os.environ.get("SMOS_STATE_DIR")
    return Path(named) if named else _project(variables) / ".smos"


def _project(variables: t.Mapping[str, t.Any]) -> Path:
    """The project's folder. A host that a play adds, and localhost, have no inventory_dir of their own."""
    named = os.environ.get("SMOS_PROJECT_DIR")
    if named:
        return Path(named)
    inventory = variables.get("inventory_dir")
    return Path(str(inventory)).parent.parent if inventory else Path(str(variables.get("playbook_dir", "."))).parent
