#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Storage buckets of one Supabase project."""

from __future__ import annotations

DOCUMENTATION = r"""
module: supabase_buckets
short_description: Storage buckets of one Supabase project
version_added: 0.1.0
description:
  - Makes buckets, and brings the settings of existing ones to what is wished. Buckets that are not named are never touched.
  - One bucket serves one purpose for all tenants. Whose file is whose is decided by policies on C(storage.objects), by the
    first part of its path; those come with M(smartercl.smarteros.supabase_migrations).
options:
  buckets:
    description: The buckets.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name, which is its id as well. The policies speak of names that begin with V(tenant-).
        type: str
        required: true
      public:
        description: Whether everybody may read every file by its address, past all policies.
        type: bool
        default: false
      size_limit_mb:
        description: Largest file in megabytes of 1,048,576 bytes, V(0) for the project's own limit.
        type: int
        default: 0
      mime_types:
        description: MIME types that it takes, for example V(image/*). None for any.
        type: list
        elements: str
        default: []
extends_documentation_fragment:
  - smartercl.smarteros.supabase
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: A bucket for the tenants' pictures
  smartercl.smarteros.supabase_buckets:
    url: https://abcdefghijklmnopqrst.supabase.co
    buckets:
      - {name: tenant-assets, size_limit_mb: 10, mime_types: [image/*]}
"""

RETURN = r"""
changes:
  description: Each difference that was closed (in check mode would be), with action, what, before and after.
  returned: success
  type: list
  elements: dict
results:
  description: Always empty, because buckets belong to no tenant.
  returned: success
  type: list
  elements: dict
requests:
  description: Number of HTTP requests that were sent.
  returned: success
  type: int
errors:
  description: Why it failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, supabase_options
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import supabase as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import supabase_buckets as service

BUCKET: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "public": {"type": "bool", "default": False},
    "size_limit_mb": {"type": "int", "default": 0},
    "mime_types": {"type": "list", "elements": "str", "default": []},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    **supabase_options.DATA,
    "buckets": {"type": "list", "elements": "dict", "required": True, "options": BUCKET},
}


def work(module: bulk.Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    wishes = [
        service.Bucket(
            item["name"], item["public"], item["size_limit_mb"] * 1024 * 1024, tuple(sorted(item["mime_types"]))
        )
        for item in module.params["buckets"]
    ]
    with bulk.usable(module, "Supabase"):
        client = api.connect(module.params, bulk.policy_of(module))
        todo = service.plan(wishes, client.buckets())
    if not module.check_mode:
        try:
            service.apply(client, todo, module.params["concurrency"])
        except ApiError as exc:
            module.fail_json(msg=f"buckets: {exc.message}", errors=[exc.as_dict("buckets")])
    changes = service.changes(todo)
    module.exit_json(
        changed=bool(changes),
        changes=[change.as_dict() for change in changes],
        diff={
            "before": {change.what: change.before for change in changes if change.before is not None},
            "after": {change.what: change.after for change in changes if change.after is not None},
        },
        results=[],
        requests=client.sent,
    )


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(bulk.module_for(OPTIONS))


if __name__ == "__main__":
    main()
