#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The workflows of many tenants in one n8n."""

from __future__ import annotations

DOCUMENTATION = r"""
module: n8n_workflows
short_description: Workflows of many tenants in one n8n
version_added: 0.1.0
description:
  - Reads all workflows in pages of 250, compares, and sends only what differs, tenant beside tenant.
  - A workflow is named V(<rut> <title of the template>), answers on the webhook V(<rut>/<template>) and bears the tags
    V(smarteros) and V(rut:<rut>). Only workflows that bear both are changed, suspended or deleted. A run that died
    between making and tagging one finds it again by its name and the ids of its nodes.
  - Tags that people added, credentials that they chose in a node, and settings that the template does not speak of stay.
  - Where a workflow of others has the name or uses the webhook, that tenant fails and stays untouched.
  - Works with n8n 1.62 to 2.x.
options:
  url:
    description: Address of n8n, without V(/api/v1).
    type: str
    required: true
  api_key:
    description:
      - API key of the owner. With n8n 2.x it needs the scopes of workflows and tags.
      - Taken from the environment variable E(N8N_API_KEY) when not given.
    type: str
    required: true
  templates:
    description:
      - Directory with the templates, one V(<template>.json) each, where the task runs.
      - In the texts of a template, V(__SMOS_RUT__) and the like stand for the values of the tenant.
        What can stand there is what O(workflows[].values) lists, and V(RUT), V(SLUG) and V(NAME).
    type: path
    required: true
  workflows:
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
        description: Short name of the tenant.
        type: str
      name:
        description: Name of the tenant.
        type: str
      templates:
        description: Names of the templates, without V(.json).
        type: list
        elements: str
        default: []
      values:
        description: More values for the templates. A value that a template needs and that is missing fails the tenant.
        type: dict
        default: {}
        suboptions:
          domain:
            description: Domain of the tenant.
            type: str
          timezone:
            description: Time zone, for example V(America/Santiago).
            type: str
          currency:
            description: Currency code.
            type: str
          language:
            description: Language code.
            type: str
          country:
            description: Country code.
            type: str
          odoo_url:
            description: Address of Odoo.
            type: str
          chatwoot_url:
            description: Address of Chatwoot.
            type: str
      limit:
        description:
          - How many workflows the tenant's plan allows; left out for any number.
          - Workflows made by people count when they bear the tag V(rut:<rut>), archived ones do not. A tenant whose templates
            would exceed the limit fails with the list. Where nothing is to be made, its message tells the same.
        type: int
      state:
        description:
          - V(present) makes the templates' workflows so.
          - V(suspended) deactivates all workflows that bear the tenant's tags. Those made by people get the tag
            V(smarteros:resting), and are activated again with the others by V(present).
          - V(absent) deletes them, and the tenant's tag.
        type: str
        choices: [present, suspended, absent]
        default: present
      active:
        description: Whether the workflows answer. Only for O(workflows[].state=present).
        type: bool
        default: true
extends_documentation_fragment:
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Give a tenant its workflows
  smartercl.smarteros.n8n_workflows:
    url: https://n8n.smarterbot.cl
    templates: "{{ playbook_dir }}/../specs/workflows"
    workflows:
      - tenant: 76086428-5
        slug: acme
        name: Acme Corp
        templates: [contacts-to-odoo, shopify-orders, chatwoot-router]
        values:
          timezone: America/Santiago
          currency: CLP
          country: CL
          language: es

- name: Let them rest
  smartercl.smarteros.n8n_workflows:
    url: https://n8n.smarterbot.cl
    templates: "{{ playbook_dir }}/../specs/workflows"
    workflows:
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
      description: V(ready), V(suspended), V(absent) or V(failed).
      type: str
      returned: always
    changed:
      description: Whether something of this tenant was changed.
      type: bool
      returned: always
    created:
      description: Whether the tenant had no workflow of ours before.
      type: bool
      returned: if true
    ref:
      description: The id of each workflow, by template.
      type: dict
      returned: if not empty
      sample: {contacts-to-odoo: 2tUt1wbLX592XDdX}
    url:
      description: What the tenant's webhooks have in common; V(/<template>) follows.
      type: str
      returned: if not empty
    message:
      description: Why the tenant failed, or what an operator should know.
      type: str
      returned: if not empty
    changes:
      description:
        - Each difference that was closed (in check mode would be), with action, what, before and after.
        - Nodes and connections are shown as short sums, because people may have written secrets into them.
      type: list
      elements: dict
      returned: if not empty
    usage:
      description: How many workflows the tenant has.
      type: dict
      returned: if not empty
      sample: {workflows: 3}
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
    one_per_tenant,
    policy_of,
    usable,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import n8n as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import n8n as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import n8n_templates

OWN_VALUES = ("rut", "slug", "name")  # said by the tenant itself
WORKFLOW: dict[str, dict[str, t.Any]] = {
    "tenant": {"type": "str", "required": True},
    "slug": {"type": "str"},
    "name": {"type": "str"},
    "templates": {"type": "list", "elements": "str", "default": []},
    "values": {
        "type": "dict",
        "default": {},
        "options": {name: {"type": "str"} for name in n8n_templates.VALUES if name not in OWN_VALUES},
    },
    "limit": {"type": "int"},
    "state": {"type": "str", "choices": ["present", "suspended", "absent"], "default": "present"},
    "active": {"type": "bool", "default": True},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "api_key": {"type": "str", "required": True, "no_log": True, "fallback": (env_fallback, ["N8N_API_KEY"])},
    "templates": {"type": "path", "required": True},
    "workflows": {"type": "list", "elements": "dict", "required": True, "options": WORKFLOW},
}


def work(module: Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    items = params["workflows"]
    one_per_tenant(module, "workflows")
    if not items:
        finish(module, [], 0)
    with usable(module, "n8n"):
        names = [name for item in items if item["state"] == "present" for name in item["templates"]]
        templates = n8n_templates.load(params["templates"], names)
        goals, bad = service.goals_of(items, templates)
        client = api.connect(params, policy_of(module))
        workflows = client.workflows()
        tags = {name: tag for workflow in workflows for name, tag in workflow.tags.items()}
        if service.wanted_tags(goals, workflows):
            tags.update(client.tags())
    todos = service.plan(goals, workflows, tags, bad)
    if module.check_mode:
        results = service.foretell(todos, params["url"])
    else:
        results = service.apply(client, todos, tags, params["concurrency"], params["url"])
    finish(module, results, client.http.sent)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
