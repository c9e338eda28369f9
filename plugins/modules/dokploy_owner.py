#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The first administrator of a Dokploy and an API key."""

from __future__ import annotations

DOCUMENTATION = r"""
module: dokploy_owner
short_description: The first administrator of a Dokploy and an API key
version_added: 0.1.0
description:
  - Signs up where nobody has, and makes an API key named V(smarteros) with the organisation in its metadata and without a limit.
  - The sign-up may take minutes, since Dokploy looks for its public address first.
  - Works with Dokploy 0.29 and newer.
options:
  port:
    description: Port of the service in its container.
    type: int
    default: 3000
extends_documentation_fragment:
  - smartercl.smarteros.bootstrap
  - smartercl.smarteros.bootstrap.login
  - smartercl.smarteros.bootstrap.key
  - smartercl.smarteros.bootstrap.keep
  - smartercl.smarteros.bootstrap.name
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Make the administrator before anybody can reach Dokploy
  smartercl.smarteros.dokploy_owner:
    service: dokploy_dokploy
    email: admin@example.com
    password: "{{ lookup('smartercl.smarteros.secret', 'dokploy_admin_password') }}"
    api_key: "{{ lookup('smartercl.smarteros.secret', 'dokploy_api_key', default='') }}"
    keep: dokploy_api_key
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

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import dokploy as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import shape

OPTIONS: dict[str, dict[str, t.Any]] = {
    **shape.OPTIONS,
    **shape.LOGIN,
    **shape.KEY,
    **shape.KEEP,
    **shape.NAME,
    "port": {"type": "int", "default": service.PORT},
}


def work(module: shape.Caller) -> None:
    """Look, make what is missing unless in check mode, report."""
    shape.run(module, service.PRODUCT, "dokploy", service.secure)


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True))


if __name__ == "__main__":
    main()
