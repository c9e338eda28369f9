#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Which modules an Odoo database has."""

from __future__ import annotations

DOCUMENTATION = r"""
module: odoo_modules_info
short_description: Which modules an Odoo database has
version_added: 0.1.0
description:
  - Asks in the container of PostgreSQL, so that it can be known before Odoo runs which modules are still to be installed.
  - To install a module again that is there would set its records back to what they were at first, logins among them.
options:
  database:
    description: Name of the database.
    type: str
    required: true
  user:
    description: Role that owns the database.
    type: str
    required: true
  password:
    description: Password of that role.
    type: str
    required: true
  modules:
    description: Modules that are wanted.
    type: list
    elements: str
    required: true
extends_documentation_fragment:
  - smartercl.smarteros.bootstrap
attributes:
  check_mode:
    support: full
    description: Only reads.
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: See what is still to be installed
  smartercl.smarteros.odoo_modules_info:
    service: postgresql_postgresql
    database: odoo
    user: odoo
    password: "{{ lookup('smartercl.smarteros.secret', 'postgresql_odoo_password') }}"
    modules: [base, contacts]
  register: odoo
"""

RETURN = r"""
initialised:
  description: Whether Odoo has ever been in this database.
  returned: success
  type: bool
missing:
  description: Wanted modules that are not installed, in the order in which they were asked for.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import odoo, shape

INSTALLED = "installed"
OPTIONS: dict[str, dict[str, t.Any]] = {
    **shape.OPTIONS,
    "database": {"type": "str", "required": True},
    "user": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "modules": {"type": "list", "elements": "str", "required": True},
}


def work(module: shape.Caller) -> None:
    """Ask, and report."""
    wanted = module.params["modules"]

    def look(room: shape.Room) -> None:
        states = odoo.modules(room)
        missing = [name for name in wanted if states.get(name) != INSTALLED]
        room.outcome.facts.update(initialised=bool(states), missing=missing)

    shape.run(module, "PostgreSQL", "odoo", look, {"initialised": False, "missing": wanted})


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True))


if __name__ == "__main__":
    main()
