#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the tokens of all providers are good for."""

from __future__ import annotations

DOCUMENTATION = r"""
module: token_check
short_description: What the tokens of all providers are good for
version_added: 0.1.0
description:
  - Asks every provider at the same time, with reads only, whether its token is good, whose it is, when it ends and which
    permission it lacks.
  - What cannot be right by its looks (spaces, line breaks, quotation marks, the form of another provider's token) is told
    without being sent anywhere.
  - Fails with exit code 3 when a token is not valid, after all have been asked. A missing one of an optional provider is
    only told.
options:
  only:
    description:
      - Services to ask, by their id in the catalogue. None means every one that has a C(connection) there and a client.
      - One that is named here must be valid, optional or not. Only where O(providers) is not given.
    type: list
    elements: str
    default: []
  providers:
    description: Whom to ask. Taken from the service catalogue and the variables of the play when not given.
    type: list
    elements: dict
    suboptions:
      provider:
        description: Id of the service, which is the name of its client.
        type: str
        required: true
      connection:
        description: Its variables without the service's name in front, for example C(url) and C(token).
        type: dict
        required: true
      names:
        description: Under which names a person sets them, by variable.
        type: dict
        default: {}
      optional:
        description: Whether it may be missing.
        type: bool
        default: false
  timeout:
    description: How long to wait for an answer, in seconds. A provider is given up on after twice as long.
    type: float
    default: 10.0
requirements:
  - requests
attributes:
  check_mode:
    support: full
    description: It only reads, in either mode.
  diff_mode:
    support: none
    description: There is nothing to show beside the result.
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Ask every provider of the catalogue
  smartercl.smarteros.token_check:

- name: Ask two of them
  smartercl.smarteros.token_check:
    only: [cloudflare, n8n]

- name: Ask one that is not in the catalogue's variables
  smartercl.smarteros.token_check:
    providers:
      - provider: n8n
        connection:
          url: https://n8n.example.com
          api_key: "{{ lookup('ansible.builtin.env', 'N8N_API_KEY') }}"
"""

RETURN = r"""
providers:
  description:
    - The verdict on each provider's token, by service.
    - C(state) is V(valid), V(invalid), V(missing), V(insufficient) or V(unreachable). C(account) tells whose token it is, C(expires)
      when it ends (ISO 8601; empty when never or not known), C(missing_scopes) what it lacks, C(message) the rest.
  returned: always
  type: dict
  sample:
    odoo: {state: valid, account: smarteros on smarteros, expires: "", missing_scopes: [], message: Odoo 17.0}
summary:
  description: The same in one line each.
  returned: always
  type: list
  elements: str
errors:
  description: What is to be done, in rows of C(what), C(where), C(why), C(next).
  returned: failure
  type: list
  elements: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, tokens, transport, verdicts
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import (
    botpress,
    chatwoot,
    cloudflare,
    dokploy,
    hostinger,
    metabase,
    n8n,
    odoo,
    shopify,
    supabase,
    vercel,
    whatsapp,
)

# Verdicts find a client by its service's name; a module in a process of its own has only what is imported like this.
CLIENTS = (
    botpress,
    chatwoot,
    cloudflare,
    dokploy,
    hostinger,
    metabase,
    n8n,
    odoo,
    shopify,
    supabase,
    vercel,
    whatsapp,
)
OPTIONS: dict[str, dict[str, t.Any]] = {
    "only": {"type": "list", "elements": "str", "default": []},
    "providers": {
        "type": "list",
        "elements": "dict",
        "options": {
            "provider": {"type": "str", "required": True},
            "connection": {"type": "dict", "required": True, "no_log": True},
            "names": {"type": "dict", "default": {}},
            "optional": {"type": "bool", "default": False},
        },
    },
    "timeout": {"type": "float", "default": 10.0},
}


def work(module: bulk.Caller) -> None:
    """Ask all, and report to the caller."""
    rows: list[dict[str, t.Any]] = module.params["providers"] or []
    asked = [verdicts.Asked(row["provider"], row["connection"], row["names"]) for row in rows]
    found = verdicts.judge(asked, module.params["timeout"])
    optional = {row["provider"] for row in rows if row["optional"]}
    result = {
        "changed": False,
        "providers": {service: verdict.as_dict() for service, verdict in found.items()},
        "summary": [f"{service}: {verdict.state}. {verdict.message}" for service, verdict in found.items()],
    }
    errors = [_error(each, found[each.service]) for each in asked if _counts(each, found[each.service], optional)]
    if errors:
        words = ", ".join(f"{error['what']} ({found[error['what']].state})" for error in errors)
        module.fail_json(msg=f"Tokens that cannot be used: {words}", errors=errors, exit_code=bulk.CANNOT_USE, **result)
    module.exit_json(**result)


def _counts(asked: verdicts.Asked, verdict: verdicts.Verdict, optional: set[str]) -> bool:
    """Whether the verdict makes the check fail: whoever did without an optional service has no mistake to correct."""
    if verdict.state == verdicts.MISSING and asked.service in optional:
        return not tokens.unconfigured(asked.connection)
    return verdict.state != verdicts.VALID


def _error(asked: verdicts.Asked, verdict: verdicts.Verdict) -> dict[str, str]:
    """A row for the operator; the address only where it is one."""
    url = str(asked.connection.get("url", ""))
    where = "" if tokens.flaw(asked.service, "url", url) else url
    lacks = f" (it lacks {', '.join(verdict.missing_scopes)})" if verdict.missing_scopes else ""
    why = f"{verdict.state}: {verdict.message}{lacks}"
    return {
        "what": asked.service,
        "where": where,
        "why": why,
        "next": tokens.next_step(asked.service, verdict.state),
    }


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    if transport.REQUESTS_IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib("requests"), exception=transport.REQUESTS_IMPORT_ERROR)
    work(module)


if __name__ == "__main__":
    main()
