#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The administrator of a Portainer."""

from __future__ import annotations

DOCUMENTATION = r"""
module: portainer_admin
short_description: The administrator of a Portainer
version_added: 0.1.0
description:
  - Sees to it that the administrator is the one whose password is kept, before anybody can reach Portainer.
  - Portainer makes its administrator from a file with the password when it starts for the first time. Where it did not, it is
    made here. Where somebody else is the administrator, the task fails.
options:
  login:
    description: Login of the administrator.
    type: str
    default: admin
  password:
    description: Password of the administrator, of twelve characters or more.
    type: str
    required: true
  port:
    description: Port of the service in its container.
    type: int
    default: 9000
extends_documentation_fragment:
  - smartercl.smarteros.bootstrap
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: See to it that the administrator is ours
  smartercl.smarteros.portainer_admin:
    service: portainer_portainer
    password: "{{ lookup('smartercl.smarteros.secret', 'portainer_admin_password') }}"
"""

RETURN = r"""
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

from ansible_collections.smartercl.smarteros.plugins.module_utils import portainer_admin as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import shape

OPTIONS: dict[str, dict[str, t.Any]] = {
    **shape.OPTIONS,
    "login": {"type": "str", "default": "admin"},
    "password": {"type": "str", "required": True, "no_log": True},
    "port": {"type": "int", "default": service.PORT},
}


def work(module: shape.Caller) -> None:
    """Look, make what is missing unless in check mode, report."""
    shape.run(module, service.PRODUCT, "portainer", service.secure)


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True))


if __name__ == "__main__":
    main()
