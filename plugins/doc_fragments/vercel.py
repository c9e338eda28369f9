# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the documentation of the Vercel modules has in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of ``module_utils/vercel_options.py``."""

    DOCUMENTATION = r"""
options:
  url:
    description: Where the API starts.
    type: str
    default: https://api.vercel.com
  token:
    description:
      - Access token for the account, the team or the project.
      - Taken from the environment variable E(VERCEL_TOKEN) when not given.
    type: str
    required: true
  team:
    description: Id (V(team_...)) or slug of the team. Empty for a personal account.
    type: str
    default: ''
"""
