#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The owner of an n8n and an API key of that owner."""

from __future__ import annotations

DOCUMENTATION = r"""
module: n8n_owner
short_description: The owner of an n8n and an API key of that owner
version_added: 0.1.0
description:
  - Sets up the owner where nobody has, signs in, and makes an API key with the label V(smarteros) and all scopes.
  - Works with n8n 1.62 to 2.x. Before 1.7x n8n gives every key the same label; there, the owner's only key is replaced.
options:
  port:
    description: Port of the service in its container.
    type: int
    default: 5678
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
- name: Make the owner before anybody can reach n8n
  smartercl.smarteros.n8n_owner:
    service: n8n_n8n
    email: admin@example.com
    password: "{{ lookup('smartercl.smarteros.secret', 'n8n_owner_password') }}"
    api_key: "{{ lookup('smartercl.smarteros.secret', 'n8n_api_key', default='') }}"
    keep: n8n_api_key
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

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import n8n as service
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
    shape.run(module, service.PRODUCT, "n8n", service.secure)


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True))


if __name__ == "__main__":
    main()
