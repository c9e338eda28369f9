# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The ways to write to people, as one provider: WhatsApp, mail, or both. One of them is enough."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import mail, whatsapp_cloud
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy

_OWN = ("token", "phone_number_id", "business_account_id")
# The worst first: what the whole is worth when its parts differ
_STATES = ("invalid", "insufficient", "missing", "unreachable", "valid")


class Messengers:
    """WhatsApp and mail, each None where it is not configured."""

    def __init__(self, whatsapp: whatsapp_cloud.WhatsApp | None, mailer: mail.MailClient | None) -> None:
        self.whatsapp = whatsapp
        self.mail = mailer

    @property
    def sent(self) -> int:
        """How many requests went out, a mail counting as one."""
        return (self.whatsapp.http.sent if self.whatsapp else 0) + (self.mail.sent if self.mail else 0)

    def check(self) -> dict[str, t.Any]:
        """What the tokens are good for: the worse of the two, the message saying which. Reads only, sends nothing."""
        named = {"WhatsApp": self.whatsapp, "mail": self.mail}
        said = {name: client.check() for name, client in named.items() if client is not None}
        if not said:
            return {"state": "missing", "account": "", "message": "neither WhatsApp nor a mail server is configured"}
        state = min((str(each["state"]) for each in said.values()), key=_STATES.index)
        spoken = {name: each for name, each in said.items() if each["state"] == state}
        return {
            "state": state,
            "account": ", ".join(str(each["account"]) for each in said.values() if each["account"]),
            "message": "; ".join(f"{name}: {each['message']}" for name, each in spoken.items()),
            "missing_scopes": [scope for each in said.values() for scope in each.get("missing_scopes", [])],
        }

    def claimed(self, _wishes: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, str]:
        """Nothing can be taken."""
        return {}


def connect(connection: t.Mapping[str, t.Any], policy: Policy | None = None) -> Messengers:
    """Both ways, as far as they are set.

    WhatsApp has ``url, token, phone_number_id`` and ``business_account_id``; ``smtp`` is a mapping (or its JSON text)
    with ``host, port, user, password, from, tls``.
    """
    server = smtp_of(connection)
    return Messengers(
        whatsapp_cloud.connect(connection, policy) if connection.get("token") else None,
        mail.connect(server, policy) if server.get("host") else None,
    )


def lacking(connection: t.Mapping[str, t.Any]) -> list[str]:
    """The variables that are not set and have to be: WhatsApp needs all of its own, unless there is mail and none of them."""
    own = [key for key in _OWN if not connection.get(key)]
    if len(own) == len(_OWN) and smtp_of(connection).get("host"):
        return []
    return own


def smtp_of(connection: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The mail server of a connection; empty where there is none. Raises ApiError for what is no mapping."""
    given = connection.get("smtp") or {}
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            raise ApiError("whatsapp_smtp is not a mapping", errors.INVALID) from None
    return dict(given) if isinstance(given, t.Mapping) else {}
