#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The first user of a Botpress."""

from __future__ import annotations

DOCUMENTATION = r"""
module: botpress_owner
short_description: The first user of a Botpress
version_added: 0.1.0
description:
  - Botpress makes its first user at its first start from the environment. This makes sure that it did, does it where it did
    not, and fails where the first user is somebody else. A community Botpress has no API keys and no second user.
options:
  port:
    description: Port of the service in its container.
    type: int
    default: 3000
extends_documentation_fragment:
  - smartercl.smarteros.bootstrap
  - smartercl.smarteros.bootstrap.login
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Make sure that the first user is ours
  smartercl.smarteros.botpress_owner:
    service: botpress_botpress
    email: admin@example.com
    password: "{{ lookup('smartercl.smarteros.secret', 'botpress_password') }}"
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

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import botpress as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import shape

OPTIONS: dict[str, dict[str, t.Any]] = {
    **shape.OPTIONS,
    **shape.LOGIN,
    "port": {"type": "int", "default": service.PORT},
}


def work(module: shape.Caller) -> None:
    """Look, make what is missing unless in check mode, report."""
    shape.run(module, service.PRODUCT, "botpress", service.secure)


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True))


if __name__ == "__main__":
    main()
