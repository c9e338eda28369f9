#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Records of a DNS zone at Hostinger."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hostinger_dns_records
short_description: Records of a DNS zone at Hostinger
version_added: 0.1.0
description:
  - For installations whose zone is not at Cloudflare. Refuses a domain that Hostinger's name servers do not answer for,
    since records there would have no effect; see O(force).
  - An item is a record set, which is a name, a type and values. Values of the set that the item does not name belong to
    somebody else and stay, unless the item says O(records[].solo=true). Sets that no item names are never touched.
  - Hostinger judges every change before the first one is written, also in check mode.
  - Where it could only be done with the loss of a record that is switched off, the module refuses.
options:
  zone:
    description: The domain, for example V(example.com).
    type: str
    required: true
  records:
    description: The record sets.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name, relative to the zone or in full. V(@) is the zone itself.
        type: str
        required: true
      type:
        description: Type of the records.
        type: str
        choices: [A, AAAA, CNAME, ALIAS, MX, TXT, NS, SRV, CAA]
        required: true
      values:
        description:
          - The values, for example addresses or host names.
          - MX and SRV begin with their numbers, as in V(10 mail.example.com).
        type: list
        elements: str
        required: true
      ttl:
        description: Life time in seconds, of the whole set. Without it, that of the set stays, or Hostinger chooses.
        type: int
      state:
        description: With V(absent), these values are taken away.
        type: str
        choices: [present, absent]
        default: present
      solo:
        description: Whether the set is ours alone, so that every other value of it goes.
        type: bool
        default: false
  force:
    description: Whether to write although Hostinger's name servers do not answer for the domain (before a move, for example).
    type: bool
    default: false
extends_documentation_fragment:
  - smartercl.smarteros.hostinger
  - smartercl.smarteros.single
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Lead the names of the system to its machine
  smartercl.smarteros.hostinger_dns_records:
    zone: smarterbot.cl
    records:
      - {name: "@", type: A, values: [203.0.113.10], solo: true}
      - {name: "*", type: A, values: [203.0.113.10], solo: true}
      - {name: "@", type: TXT, values: ["v=spf1 include:example.com ~all"]}
"""

RETURN = r"""
name_servers:
  description: The name servers that the domain is delegated to; empty where the account does not hold it.
  returned: success
  type: list
  elements: str
snapshot_id:
  description: Number of the copy that Hostinger made of the zone at this change, to go back to; 0 where there is none.
  returned: success
  type: int
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
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.hostinger_dns import TYPES, Zone
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import hostinger_dns as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.single import Outcome, finish, module_for

RECORD: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "type": {"type": "str", "choices": list(TYPES), "required": True},
    "values": {"type": "list", "elements": "str", "required": True},
    "ttl": {"type": "int"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "solo": {"type": "bool", "default": False},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "default": api.URL},
    "token": {
        "type": "str",
        "required": True,
        "no_log": True,
        "fallback": (env_fallback, ["HOSTINGER_API_TOKEN"]),
    },
    "zone": {"type": "str", "required": True},
    "records": {"type": "list", "elements": "dict", "required": True, "options": RECORD},
    "force": {"type": "bool", "default": False},
}


def work(module: Caller) -> None:
    """Read, plan, let Hostinger judge, apply unless in check mode, report."""
    params = module.params
    zone = Zone(api.http_for(params, policy_of(module)), params["zone"])
    with usable(module, "Hostinger"):
        wishes = service.wishes_of(params["records"], zone.domain)
        servers = zone.name_servers()
        warning = service.mind_name_servers(zone.domain, servers, params["force"])
        todo = service.plan(wishes, zone.sets())
        service.validate(zone, todo)
        known = zone.snapshots() if todo.changes else []
    outcome = Outcome(todo.changes, warnings=[warning] if warning else [])
    outcome.facts = {"name_servers": servers, "snapshot_id": 0}
    try:
        if todo.changes and not module.check_mode:
            service.apply(zone, wishes, todo, outcome)
            made = [number for number in zone.snapshots() if number not in known]
            outcome.facts["snapshot_id"] = made[0] if made else 0
    except ApiError as exc:
        single.failed(module, f"zone {zone.domain}", exc, outcome, zone.http.sent)
    finish(module, outcome, zone.http.sent)


def main() -> None:
    """Called by Ansible."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
