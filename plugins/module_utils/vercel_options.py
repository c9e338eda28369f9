# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Options that the Vercel modules share."""

from __future__ import annotations

import typing as t

from ansible.module_utils.basic import env_fallback

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.vercel import URL

CONNECTION: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "default": URL},
    "token": {"type": "str", "required": True, "no_log": True, "fallback": (env_fallback, ["VERCEL_TOKEN"])},
    "team": {"type": "str", "default": ""},
}
# A variable of a project
VARIABLE: dict[str, dict[str, t.Any]] = {
    "key": {"type": "str", "required": True, "no_log": False},
    "value": {"type": "str", "required": True, "no_log": True},
    "type": {"type": "str", "choices": ["sensitive", "encrypted", "plain"], "default": "sensitive"},
    "targets": {
        "type": "list",
        "elements": "str",
        "choices": ["production", "preview", "development"],
        "default": ["production", "preview"],
    },
    "branch": {"type": "str", "default": ""},
}
