# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""WhatsApp numbers in Chatwoot's inboxes: checked with Meta while they are made, and shown with all their secrets."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from typing import Any

from smos.sandbox import chatwoot_store as store
from smos.sandbox.provider import Call

_NUMBER = re.compile(r"\+[1-9]\d{1,14}")
# Meta's side knows the sandbox's own token, and one for each tenant
_TOKEN = re.compile(r"sandbox-whatsapp-(?!limited)[a-z0-9-]+")


def channel(call: Call, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a new number, which is unique in the whole installation."""
    number = store.text(given.get("phone_number")) or ""
    if not _NUMBER.fullmatch(number):
        raise store.invalid("Phone number is invalid", "phone_number")
    sql = "SELECT 1 FROM chatwoot_inbox WHERE channel = 'whatsapp' AND json_extract(settings, '$.phone_number') = ?"
    if call.db.execute(sql, (number,)).fetchone():
        raise store.invalid("Phone number has already been taken", "phone_number")
    config = {"webhook_verify_token": secrets.token_hex(16), **store.mapping(given.get("provider_config"))}
    settings = {
        "phone_number": number,
        "provider": store.text(given.get("provider")) or "default",
        "provider_config": config,
        "message_templates": [],
        "reauthorization_required": False,
    }
    check(settings)
    return settings


def check(settings: Mapping[str, Any]) -> None:
    """What Chatwoot asks Meta: may this token read the templates of this business account?"""
    config = store.mapping(settings.get("provider_config"))
    token = str(config.get("api_key") or "")
    known = _TOKEN.fullmatch(token) or token == os.environ.get("SMOS_SANDBOX_WHATSAPP_TOKEN")
    ids = all(re.fullmatch(r"\d+", str(config.get(key) or "")) for key in ("phone_number_id", "business_account_id"))
    if settings.get("provider") != "whatsapp_cloud" or not token or not known or not ids:
        raise store.invalid("Provider config Invalid Credentials", "provider_config")
