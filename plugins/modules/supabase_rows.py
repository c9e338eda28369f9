#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The rows of many tenants in one Supabase project."""

from __future__ import annotations

DOCUMENTATION = r"""
module: supabase_rows
short_description: Rows of many tenants in one Supabase project
version_added: 0.1.0
description:
  - Reads C(tenants), C(tenant_settings) and C(tenant_services) through the data API, compares, and upserts only what differs,
    in batches.
  - A tenant's settings whose keys begin with V(app.) are its own and never touched; so are its members.
  - One tenant's rows that the database refuses fail that tenant alone.
  - The tables are made by M(smartercl.smarteros.supabase_migrations). In check mode a project without them counts as empty.
options:
  tenants:
    description: The tenants, each at most once.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: The tenant's id, its canonical RUT.
        type: str
        required: true
      row:
        description: Columns of its row in C(tenants). Needed unless it shall be suspended, deleted or absent.
        type: dict
        suboptions:
          slug:
            description: Its slug.
            type: str
            required: true
          name:
            description: Its name.
            type: str
            required: true
          domain:
            description: Its host name in the zone.
            type: str
            required: true
          custom_domain:
            description: A host name of its own.
            type: str
          plan:
            description: Its plan.
            type: str
            required: true
          template:
            description: The template that it was made from.
            type: str
            default: default
          industry:
            description: What it does.
            type: str
            default: ''
          owner_name:
            description: Name of its owner.
            type: str
            default: ''
          owner_email:
            description: E-mail address of its owner.
            type: str
            default: ''
          owner_phone:
            description: Telephone number of its owner.
            type: str
            default: ''
      settings:
        description: Settings by key; each value is anything that JSON can hold. Other keys stay as they are.
        type: dict
        default: {}
      services:
        description:
          - State of every service, V(enabled) or V(disabled).
          - Services that are not named are taken out, unless none is named.
        type: dict
        default: {}
      state:
        description:
          - V(present) makes the rows so, and opens a tenant that was suspended or deleted.
          - V(suspended) and V(deleted) only write the status, with which every policy closes; all data stay.
          - V(absent) removes the tenant's files and its row with all that hangs on it; audit events stay without its name.
          - V(disabled) does nothing but to say so.
        type: str
        choices: [present, suspended, deleted, absent, disabled]
        default: present
      deleted_at:
        description: When it was deleted, ISO 8601. Needed for V(deleted).
        type: str
      reason:
        description: What to report beside the state.
        type: str
        default: ''
extends_documentation_fragment:
  - smartercl.smarteros.supabase
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Bring one tenant's rows to what is wished
  smartercl.smarteros.supabase_rows:
    url: https://abcdefghijklmnopqrst.supabase.co
    tenants:
      - tenant: 76086428-5
        row: {slug: acme, name: Acme Corp, domain: acme.smarterbot.cl, plan: starter}
        settings:
          locale: {timezone: America/Santiago, currency: CLP}
        services: {odoo: enabled, metabase: disabled}

- name: Close its logins
  smartercl.smarteros.supabase_rows:
    url: https://abcdefghijklmnopqrst.supabase.co
    tenants:
      - {tenant: 76086428-5, state: suspended}
"""

RETURN = r"""
results:
  description:
    - What became of each tenant, in the order of O(tenants), without what is empty.
    - The state is V(ready), V(suspended), V(absent), V(disabled) or V(failed).
  returned: success
  type: list
  elements: dict
  sample:
    - tenant: 76086428-5
      state: ready
      changed: true
      changes:
        - {action: update, what: tenant row 76086428-5, before: {plan: free}, after: {plan: starter}}
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

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, supabase_options
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import supabase as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import supabase_rows as service

ROW: dict[str, dict[str, t.Any]] = {
    "slug": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "domain": {"type": "str", "required": True},
    "custom_domain": {"type": "str"},
    "plan": {"type": "str", "required": True},
    "template": {"type": "str", "default": "default"},
    "industry": {"type": "str", "default": ""},
    "owner_name": {"type": "str", "default": ""},
    "owner_email": {"type": "str", "default": ""},
    "owner_phone": {"type": "str", "default": ""},
}
TENANT: dict[str, dict[str, t.Any]] = {
    "tenant": {"type": "str", "required": True},
    "row": {"type": "dict", "options": ROW},
    "settings": {"type": "dict", "default": {}},
    "services": {"type": "dict", "default": {}},
    "state": {
        "type": "str",
        "choices": ["present", "suspended", "deleted", "absent", "disabled"],
        "default": "present",
    },
    "deleted_at": {"type": "str"},
    "reason": {"type": "str", "default": ""},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    **supabase_options.DATA,
    "tenants": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": TENANT,
        "required_if": [("state", "present", ("row",)), ("state", "deleted", ("deleted_at",))],
    },
}


def work(module: bulk.Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    bulk.one_per_tenant(module, "tenants")
    wishes = [service.wish_of(item) for item in module.params["tenants"]]
    with bulk.usable(module, "Supabase"):
        client = api.connect(module.params, bulk.policy_of(module))
        seen = service.observe(client, wishes, foretell=module.check_mode)
    todos = service.plan(wishes, seen)
    concurrency = module.params["concurrency"]
    results = service.foretold(todos) if module.check_mode else service.apply(client, todos, concurrency)
    bulk.finish(module, results, client.sent)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(bulk.module_for(OPTIONS))


if __name__ == "__main__":
    main()
