#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The first administrator of a Metabase and an API key."""

from __future__ import annotations

DOCUMENTATION = r"""
module: metabase_owner
short_description: The first administrator of a Metabase and an API key
version_added: 0.1.0
description:
  - Goes through the set-up where nobody has, signs in, and makes an API key named V(smarteros) in the group of administrators.
options:
  port:
    description: Port of the service in its container.
    type: int
    default: 3000
  site_name:
    description: Name of the site.
    type: str
    default: SmarterOS
  locale:
    description: Language of the site.
    type: str
    default: es
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
- name: Make the administrator before anybody can reach Metabase
  smartercl.smarteros.metabase_owner:
    service: metabase_metabase
    email: admin@example.com
    password: "{{ lookup('smartercl.smarteros.secret', 'metabase_admin_password') }}"
    api_key: "{{ lookup('smartercl.smarteros.secret', 'metabase_api_key', default='') }}"
    keep: metabase_api_key
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

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import metabase as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import shape

OPTIONS: dict[str, dict[str, t.Any]] = {
    **shape.OPTIONS,
    **shape.LOGIN,
    **shape.KEY,
    **shape.KEEP,
    **shape.NAME,
    "port": {"type": "int", "default": service.PORT},
    "site_name": {"type": "str", "default": "SmarterOS"},
    "locale": {"type": "str", "default": "es"},
}


def work(module: shape.Caller) -> None:
    """Look, make what is missing unless in check mode, report."""
    shape.run(module, service.PRODUCT, "metabase", service.secure)


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True))


if __name__ == "__main__":
    main()
