# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How the modules for Odoo are told where it is; the specs are in ``module_utils/odoo_options.py``."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by Ansible's documentation tools."""

    DOCUMENTATION = r"""
options:
  url:
    description: Address of Odoo, without C(/jsonrpc).
    type: str
    required: true
  database:
    description: Name of the database.
    type: str
    required: true
  login:
    description: Login of a user who may administer access rights and, for charts of accounts, accounting.
    type: str
    required: true
  secret:
    description:
      - API key (or password) of that user.
      - Taken from the environment variable E(ODOO_API_KEY) when it is not set.
    type: str
    required: true
"""
