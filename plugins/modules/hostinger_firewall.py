#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The firewall of a virtual machine at Hostinger."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hostinger_firewall
short_description: The firewall of a virtual machine at Hostinger
version_added: 0.1.0
description:
  - Brings the firewall of this name to exactly the rules in O(rules), makes it the machine's active one, brings its rules
    to every machine that uses it, and waits for the real end of each of these actions.
  - Rules have no natural name; the whole rule is its key. A rule that was added or removed by hand in this firewall is
    drift and is put right. Other firewalls are never changed.
  - Hostinger drops all incoming traffic that no rule lets in. All rules are there before the firewall becomes active, and
    it is refused to lock SSH out (see O(ssh_port)).
  - A firewall is never deleted nor taken away from a machine here, since that would leave the machine open.
options:
  name:
    description: Name of the firewall. It is made where there is none of this name.
    type: str
    required: true
  rules:
    description: All rules that the firewall shall have. Each lets something in.
    type: list
    elements: dict
    required: true
    suboptions:
      protocol:
        description:
          - For example V(TCP) or V(UDP); case does not matter.
          - V(SSH), V(HTTP), V(HTTPS), V(MySQL) and V(PostgreSQL) are other words for TCP and the usual port.
        type: str
        required: true
      port:
        description: A port, a range such as V(1024:2048), or V(any). Has no meaning for protocols without ports.
        type: str
        default: any
      source:
        description: An address, a network such as V(203.0.113.0/24), a range of addresses, or V(any).
        type: str
        default: any
  machine:
    description:
      - The virtual machine, by id, host name or address.
      - Without it, only the firewall itself and the machines that use it already are cared for.
    type: str
  ssh_port:
    description:
      - The TCP port that must stay open for somebody, or the module refuses to do anything.
      - V(0) switches this guard off.
    type: int
    default: 22
extends_documentation_fragment:
  - smartercl.smarteros.hostinger
  - smartercl.smarteros.single
  - smartercl.smarteros.single.wait
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Let SSH and the web in, and nothing else
  smartercl.smarteros.hostinger_firewall:
    name: smarteros
    machine: 203.0.113.10
    rules:
      - {protocol: TCP, port: "22"}
      - {protocol: TCP, port: "80"}
      - {protocol: TCP, port: "443"}
      - {protocol: UDP, port: "443"}
"""

RETURN = r"""
firewall:
  description: The firewall at the end, with name, id (0 in check mode before it is made) and synced.
  returned: success
  type: dict
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

import typing as t

from ansible.module_utils.basic import env_fallback

from ansible_collections.smartercl.smarteros.plugins.module_utils import single
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Caller, policy_of, usable
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import hostinger as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import hostinger as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.single import Outcome, finish, module_for

RULE: dict[str, dict[str, t.Any]] = {
    "protocol": {"type": "str", "required": True},
    "port": {"type": "str", "default": api.ANY},
    "source": {"type": "str", "default": api.ANY},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "default": api.URL},
    "token": {
        "type": "str",
        "required": True,
        "no_log": True,
        "fallback": (env_fallback, ["HOSTINGER_API_TOKEN"]),
    },
    "name": {"type": "str", "required": True},
    "rules": {"type": "list", "elements": "dict", "required": True, "options": RULE},
    "machine": {"type": "str"},
    "ssh_port": {"type": "int", "default": 22},
    **single.WAIT_OPTIONS,
}


def work(module: Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    client = api.connect(params, policy_of(module))
    with usable(module, "Hostinger"):
        rules = service.wished_rules(params["rules"])
        _mind_ssh(rules, params["ssh_port"])
        machine = client.machine(params["machine"]) if params["machine"] else None
        if machine is not None and machine.locked and not module.check_mode:  # a run that died may be busy with it
            machine = client.unlocked(machine, single.patience_of(module))
        todo = service.plan_firewall(params["name"], rules, machine, client.firewalls(), client.machines())
    outcome = Outcome(list(todo.changes))
    try:
        if todo.changes and not module.check_mode:
            service.apply_firewall(client, todo, single.patience_of(module), outcome)
        outcome.facts["firewall"] = _told(client, params["name"])
    except ApiError as exc:
        single.failed(module, f"firewall {params['name']}", exc, outcome, client.http.sent)
    finish(module, outcome, client.http.sent)


def _mind_ssh(rules: t.Sequence[api.Rule], port: int) -> None:
    if port and not any(service.lets_in(rule, port) for rule in rules):
        raise ApiError(f"no rule lets TCP port {port} in: this would lock SSH out. Add one, or set ssh_port")


def _told(client: api.Hostinger, name: str) -> dict[str, t.Any]:
    there = client.firewall(name)
    return {"name": name, "id": there.id if there else 0, "synced": bool(there and there.synced)}


def main() -> None:
    """Called by Ansible."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
