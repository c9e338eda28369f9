"""The environment `staging` of an instance, whose providers are those of its sandbox: there, RUTs are judged strictly."""

from __future__ import annotations

import json

from smos.sandbox import server
from support.instance import ZONE

VARIABLES = {
    "CLOUDFLARE_API_TOKEN": "sandbox-cloudflare-token",
    "CLOUDFLARE_ZONE": ZONE,
    "ODOO_API_KEY": "sandbox-odoo-token",
    "CHATWOOT_PLATFORM_TOKEN": "sandbox-chatwoot-token",
    "N8N_API_KEY": "sandbox-n8n-token",
}
"""The tokens of that environment."""


def options(sandbox: server.Sandbox) -> tuple[str, ...]:
    """The arguments that make a command work on `staging` with the sandbox's addresses."""
    urls = {f"{provider}_url": sandbox.provider_url(provider) for provider in server.BASES}
    return ("--env", "staging", "-e", json.dumps(urls))
