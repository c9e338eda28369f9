# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How the modules for Supabase are told where it is; documented in the fragment ``supabase``."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback, missing_required_lib

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import supabase_sql

DATA: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "secret_key": {
        "type": "str",
        "required": True,
        "no_log": True,
        "fallback": (env_fallback, ["SUPABASE_SECRET_KEY"]),
    },
}
SQL: dict[str, dict[str, t.Any]] = {
    "management_url": {"type": "str", "default": supabase_sql.URL},
    "access_token": {
        "type": "str",
        "default": "",
        "no_log": True,
        "fallback": (env_fallback, ["SUPABASE_ACCESS_TOKEN"]),
    },
    "project": {"type": "str", "default": ""},
    "database_url": {
        "type": "str",
        "default": "",
        "no_log": True,
        "fallback": (env_fallback, ["SUPABASE_DATABASE_URL"]),
    },
}


def needs_psycopg(module: bulk.Caller) -> None:
    """End the module where a database address is given and psycopg is not installed."""
    if module.params["database_url"]:
        missing = supabase_sql.psycopg_missing()
        if missing is not None:
            module.fail_json(msg=missing_required_lib("psycopg", url="https://www.psycopg.org/psycopg3/"))
