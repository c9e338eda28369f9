#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Super admin and platform token of a Chatwoot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: chatwoot_installation
short_description: Super admin and platform token of a Chatwoot
version_added: 0.1.0
description:
  - Makes the super admin where there is none, gives it the password that is kept, closes the set-up page that the first
    visitor would become super admin on, and makes the platform app V(smarteros).
  - Done in Chatwoot's own Rails runner, inside its container; one start of that takes 15 to 40 seconds.
options:
  name:
    description: Name of the super admin.
    type: str
    default: SmarterOS
  account:
    description: Name of the operator's own account, which is made along with the super admin.
    type: str
    default: SmarterOS
extends_documentation_fragment:
  - smartercl.smarteros.bootstrap
  - smartercl.smarteros.bootstrap.login
  - smartercl.smarteros.bootstrap.keep
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Make the super admin before anybody can reach Chatwoot
  smartercl.smarteros.chatwoot_installation:
    service: chatwoot_chatwoot
    email: admin@example.com
    password: "{{ lookup('smartercl.smarteros.secret', 'chatwoot_admin_password') }}"
    keep: chatwoot_platform_token
"""

RETURN = r"""
kept:
  description: Name of the secret, where the vault had another value or none.
  returned: when O(keep) is given and there is a value
  type: list
  elements: str
platform_token:
  description: Access token of the platform app.
  returned: success, without O(keep)
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

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import chatwoot as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import shape

OPTIONS: dict[str, dict[str, t.Any]] = {
    **shape.OPTIONS,
    **shape.LOGIN,
    **shape.KEEP,
    "name": {"type": "str", "default": "SmarterOS"},
    "account": {"type": "str", "default": "SmarterOS"},
}


def work(module: shape.Caller) -> None:
    """Look, make what is missing unless in check mode, report."""
    shape.run(module, service.PRODUCT, "chatwoot", service.secure)


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True))


if __name__ == "__main__":
    main()
