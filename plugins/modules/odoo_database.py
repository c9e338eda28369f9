#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Administrator, service user and API key of an Odoo database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: odoo_database
short_description: Administrator, service user and API key of an Odoo database
version_added: 0.1.0
description:
  - Gives the administrator of a database the login and password that are kept; Odoo makes it as C(admin) with the password
    C(admin). Makes the user that SmarterOS works as, with an API key named V(smarteros), and names the operator's company.
  - All of it is one transaction in Odoo's own shell, inside Odoo's container. Works with Odoo 16 to 19.
options:
  database:
    description: Name of the database. Its modules must have been installed.
    type: str
    required: true
  login:
    description: Login of the user that SmarterOS works as. It has no password.
    type: str
    default: smarteros
  company:
    description: Name of the operator's own company, which is the first one. Empty leaves it as it is.
    type: str
    default: ""
  groups:
    description: External ids of the groups that the user is in.
    type: list
    elements: str
    default: [base.group_system, account.group_account_manager]
  config:
    description: Odoo's configuration file in its container.
    type: str
    default: /etc/odoo/odoo.conf
extends_documentation_fragment:
  - smartercl.smarteros.bootstrap
  - smartercl.smarteros.bootstrap.login
  - smartercl.smarteros.bootstrap.key
  - smartercl.smarteros.bootstrap.keep
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Make the administrator's login ours
  smartercl.smarteros.odoo_database:
    service: odoo_odoo
    database: odoo
    email: admin@example.com
    password: "{{ lookup('smartercl.smarteros.secret', 'odoo_admin_password') }}"
    api_key: "{{ lookup('smartercl.smarteros.secret', 'odoo_api_key', default='') }}"
    company: SmarterCL
    keep: odoo_api_key
"""

RETURN = r"""
kept:
  description: Name of the secret, where the vault had another value or none.
  returned: when O(keep) is given and there is a value
  type: list
  elements: str
api_key:
  description: The new API key, which is shown only now.
  returned: when one was made, without O(keep)
  type: str
changes:
  description: What was done (in check mode would be), with service, tenant, action, what, before and after.
  returned: always
  type: list
  elements: dict
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: What the command line ends with.
  returned: failure
  type: int
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import odoo as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import shape

OPTIONS: dict[str, dict[str, t.Any]] = {
    **shape.OPTIONS,
    **shape.LOGIN,
    **shape.KEY,
    **shape.KEEP,
    "database": {"type": "str", "required": True},
    "login": {"type": "str", "default": "smarteros"},
    "company": {"type": "str", "default": ""},
    "groups": {"type": "list", "elements": "str", "default": list(service.GROUPS)},
    "config": {"type": "str", "default": service.CONFIG},
}


def work(module: shape.Caller) -> None:
    """Look, make what is missing unless in check mode, report."""
    shape.run(module, service.PRODUCT, "odoo", service.secure)


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True))


if __name__ == "__main__":
    main()
