#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

from __future__ import annotations

DOCUMENTATION = r"""
module: odoo_users
short_description: Bring the users of tenants in Odoo to what is wished
description:
  - Takes the users of many tenants at once, reads what is there with a few list requests, and sends only what differs.
  - A login may work for several tenants. It belongs to the tenant of its default company; any other tenant only adds its
    company and the groups that it needs.
  - A login whose default company is not one of ours is never touched; that tenant fails and the others go on.
  - No password is set; Odoo invites a new user by mail.
  - When a tenant gets another owner, the former one is closed as soon as the new one is there (O(users[].known_user)).
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
extends_documentation_fragment:
  - smartercl.smarteros.odoo
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
options:
  users:
    description: The wished users, one for each tenant.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: The tenant's id, its canonical RUT; its company is found by the owner mark.
        type: str
        required: true
      login:
        description: What the person logs in with.
        type: str
        required: true
      name:
        description: Name of the person.
        type: str
        required: true
      email:
        description: Address of the person; the login when it is not set.
        type: str
      groups:
        description:
          - External ids of the groups that the user must have; he keeps any others.
          - When not set, C(base.group_user), C(base.group_partner_manager), C(sales_team.group_sale_manager) and
            C(website.group_website_designer), as far as this Odoo has them.
        type: list
        elements: str
      lang:
        description: Language of a new user, where it is installed.
        type: str
        default: es_CL
      tz:
        description: Time zone of a new user.
        type: str
        default: America/Santiago
      limit:
        description:
          - How many people the tenant's plan allows; not set for any number.
          - Whoever works in the company counts, also those who were added by hand. A user beyond it is not made, and the
            message lists who is there.
        type: int
      known_user:
        description:
          - The id of the user that was last recorded for the tenant, as its status has it; 0 when there is none.
          - With V(present), when he works in the company under another login than O(users[].login), he is the former owner.
            He is archived for good, also when he was closed with a suspended tenant; who works for another tenant too
            keeps his login and leaves the company.
          - He does not count for O(users[].limit). Until he is closed the ref holds no new C(user_id), so that the next run finds
            him again.
        type: int
        default: 0
      state:
        description:
          - V(present) creates or corrects the user, brings an archived one back, and opens the logins that V(suspended)
            closed.
          - V(suspended) closes the logins of all who work in the company and for no other tenant, whoever made them, and
            takes the company from an owner who also works for another. Closed logins bear a tag on their contact.
          - V(absent) takes the user away. One who has logged in before is archived, any other is deleted.
        type: str
        choices: [present, absent, suspended]
        default: present
notes:
  - In check mode a tenant without a company counts as one that will have it, because M(smartercl.smarteros.odoo_companies) makes it first.
seealso:
  - module: smartercl.smarteros.odoo_companies
"""

EXAMPLES = r"""
- name: Bring the administrator of Acme Corp to what is wished
  smartercl.smarteros.odoo_users:
    url: https://odoo.example.com
    database: smarteros
    login: smarteros
    secret: "{{ odoo_api_key }}"
    users:
      - tenant: 76086428-5
        login: admin@acme.example.com
        name: Ana Pérez
"""

RETURN = r"""
results:
  description:
    - What became of each tenant, without what is empty.
    - The state is V(ready), V(suspended), V(absent) or V(failed); the ref holds C(user_id), and C(usage) how many people
      work in the company.
    - The C(user_id) is missing while the login of a former owner waits to be closed.
    - C(created) is always false; M(smartercl.smarteros.odoo_companies) tells whether the tenant is new in Odoo.
  returned: success
  type: list
  elements: dict
  sample:
    - tenant: 76086428-5
      state: ready
      changed: true
      ref: {user_id: 7}
      usage: {users: 1}
      changes:
        - action: create
          what: user admin@acme.example.com of 76086428-5
          after: {name: Ana Pérez, login: admin@acme.example.com, email: admin@acme.example.com, groups: [base.group_user], active: true}
requests:
  description: How many requests were sent.
  returned: success
  type: int
  sample: 6
errors:
  description: Why nothing could be attempted.
  returned: failure
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, odoo_options
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import odoo as client_odoo
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import odoo_users as service_users

USER = {
    "tenant": {"type": "str", "required": True},
    "login": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "email": {"type": "str"},
    "groups": {"type": "list", "elements": "str"},
    "lang": {"type": "str", "default": "es_CL"},
    "tz": {"type": "str", "default": "America/Santiago"},
    "limit": {"type": "int"},
    "known_user": {"type": "int", "default": 0},
    "state": {"type": "str", "choices": ["present", "absent", "suspended"], "default": "present"},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    **odoo_options.OPTIONS,
    "users": {"type": "list", "elements": "dict", "required": True, "options": USER},
}


def wish_of(item: dict[str, t.Any]) -> service_users.UserWish:
    groups = None if item["groups"] is None else tuple(item["groups"])
    return service_users.UserWish(**{**item, "email": item["email"] or item["login"], "groups": groups})


def work(module: bulk.Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    bulk.one_per_tenant(module, "users")
    wishes = [wish_of(item) for item in params["users"]]
    if not wishes:
        bulk.finish(module, [], 0)
    with bulk.usable(module, "odoo"):
        client = client_odoo.connect(params, bulk.policy_of(module))
        seen = service_users.observe(client, wishes)
    tasks = service_users.plan(wishes, seen, foretell=module.check_mode)
    if module.check_mode:
        results = [service_users.predicted(task) for task in tasks]
    else:
        results = service_users.carry_out(client, tasks, params["concurrency"])
    bulk.finish(module, results, client.http.sent)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(bulk.module_for(OPTIONS))


if __name__ == "__main__":
    main()
