#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secrets
short_description: Make, judge and rotate the secrets of an environment
description:
  - Works on the vault of the environment, a file in Ansible Vault's format, by the catalogue of names C(specs/secrets.yml).
  - No value is ever part of a result, a message or a difference.
  - Fails with exit code 3 where the vault cannot be opened, and tells where its password was looked for.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  job:
    description:
      - V(init) makes what is missing and touches nothing that is there.
      - V(check) judges every secret, and fails with exit code 3 where one is missing, weak, shared or half rotated.
      - V(rotate) gives one a new value and keeps the old one beside it, until V(settle) forgets it or V(back) puts it back. The
        services in the result have to be deployed in between. Secrets whose loss makes data unreadable are refused (exit code 4)
        with what a person does instead.
      - V(set) keeps a value that a person gives.
    type: str
    choices: [init, check, rotate, back, settle, set]
    default: check
  name:
    description: Name of the secret, for V(rotate), V(back), V(settle) and V(set).
    type: str
    default: ""
  variable:
    description: Name of the variable that holds the new value, for V(set). A value as an option would be shown.
    type: str
    default: secret_value
  services:
    description: Services of this installation. Secrets that none of them uses are neither missing nor needed. All when not given.
    type: list
    elements: str
  without:
    description: Services that this installation does without.
    type: list
    elements: str
    default: []
  file:
    description: The vault; else the variable C(smos_vault_file) names it.
    type: path
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
seealso:
  - plugin: smartercl.smarteros.secret
    plugin_type: lookup
  - module: smartercl.smarteros.secret_keep
"""

EXAMPLES = r"""
- name: Make the secrets that are missing
  smartercl.smarteros.secrets:
    job: init

- name: Begin to rotate the password of n8n's database
  smartercl.smarteros.secrets:
    job: rotate
    name: postgresql_n8n_password
"""

RETURN = r"""
file:
  description: The vault.
  returned: when it could be opened
  type: str
rows:
  description:
    - What is to be said of each secret, in rows of C(name), C(service), C(kind), C(rotation), C(state), C(age_days), C(message).
    - C(state) is V(ok), V(missing), V(unmade), V(weak), V(shared), V(pending), V(old), V(unused) or V(unknown).
  returned: O(job=init) and O(job=check)
  type: list
  elements: dict
services:
  description: Services to deploy for the change to take effect; the fact C(smos_secret_services) too.
  returned: O(job=rotate) and O(job=back)
  type: list
  elements: str
changes:
  description: What was changed, by name.
  returned: success
  type: list
  elements: dict
"""
