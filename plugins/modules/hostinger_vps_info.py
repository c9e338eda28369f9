#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A virtual machine of Hostinger as it is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hostinger_vps_info
short_description: Facts of Hostinger's virtual machines
version_added: 0.1.0
description:
  - Reads the virtual machines of the account; all of them, or one by id, host name or address.
options:
  machine:
    description:
      - The virtual machine, by id, host name or address.
      - Without it, all machines of the account are told.
    type: str
extends_documentation_fragment:
  - smartercl.smarteros.hostinger
  - smartercl.smarteros.single
attributes:
  check_mode:
    support: full
    description: Only reads.
  diff_mode:
    support: none
    description: There is nothing to differ.
  idempotent:
    support: full
    description: Only reads.
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Look at the machine of this address
  smartercl.smarteros.hostinger_vps_info:
    machine: 203.0.113.10
  register: vps

- name: Stop unless it runs
  ansible.builtin.assert:
    that: vps.machines[0].state == 'running'
"""

RETURN = r"""
machines:
  description: The machines; exactly one when O(machine) was given.
  returned: success
  type: list
  elements: dict
  contains:
    id:
      description: Hostinger's number of the machine.
      type: int
      returned: always
    hostname:
      description: Host name.
      type: str
      returned: always
    state:
      description: For example V(running), V(stopped) or V(recovery).
      type: str
      returned: always
    locked:
      description: Whether something is under way on it; it takes no other action meanwhile.
      type: bool
      returned: always
    firewall:
      description: Name of the active firewall, empty without one.
      type: str
      returned: always
    firewall_id:
      description: Number of the active firewall.
      type: int
      returned: always
    ipv4:
      description: Its IPv4 addresses.
      type: list
      elements: str
      returned: always
    ipv6:
      description: Its IPv6 addresses.
      type: list
      elements: str
      returned: always
    plan:
      description: Name of the plan.
      type: str
      returned: always
    cpus:
      description: Number of processors.
      type: int
      returned: always
    memory_mb:
      description: Memory in megabytes.
      type: int
      returned: always
    disk_mb:
      description: Disk in megabytes.
      type: int
      returned: always
    traffic_mb:
      description: Traffic per month in megabytes.
      type: int
      returned: always
    template:
      description: Name of the operating system's template.
      type: str
      returned: always
    created_at:
      description: When it was made, ISO 8601.
      type: str
      returned: always
    snapshot:
      description: Its snapshot with C(created_at) and C(expires_at); empty without one. Only when O(machine) was given.
      type: dict
      returned: when O(machine) is given
changes:
  description: Each difference that was closed (in check mode would be), with action, what, before and after.
  returned: always
  type: list
  elements: dict
message:
  description: What was found or done, in a sentence.
  returned: always
  type: str
requests:
  description: Number of HTTP requests that were sent.
  returned: always
  type: int
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(3) when nothing was attempted, V(1) when something was.
  returned: failure
  type: int
"""

import dataclasses
import typing as t

from ansible.module_utils.basic import env_fallback

from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Caller, policy_of, usable
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import hostinger as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.single import Outcome, finish, module_for

OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "default": api.URL},
    "token": {
        "type": "str",
        "required": True,
        "no_log": True,
        "fallback": (env_fallback, ["HOSTINGER_API_TOKEN"]),
    },
    "machine": {"type": "str"},
}


def work(module: Caller) -> None:
    """Read and report."""
    params = module.params
    client = api.connect(params, policy_of(module))
    with usable(module, "Hostinger"):
        one = params["machine"]
        machines = [client.machine(one)] if one else client.machines()
        names = {each.id: each.name for each in client.firewalls()}
        rows = [_told(each, names) for each in machines]
        if one:
            there = client.snapshot(machines[0])
            rows[0]["snapshot"] = {"created_at": there.created_at, "expires_at": there.expires_at} if there else {}
    outcome = Outcome(facts={"machines": rows}, message=f"{len(rows)} virtual machines")
    finish(module, outcome, client.http.sent)


def _told(machine: api.Machine, firewalls: t.Mapping[int, str]) -> dict[str, t.Any]:
    row = dataclasses.asdict(machine)
    number = row.pop("firewall")
    return {**row, "firewall_id": number, "firewall": firewalls.get(number, "") if number is not None else ""}


def main() -> None:
    """Called by Ansible."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
