# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How the modules for Supabase are told where it is; the specs are in ``module_utils/supabase_options.py``."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by Ansible's documentation tools."""

    DOCUMENTATION = r"""
options:
  url:
    description: Address of the project, for example V(https://abcdefghijklmnopqrst.supabase.co).
    type: str
    required: true
  secret_key:
    description:
      - Secret key of the project (C(sb_secret_), or the legacy C(service_role) JWT). It passes all row level security.
      - Taken from the environment variable E(SUPABASE_SECRET_KEY) when it is not set.
    type: str
    required: true
"""

    SQL = r"""
options:
  management_url:
    description: Where the Management API starts.
    type: str
    default: https://api.supabase.com
  access_token:
    description:
      - Access token of the Management API (C(sbp_)), with read and write access to the project's database.
      - Taken from the environment variable E(SUPABASE_ACCESS_TOKEN) when it is not set.
    type: str
    default: ''
  project:
    description: Ref of the project, the twenty letters that its address begins with. Needed with O(access_token).
    type: str
    default: ''
  database_url:
    description:
      - Address of the database, V(postgresql://user:password@host:5432/postgres). With it, SQL does not go through the
        Management API. The user bypasses row level security and may create roles, as V(postgres) does on Supabase.
      - Needs the Python package C(psycopg), version 3.
      - Taken from the environment variable E(SUPABASE_DATABASE_URL) when it is not set.
    type: str
    default: ''
"""
