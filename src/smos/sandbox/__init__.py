"""The embedded sandbox: one local process that behaves like the providers SmarterOS works with.

``server`` starts and stops it (standard library only), ``app`` and ``engine`` are what runs inside it,
and each provider is one file (``cloudflare``, ``odoo``, ``chatwoot``, ``n8n``).
"""
