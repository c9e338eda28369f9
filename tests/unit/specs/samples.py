# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Specs and tenants for the tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SPECS = Path(__file__).resolve().parents[3] / "specs"
SERVICES = (
    "supabase",
    "metabase",
    "odoo",
    "chatwoot",
    "botpress",
    "vercel",
    "n8n",
    "cloudflare",
    "shopify",
    "whatsapp",
)
"""What a tenant gets, in the order in which it gets it."""


def tenant(**changes: Any) -> dict[str, Any]:
    """A sound tenant document; a value of ... takes the key out."""
    spec = {
        "rut": "12345678-5",
        "name": "Acme Corp",
        "slug": "acme",
        "domain": "acme.smarterbot.cl",
        "plan": "starter",
        **changes,
    }
    return {"spec": {key: value for key, value in spec.items() if value is not ...}}
