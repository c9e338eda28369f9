#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The bots of many tenants in one Botpress."""

from __future__ import annotations

DOCUMENTATION = r"""
module: botpress_bots
short_description: Bots of many tenants in one Botpress 12
version_added: 0.1.0
description:
  - In the Community edition a tenant is one bot of the only workspace. The bot's id is the tenant's slug.
  - Reads all bots with one request, compares, and imports, configures or deletes only what differs, tenant beside tenant.
  - A bot is made from a template, a folder in the layout of an exported bot, filled in with the tenant's values. A
    fingerprint of both lies in the bot itself. A bot is replaced only when the fingerprint differs. Until then, what people
    changed in the studio stays.
  - Name, description, language, and whether the bot is on, off or private are brought back in every run.
  - A bot bears the mark V(smarteros:<rut>) in its description. Only bots that bear the tenant's mark are changed, suspended
    or deleted. Where another bot has the id, that tenant fails and stays untouched.
  - Each bot's own settings close the converse endpoint for callers without a token. When a server answers all the same, the
    message of every tenant says so.
  - Works with Botpress 12.26 to 12.31.
options:
  url:
    description: Address of Botpress.
    type: str
    required: true
  email:
    description:
      - E-mail of the one user that the Community edition has.
      - Taken from the environment variable E(BOTPRESS_EMAIL) when not given.
    type: str
    required: true
  password:
    description:
      - Password of the user.
      - Taken from the environment variable E(BOTPRESS_PASSWORD) when not given.
    type: str
    required: true
  templates:
    description: Directory with the templates, one folder each, where the task runs.
    type: path
    required: true
  bots:
    description: What each tenant shall have; one entry per tenant.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: RUT of the tenant, for example V(76086428-5).
        type: str
        required: true
      slug:
        description: Short name of the tenant, the id of its bot. Needed for O(bots[].state=present).
        type: str
      name:
        description: Name of the tenant. Botpress shows it with the id behind it, cut to 50 characters in all.
        type: str
      template:
        description: Name of the template. Needed for O(bots[].state=present).
        type: str
      values:
        description: More values for the template. A value that a template needs and that is missing fails the tenant.
        type: dict
        default: {}
        suboptions:
          domain:
            description: Domain of the tenant's site.
            type: str
          timezone:
            description: Time zone, for example V(America/Santiago).
            type: str
          currency:
            description: Currency code.
            type: str
          language:
            description: Language code. The bots themselves speak Spanish.
            type: str
          country:
            description: Country code.
            type: str
      limit:
        description: How many bots the tenant's plan allows; left out for any number. Bots made by hand count when they bear the mark.
        type: int
      state:
        description:
          - V(present) makes the bot so, and switches it on.
          - V(suspended) switches off all bots that bear the tenant's mark.
          - V(absent) deletes them for good.
          - V(disabled) does nothing and reports O(bots[].reason).
        type: str
        choices: [present, suspended, absent, disabled]
        default: present
      reason:
        description: Why the tenant has no bot.
        type: str
extends_documentation_fragment:
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Give a tenant its bot
  smartercl.smarteros.botpress_bots:
    url: https://botpress.smarterbot.cl
    email: operator@smarterbot.cl
    templates: "{{ playbook_dir }}/../specs/bots"
    bots:
      - tenant: 76086428-5
        slug: acme
        name: Acme Corp
        template: ecommerce
        values:
          domain: acme.smarterbot.cl
          currency: CLP

- name: Let it rest
  smartercl.smarteros.botpress_bots:
    url: https://botpress.smarterbot.cl
    email: operator@smarterbot.cl
    templates: "{{ playbook_dir }}/../specs/bots"
    bots:
      - {tenant: 76086428-5, state: suspended}
"""

RETURN = r"""
results:
  description: What became of every tenant.
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
      description: Whether the tenant had no bot before.
      type: bool
      returned: if true
    ref:
      description: The id of the bot.
      type: dict
      returned: if not empty
      sample: {bot_id: acme}
    url:
      description: What the addresses of the bot have in common; V(/converse/<user>/secured) follows.
      type: str
      returned: if not empty
    message:
      description: Why the tenant failed, or what an operator should know.
      type: str
      returned: if not empty
    changes:
      description: Each difference that was closed (in check mode would be), with action, what, before and after.
      type: list
      elements: dict
      returned: if not empty
    usage:
      description: How many bots bear the tenant's mark.
      type: dict
      returned: if not empty
      sample: {bots: 1}
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
    DISABLED,
    Caller,
    Result,
    finish,
    module_for,
    one_per_tenant,
    policy_of,
    usable,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import botpress as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import botpress as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import botpress_templates

OWN_VALUES = ("rut", "slug", "name")  # said by the tenant itself
BOT: dict[str, dict[str, t.Any]] = {
    "tenant": {"type": "str", "required": True},
    "slug": {"type": "str"},
    "name": {"type": "str"},
    "template": {"type": "str"},
    "values": {
        "type": "dict",
        "default": {},
        "options": {name: {"type": "str"} for name in botpress_templates.VALUES if name not in OWN_VALUES},
    },
    "limit": {"type": "int"},
    "state": {"type": "str", "choices": ["present", "suspended", "absent", "disabled"], "default": "present"},
    "reason": {"type": "str"},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "email": {"type": "str", "required": True, "fallback": (env_fallback, ["BOTPRESS_EMAIL"])},
    "password": {"type": "str", "required": True, "no_log": True, "fallback": (env_fallback, ["BOTPRESS_PASSWORD"])},
    "templates": {"type": "path", "required": True},
    "bots": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": BOT,
        "required_if": [("state", "present", ["slug", "template"])],
    },
}


def work(module: Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    items = params["bots"]
    one_per_tenant(module, "bots")
    if all(item["state"] == DISABLED for item in items):
        finish(module, [Result(item["tenant"], DISABLED, message=item["reason"] or "") for item in items], 0)
    with usable(module, "Botpress"):
        names = [item["template"] for item in items if item["state"] == "present"]
        templates = botpress_templates.load(params["templates"], names)
        goals, bad = service.goals_of(items, templates)
        client = api.connect(params, policy_of(module))
        bots = client.bots()
    todos = service.plan(goals, bots, bad)
    if module.check_mode:
        results = service.foretell(todos, params["url"])
    else:
        results = service.apply(client, todos, params["concurrency"], params["url"])
        service.warn(client, todos, results)
    finish(module, results, client.http.sent)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
