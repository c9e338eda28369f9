#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

from __future__ import annotations

DOCUMENTATION = r"""
module: odoo_companies
short_description: Bring the companies of tenants in Odoo to what is wished
description:
  - Takes the companies of many tenants at once, reads what is there with a few list requests, and sends only what differs.
  - A tenant's company bears the owner mark C(smarteros:<RUT>) in its C(company_registry) and is found by it.
    A company without the mark is never touched; where it holds the wished name, that tenant fails and the others go on.
  - Loads the country's chart of accounts into a company that has none, where accounting is installed.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
extends_documentation_fragment:
  - smartercl.smarteros.odoo
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
options:
  chart:
    description: Code of the chart of accounts for companies that have none; empty for none.
    type: str
    default: cl
  companies:
    description: The wished companies, one for each tenant.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: The tenant's id, its canonical RUT.
        type: str
        required: true
      name:
        description: Name of the business; in Odoo the RUT is added in brackets, so that it is unique.
        type: str
        required: true
      vat:
        description: Tax id that the company shows; the tenant's id when it is not set.
        type: str
      vat_valid:
        description: Whether the check digit of O(companies[].vat) is right; Odoo's own check is left out when it is not.
        type: bool
        default: true
      country:
        description: ISO 3166 code of the country.
        type: str
        default: CL
      currency:
        description: ISO 4217 code of the currency; it stays as it is once a chart of accounts is loaded.
        type: str
        default: CLP
      email:
        description: Address that the company shows.
        type: str
        default: ""
      state:
        description:
          - V(present) creates or corrects the company and brings an archived one back.
          - V(suspended) leaves it as it is. Its users' logins are closed by M(smartercl.smarteros.odoo_users).
          - V(absent) deletes a company that nothing refers to and archives any other.
        type: str
        choices: [present, absent, suspended]
        default: present
"""

EXAMPLES = r"""
- name: Bring the company of Acme Corp to what is wished
  smartercl.smarteros.odoo_companies:
    url: https://odoo.example.com
    database: smarteros
    login: smarteros
    secret: "{{ odoo_api_key }}"
    companies:
      - tenant: 76086428-5
        name: Acme Corp
        email: admin@acme.example.com

- name: Take it away, or archive it where something refers to it
  smartercl.smarteros.odoo_companies:
    url: https://odoo.example.com
    database: smarteros
    login: smarteros
    companies:
      - tenant: 76086428-5
        name: Acme Corp
        state: absent
  environment:
    ODOO_API_KEY: "{{ odoo_api_key }}"
"""

RETURN = r"""
results:
  description:
    - What became of each tenant, without what is empty.
    - The state is V(ready), V(suspended), V(absent) or V(failed); the ref holds C(company_id).
  returned: success
  type: list
  elements: dict
  sample:
    - tenant: 76086428-5
      state: ready
      changed: true
      created: true
      ref: {company_id: 4}
      url: https://odoo.example.com/web#id=4&model=res.company&view_type=form
      changes:
        - action: create
          what: company Acme Corp (76086428-5)
          after: {name: Acme Corp (76086428-5), vat: 76086428-5, country: CL, currency: CLP, email: admin@acme.example.com}
requests:
  description: How many requests were sent.
  returned: success
  type: int
  sample: 7
errors:
  description: Why nothing could be attempted.
  returned: failure
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, odoo_options
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import odoo as client_odoo
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import odoo as service_odoo

COMPANY = {
    "tenant": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "vat": {"type": "str"},
    "vat_valid": {"type": "bool", "default": True},
    "country": {"type": "str", "default": "CL"},
    "currency": {"type": "str", "default": "CLP"},
    "email": {"type": "str", "default": ""},
    "state": {"type": "str", "choices": ["present", "absent", "suspended"], "default": "present"},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    **odoo_options.OPTIONS,
    "chart": {"type": "str", "default": "cl"},
    "companies": {"type": "list", "elements": "dict", "required": True, "options": COMPANY},
}


def work(module: bulk.Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    bulk.one_per_tenant(module, "companies")
    wishes = [
        service_odoo.CompanyWish(**{**item, "vat": item["vat"] or item["tenant"]}) for item in params["companies"]
    ]
    if not wishes:
        bulk.finish(module, [], 0)
    with bulk.usable(module, "odoo"):
        client = client_odoo.connect(params, bulk.policy_of(module))
        client.sign_in()
        seen = service_odoo.observe(client, wishes, params["chart"])
    tasks = service_odoo.plan(wishes, seen, params["chart"])
    if module.check_mode:
        results = [service_odoo.predicted(task) for task in tasks.values()]
    else:
        results = service_odoo.carry_out(client, tasks, seen, params["concurrency"])
    bulk.finish(module, results, client.http.sent)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(bulk.module_for(OPTIONS))


if __name__ == "__main__":
    main()
