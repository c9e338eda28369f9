#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The domains of many tenants on one Vercel project."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vercel_domains
short_description: Domains of many tenants on one Vercel project
version_added: 0.1.0
description:
  - Reads the domains of the project once, a hundred at a time, compares, and sends only what differs.
  - Ownership (verified) and DNS (misconfigured) are two matters to Vercel. Both are told in the tenant's message, with the
    record that is missing. Neither makes the tenant fail, because a custom domain waits for its owner.
  - DNS is asked for only where the tenant's O(domains[].known) does not say that all was well.
  - Domains on Vercel bear no owner mark. A tenant's are those in O(domains[].domains) and those in O(domains[].known);
    no other one is changed or removed.
options:
  project:
    description: Id or name of the project.
    type: str
    required: true
  suspension_host:
    description: Host name that the domains of suspended tenants redirect to, with status 307.
    type: str
    required: true
  domains:
    description: One item per tenant.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: RUT of the tenant, for example V(76086428-5).
        type: str
        required: true
      domains:
        description: The tenant's domains, its own first.
        type: list
        elements: str
        default: []
      known:
        description:
          - The domains that an earlier call added for the tenant, with their state, as RV(results[].ref) gave them.
          - Those that are not in O(domains[].domains) any more are removed.
        type: dict
        default: {}
      late:
        description: Domains of O(domains[].domains) whose DNS record is made later in the same run. It is not called missing.
        type: list
        elements: str
        default: []
      reason:
        description: Why the tenant has none, for V(disabled).
        type: str
        default: ''
      state:
        description:
          - With V(present), the domains serve the project. With V(suspended), those that exist redirect to
            O(suspension_host). With V(absent), they are removed from the project. With V(disabled), nothing is done.
        type: str
        choices: [present, suspended, absent, disabled]
        default: present
extends_documentation_fragment:
  - smartercl.smarteros.vercel
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Serve the shops of two tenants
  smartercl.smarteros.vercel_domains:
    team: team_sandbox0000000000000000
    project: smarteros-app
    suspension_host: suspended.smarterbot.cl
    domains:
      - {tenant: 76086428-5, domains: [acme.smarterbot.cl, shop.example.com]}
      - {tenant: 96790240-3, domains: [umbrella.smarterbot.cl], state: suspended}
"""

RETURN = r"""
results:
  description: What became of every tenant, in the order of O(domains).
  returned: success
  type: list
  elements: dict
  contains:
    tenant:
      description: RUT of the tenant.
      type: str
      returned: always
    state:
      description: V(ready), V(suspended), V(absent), V(disabled) or V(failed).
      type: str
      returned: always
    changed:
      description: Whether something of this tenant was changed.
      type: bool
      returned: always
    created:
      description: Whether the project had no domain of the tenant's before.
      type: bool
      returned: if true
    ref:
      description:
        - The project, and the state of each domain, V(ok), V(dns) (verified, DNS leads elsewhere) or V(unverified).
      type: dict
      returned: if not empty
      sample: {"project": "smarteros-app", "domains": {"acme.smarterbot.cl": "ok", "shop.example.com": "unverified"}}
    url:
      description: Where the tenant's own domain leads.
      type: str
      returned: if not empty
    message:
      description: Which domain waits for which DNS record, or why the tenant failed.
      type: str
      returned: if not empty
      sample: >-
        shop.example.com is not verified; missing in DNS: TXT _vercel.example.com "vc-domain-verify=...";
        CNAME shop.example.com -> 5e1f.vercel-dns-017.com
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

from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import (
    Caller,
    finish,
    module_for,
    one_per_tenant,
    policy_of,
    usable,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import vercel as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import vercel_domains as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.vercel_options import CONNECTION

TENANT: dict[str, dict[str, t.Any]] = {
    "tenant": {"type": "str", "required": True},
    "domains": {"type": "list", "elements": "str", "default": []},
    "known": {"type": "dict", "default": {}},
    "late": {"type": "list", "elements": "str", "default": []},
    "reason": {"type": "str", "default": ""},
    "state": {"type": "str", "choices": ["present", "suspended", "absent", "disabled"], "default": "present"},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    **CONNECTION,
    "project": {"type": "str", "required": True},
    "suspension_host": {"type": "str", "required": True},
    "domains": {"type": "list", "elements": "dict", "required": True, "options": TENANT},
}


def work(module: Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    one_per_tenant(module, "domains")
    wishes, bad = service.wishes_of(params["domains"])
    if all(wish.state == "disabled" for wish in wishes):
        finish(module, service.results(service.plan(wishes, {}, "", bad), None, params["project"]), 0)
    with usable(module, "Vercel"):
        host = api.normal_name(params["suspension_host"])
        client = api.connect(params, policy_of(module))
        domains = service.read(client, wishes, params["concurrency"])
    todos = service.plan(wishes, domains, host, bad)
    done = None if module.check_mode else service.apply(client, todos, params["concurrency"])
    finish(module, service.results(todos, done, params["project"]), client.http.sent)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
