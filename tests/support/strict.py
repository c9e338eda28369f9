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
"""The tokens that no tenant can do without in that environment."""
OPTIONAL = {
    "supabase": {
        "SUPABASE_SECRET_KEY": "sandbox-supabase-token",
        "SUPABASE_ACCESS_TOKEN": "sandbox-supabase-token",
        "SUPABASE_PROJECT": "sandboxsandboxsandbo",
        "SMOS_MASTER_SECRET": "a-master-secret-of-the-tests",
    },
    "metabase": {"METABASE_API_KEY": "sandbox-metabase-token", "METABASE_READER_HOST": "db.staging.example.com"},
    "botpress": {"BOTPRESS_EMAIL": f"operator@{ZONE}", "BOTPRESS_PASSWORD": "sandbox-botpress-token"},
    "vercel": {
        "VERCEL_TOKEN": "sandbox-vercel-token",
        "VERCEL_TEAM": "smarteros-sandbox",
        "VERCEL_PROJECT": "smarteros-app",
    },
    "shopify": {"SHOPIFY_CLIENT_ID": "sandbox-shopify-client", "SHOPIFY_CLIENT_SECRET": "sandbox-shopify-token"},
    "whatsapp": {
        "WHATSAPP_TOKEN": "sandbox-whatsapp-token",
        "WHATSAPP_PHONE_NUMBER_ID": "100000000000002",
        "WHATSAPP_BUSINESS_ACCOUNT_ID": "100000000000001",
    },
}
"""What the services that tenants can do without need there, by service."""


def variables(*without: str) -> dict[str, str]:
    """Everything that is needed there, except for these optional services."""
    return VARIABLES | {
        name: value for service, values in OPTIONAL.items() if service not in without for name, value in values.items()
    }


def options(sandbox: server.Sandbox) -> tuple[str, ...]:
    """The arguments that make a command work on `staging` with the sandbox's addresses."""
    urls = {f"{provider}_url": sandbox.provider_url(provider) for provider in server.BASES}
    # Shopify delivers to public addresses only
    further = {
        "supabase_management_url": sandbox.provider_url("supabase"),
        "shopify_n8n_url": "https://n8n.staging.example.com",
    }
    return ("--env", "staging", "-e", json.dumps(urls | further))
