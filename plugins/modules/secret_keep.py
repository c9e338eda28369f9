#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_keep
short_description: Keep in the vault what a service has made and shows only once
description:
  - Writes API keys and tokens that a service makes itself into the vault of the environment. Only names whose kind is C(made) in
    C(specs/secrets.yml) are taken.
  - Empty values are left out, and what is kept already is not written again.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  secrets:
    description: Values by name.
    type: dict
    required: true
  file:
    description: The vault; else the variable C(smos_vault_file) names it.
    type: path
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
seealso:
  - plugin: smartercl.smarteros.secret
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Keep the API key, which n8n shows only now
  smartercl.smarteros.secret_keep:
    secrets:
      n8n_api_key: "{{ __n8n_owner.api_key | default('') }}"
  no_log: true
"""

RETURN = r"""
kept:
  description: Names that were not kept yet, or with another value.
  returned: success
  type: list
  elements: str
"""
