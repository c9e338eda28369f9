#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The DNS records of many tenants in one Cloudflare zone."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudflare_dns_records
short_description: DNS records of many tenants in one Cloudflare zone
version_added: 0.1.0
description:
  - Reads the zone once, compares, and sends only what differs, in transactions of up to 200 changes.
  - Every record that it makes bears the owner mark V(smarteros:<rut>) in its comment. Records without the mark of the
    tenant in question are never changed or deleted. Where one stands in the way, that tenant fails and stays untouched.
  - There is one record per tenant, name and type.
  - Records of a tenant at the same name whose type excludes the wished one (V(CNAME) beside V(A), for example) are replaced
    in the same transaction. Duplicates of a tenant's own record are cleaned up.
options:
  url:
    description: Where the API starts.
    type: str
    default: https://api.cloudflare.com/client/v4
  token:
    description:
      - API token with Zone Read and DNS Write for the zone.
      - Taken from the environment variable E(CLOUDFLARE_API_TOKEN) when not given.
    type: str
    required: true
  zone:
    description: Name of the zone, for example V(example.com).
    type: str
    required: true
  records:
    description: The records, of any number of tenants.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: RUT of the tenant, for example V(76086428-5).
        type: str
        required: true
      type:
        description: Type of the record.
        type: str
        choices: [A, AAAA, CNAME, TXT]
        default: CNAME
      name:
        description: Full name within the zone, or V(@) for the zone itself. Case and a dot at the end do not matter.
        type: str
        required: true
      content:
        description: Address, host name or text. Needed unless the record shall be absent.
        type: str
      proxied:
        description: Whether traffic passes through Cloudflare. Has no meaning for V(TXT).
        type: bool
        default: false
      ttl:
        description: Life time in seconds, V(1) for automatic. Proxied records are always automatic.
        type: int
        default: 1
      state:
        description:
          - With V(absent), a record of that name and type which bears the tenant's mark is deleted.
          - V(suspended) is like V(present) for a record of a suspended tenant, and only told on in the results.
        type: str
        choices: [present, suspended, absent]
        default: present
  prune:
    description:
      - Also delete the records that bear the mark of a tenant in O(records) and whose name and type is not listed there.
      - Records of tenants that are not in O(records) stay, so a run for one tenant harms no other.
    type: bool
    default: false
extends_documentation_fragment:
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Lead the shops of two tenants to the application
  smartercl.smarteros.cloudflare_dns_records:
    zone: smarterbot.cl
    records:
      - {tenant: 76086428-5, name: acme.smarterbot.cl, type: CNAME, content: app.smarterbot.cl, proxied: true}
      - {tenant: 96790240-3, name: umbrella.smarterbot.cl, type: A, content: 203.0.113.7}

- name: Take a tenant's name away
  smartercl.smarteros.cloudflare_dns_records:
    zone: smarterbot.cl
    records:
      - {tenant: 76086428-5, name: acme.smarterbot.cl, type: CNAME, state: absent}
"""

RETURN = r"""
results:
  description: What became of every tenant, in the order of O(records).
  returned: success
  type: list
  elements: dict
  contains:
    tenant:
      description: RUT of the tenant.
      type: str
      returned: always
    state:
      description: V(ready), V(suspended), V(absent) or V(failed).
      type: str
      returned: always
    changed:
      description: Whether something of this tenant was changed.
      type: bool
      returned: always
    created:
      description: Whether the tenant had no record of ours in the zone before.
      type: bool
      returned: if true
    ref:
      description: The id of each record, by type and name.
      type: dict
      returned: if not empty
      sample: {"CNAME acme.smarterbot.cl": "372e67954025e0ba6aaa6d586b9e0b59"}
    url:
      description: Where the tenant's first name leads.
      type: str
      returned: if not empty
    message:
      description: Why the tenant failed.
      type: str
      returned: if not empty
    changes:
      description: Each difference that was closed (in check mode would be), with action, what, before and after.
      type: list
      elements: dict
      returned: if not empty
    error:
      description: What failed, where, why, and what to do next.
      type: dict
      returned: if not empty
requests:
  description: Number of HTTP requests that were sent.
  returned: success
  type: int
errors:
  description: Why nothing could be attempted, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
"""

import typing as t

from ansible.module_utils.basic import env_fallback

from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import (
    Caller,
    finish,
    module_for,
    policy_of,
    usable,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import cloudflare as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import cloudflare as service

RECORD: dict[str, dict[str, t.Any]] = {
    "tenant": {"type": "str", "required": True},
    "type": {"type": "str", "choices": ["A", "AAAA", "CNAME", "TXT"], "default": "CNAME"},
    "name": {"type": "str", "required": True},
    "content": {"type": "str"},
    "proxied": {"type": "bool", "default": False},
    "ttl": {"type": "int", "default": 1},
    "state": {"type": "str", "choices": ["present", "suspended", "absent"], "default": "present"},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "default": api.URL},
    "token": {
        "type": "str",
        "required": True,
        "no_log": True,
        "fallback": (env_fallback, ["CLOUDFLARE_API_TOKEN"]),
    },
    "zone": {"type": "str", "required": True},
    "records": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": RECORD,
        "required_if": [("state", "present", ("content",)), ("state", "suspended", ("content",))],
    },
    "prune": {"type": "bool", "default": False},
}


def work(module: Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    if not params["records"]:
        finish(module, [], 0)
    with usable(module, "Cloudflare"):
        client = api.connect(params, policy_of(module))
        records = client.records()
    wishes, bad = service.wishes_of(params["records"], params["zone"])
    todos = service.plan(wishes, records, bad, params["prune"])
    sent: service.Sent = {}
    if not module.check_mode:
        sent = service.apply(client, wishes, todos, params["prune"], params["concurrency"])
    finish(module, service.results(todos, sent), client.http.sent)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
