#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The settings of one Cloudflare zone."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cloudflare_zone
short_description: The settings of one Cloudflare zone
version_added: 0.1.0
description:
  - Asks for each setting in O(settings) and changes those that differ. Other settings are never touched.
  - A setting that the zone's plan does not let anybody change is told as a warning and left as it is.
  - Where V(ssl) is among them, C(ssl_automatic_mode) is set to V(custom) first; Cloudflare would change it by itself else.
options:
  url:
    description: Where the API starts.
    type: str
    default: https://api.cloudflare.com/client/v4
  token:
    description:
      - API token with Zone Read, Zone Settings Read and Zone Settings Write for the zone.
      - Taken from the environment variable E(CLOUDFLARE_API_TOKEN) when not given.
    type: str
    required: true
  zone:
    description: Name of the zone, for example V(example.com).
    type: str
    required: true
  settings:
    description: The settings by Cloudflare's own names. C(on) and C(off) are quoted words, since YAML takes them for something else.
    type: dict
    required: true
extends_documentation_fragment:
  - smartercl.smarteros.single
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
seealso:
  - module: smartercl.smarteros.cloudflare_dns_records
  - module: smartercl.smarteros.cloudflare_zone_records
"""

EXAMPLES = r"""
- name: Let nobody in without TLS 1.2
  smartercl.smarteros.cloudflare_zone:
    zone: smarterbot.cl
    settings:
      ssl: strict
      always_use_https: "on"
      min_tls_version: "1.2"
"""

RETURN = r"""
settings:
  description: The settings that were asked for, as they are now.
  returned: success
  type: dict
  sample: {"ssl": "strict", "always_use_https": "on"}
changes:
  description: Each difference that was closed (in check mode would be), with service, tenant (null), action, what, before and after.
  returned: always
  type: list
  elements: dict
requests:
  description: Number of HTTP requests that were sent.
  returned: success
  type: int
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
"""

import typing as t

from ansible.module_utils.basic import env_fallback

from ansible_collections.smartercl.smarteros.plugins.module_utils import single
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Caller, policy_of, usable
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import cloudflare as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import cloudflare_zone as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.single import Outcome, finish, module_for

OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "default": api.URL},
    "token": {
        "type": "str",
        "required": True,
        "no_log": True,
        "fallback": (env_fallback, ["CLOUDFLARE_API_TOKEN"]),
    },
    "zone": {"type": "str", "required": True},
    "settings": {"type": "dict", "required": True},
}


def work(module: Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    wished = service.wishes(module.params["settings"])
    with usable(module, "Cloudflare"):
        client = api.connect(module.params, policy_of(module))
        actual = service.read(client, wished)
    todo = service.plan(wished, actual)
    outcome = Outcome(list(todo.changes), warnings=list(todo.locked), service=service.NAME)
    try:
        if todo.changes and not module.check_mode:
            service.apply(client, todo, outcome)
    except ApiError as exc:
        single.failed(module, f"settings of zone {client.zone}", exc, outcome, client.http.sent)
    outcome.facts["settings"] = {**{name: each.value for name, each in actual.items()}, **todo.values}
    finish(module, outcome, client.http.sent)


def main() -> None:
    """Called by Ansible."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
