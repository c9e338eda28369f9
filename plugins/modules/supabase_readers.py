#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Read-only database roles, one per tenant."""

from __future__ import annotations

DOCUMENTATION = r"""
module: supabase_readers
short_description: Read-only database roles of many tenants
version_added: 0.1.0
description:
  - Makes one role per tenant that may log in, read its own tenant's rows, and do nothing else.
  - The password is derived from a master secret and the tenant's RUT, so that other services can derive it as well. Only its
    SCRAM verifier is sent. It is compared by a fingerprint in the role's comment, which bears the owner mark, too.
  - A role without the mark of the tenant in question is never touched; that tenant fails and the others go on.
  - A role that was given more rights by hand is dropped and made anew.
  - Needs the tables of M(smartercl.smarteros.supabase_migrations) and the row of M(smartercl.smarteros.supabase_rows).
options:
  master_secret:
    description:
      - What the passwords are derived from, of at least 16 characters.
      - Without it, or without a way to run SQL (O(access_token) with O(project), or O(database_url)), nothing is done at all.
      - Taken from the environment variable E(SMOS_MASTER_SECRET) when it is not set.
    type: str
    default: ''
  readers:
    description: The readers, one for each tenant.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: The tenant's id, its canonical RUT.
        type: str
        required: true
      role:
        description: Name of the role, V(tenant_<slug with _>_reader).
        type: str
        required: true
      connections:
        description: How many connections it may have at once.
        type: int
        default: 5
      state:
        description:
          - V(present) makes the role so.
          - V(suspended) takes its login; what it may see is empty from that moment, also in open sessions.
          - V(absent) drops every role that bears the tenant's mark.
          - V(disabled) does nothing but to say so.
        type: str
        choices: [present, suspended, absent, disabled]
        default: present
      reason:
        description: What to report beside the state.
        type: str
        default: ''
extends_documentation_fragment:
  - smartercl.smarteros.supabase.sql
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: One reader
  smartercl.smarteros.supabase_readers:
    project: abcdefghijklmnopqrst
    master_secret: "{{ smos_master_secret }}"
    readers:
      - {tenant: 76086428-5, role: tenant_acme_reader}
"""

RETURN = r"""
results:
  description:
    - What became of each tenant, in the order of O(readers), without what is empty.
    - The state is V(ready), V(suspended), V(absent), V(disabled) or V(failed); the ref holds C(reader).
  returned: success
  type: list
  elements: dict
  sample:
    - tenant: 76086428-5
      state: ready
      changed: true
      ref: {reader: tenant_acme_reader}
requests:
  description: Number of requests that were sent.
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

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, errors, supabase_options
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import supabase as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import supabase_readers as service

READER: dict[str, dict[str, t.Any]] = {
    "tenant": {"type": "str", "required": True},
    "role": {"type": "str", "required": True},
    "connections": {"type": "int", "default": 5},
    "state": {"type": "str", "choices": ["present", "suspended", "absent", "disabled"], "default": "present"},
    "reason": {"type": "str", "default": ""},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    **supabase_options.SQL,
    "master_secret": {
        "type": "str",
        "default": "",
        "no_log": True,
        "fallback": (env_fallback, ["SMOS_MASTER_SECRET"]),
    },
    "readers": {"type": "list", "elements": "dict", "required": True, "options": READER},
}


def work(module: bulk.Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    bulk.one_per_tenant(module, "readers")
    wishes = [service.Wish(**item) for item in params["readers"]]
    wanted = params["master_secret"] and api.has_sql(params)
    if not wanted or not any(wish.state != "disabled" for wish in wishes):
        bulk.finish(module, [], 0)
    if len(params["master_secret"]) < 16:
        module.fail_json(msg="master_secret: it has fewer than 16 characters")
    supabase_options.needs_psycopg(module)
    with bulk.usable(module, "Supabase"):
        sql = api.sql_of(params, bulk.policy_of(module))
    try:
        with bulk.usable(module, "Supabase"):
            seen = service.observe(sql)
            if seen is None and not module.check_mode:
                why = "there is no table for readers: apply the migrations first (role supabase, entry main)"
                raise ApiError(why, errors.MISSING, where="smarteros.tenant_readers")
        todos = service.plan(wishes, seen or {}, params["master_secret"])
        results = service.foretold(todos) if module.check_mode else service.apply(sql, todos)
    finally:
        sql.close()
    bulk.finish(module, results, sql.sent)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(bulk.module_for(OPTIONS))


if __name__ == "__main__":
    main()
