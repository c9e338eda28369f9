# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How the modules for Odoo are told where it is; documented in the fragment ``odoo``."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback

OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "database": {"type": "str", "required": True},
    "login": {"type": "str", "required": True},
    "secret": {"type": "str", "required": True, "no_log": True, "fallback": (env_fallback, ["ODOO_API_KEY"])},
}
