# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How the modules for Hostinger are told where it is and who asks."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by Ansible's documentation tools."""

    DOCUMENTATION = r"""
options:
  url:
    description: Where Hostinger's API starts.
    type: str
    default: https://developers.hostinger.com
  token:
    description:
      - API token. Hostinger's tokens have all rights of their owner; there are no scopes.
      - Taken from the environment variable E(HOSTINGER_API_TOKEN) when not given.
    type: str
    required: true
"""
