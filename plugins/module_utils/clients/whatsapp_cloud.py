# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""WhatsApp's Cloud API (Meta Graph): send a template or a text, and tell what a token is good for.

The version is part of the address (``https://graph.facebook.com/v23.0``) and stands nowhere else. An accepted message
is not yet a delivered one, and Meta knows no idempotency key: a message whose answer is lost is never sent again here.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Http, Policy

MAX_TEXT = 4096  # characters of a text message
MAX_PARAMETER = 900  # characters that we put into one place of a template; a whole body may have 1,024
MESSAGING, MANAGEMENT = "whatsapp_business_messaging", "whatsapp_business_management"
_FIELDS = "display_phone_number,verified_name,quality_rating,code_verification_status,platform_type"
_PATIENCE = 10.0  # seconds in all for one message: the next run sends what did not get through

# What to do about Meta's error codes, in words for the operator.
ADVICE: t.Mapping[str, str] = {
    "190": "the token has ended or is none: make one for a system user, without end (that of the quick start lives 24 h)",
    "10": "the token lacks a permission: give its system user whatsapp_business_messaging and the business account",
    "100": "a parameter or an id is wrong: compare the number's id and the business account with WhatsApp Manager",
    "131005": "the token lacks a permission: give its system user whatsapp_business_messaging and the business account",
    "131009": "a value is not valid: the telephone number is written as +56912345678",
    "131026": "the recipient cannot be reached: the number has no WhatsApp, or has not accepted its terms",
    "131030": "a test number writes only to the recipients on its list: add the recipient there, or use a real number",
    "131031": "Meta has locked the business account: see the account's quality page",
    "131042": "Meta wants a payment method for the business account",
    "131047": "more than 24 hours have passed since the recipient wrote: only an approved template may be sent",
    "131048": "Meta holds messages of this number back as spam: wait, and look at its quality rating",
    "131049": "Meta limits what this person gets of this kind: wait a day",
    "131056": "too many messages to the same recipient: wait some minutes",
    "132000": "the number of parameters differs from that of the approved template",
    "132001": "there is no approved template of this name in this language: create it, or wait for its review",
    "132015": "Meta paused the template because of its quality: edit it in WhatsApp Manager",
    "132018": "a parameter has a line break, a tab or many spaces",
    "133010": "the number is not registered for the Cloud API: register it with its PIN",
    "368": "Meta has blocked the business account for a breach of its policy",
}
# Of the application or number as a whole; refused without having been carried out
_LIMITS = frozenset({"4", "80007", "130429"})
_PASSING = frozenset({"1", "2", "131000", "131016"})
_TOKEN = frozenset({"102", "104", "190"})
_PERSONAL = frozenset({"131008", "131009", "131026", "131030", "131047", "131049"})


@dataclass(frozen=True)
class Template:
    """An approved template by name and language, with the texts for the places of its body."""

    name: str
    language: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sent:
    """What Meta said to a message: its id, and the recipient as WhatsApp knows him (countries rewrite numbers)."""

    id: str
    recipient: str
    status: str = "accepted"


class WhatsAppHttp(Http):
    """The common HTTP policy with the Graph API's error envelope."""

    def error(self, answer: Answer, where: str) -> ApiError:
        """The code decides; Graph uses few statuses, and 400 for most refusals."""
        plain = super().error(answer, where)
        inner = answer.body.get("error") if isinstance(answer.body, dict) else None
        if not isinstance(inner, dict):
            return plain
        code = str(inner.get("code") or "")
        data = inner.get("error_data")
        details = data.get("details") if isinstance(data, dict) else ""
        subcode = str(inner.get("error_subcode") or "")
        parts = [str(inner.get("message") or "no message"), str(details or ""), advice(code)]
        text = ": ".join(dict.fromkeys(part for part in parts if part))
        known = f"code {code}" + (f", subcode {subcode}" if subcode else "")
        return ApiError(f"{self.shown(text)} (Meta {known})", _kind(code, plain.kind), answer.status, code, where)


class WhatsApp:
    """One sender: a number of a business account. Safe to use from many threads; never shows the token."""

    def __init__(self, http: Http, phone_number_id: str, business_account_id: str = "") -> None:
        self.http = http
        self.phone_number_id = phone_number_id
        self.business_account_id = business_account_id

    def send_template(self, to: str, template: Template) -> Sent:
        """Send an approved template. Raises ApiError; with the kind ``unanswered`` it may have been sent."""
        texts = [{"type": "text", "text": parameter(value)} for value in template.parameters]
        content: dict[str, t.Any] = {
            "name": template.name,
            "language": {"policy": "deterministic", "code": template.language},
        }
        if texts:
            content["components"] = [{"type": "body", "parameters": texts}]
        return self._send(to, "template", content)

    def send_text(self, to: str, text: str, preview_url: bool = False) -> Sent:
        """Send a text, which Meta takes within 24 hours of the recipient's last message. Raises as `send_template`."""
        if len(text) > MAX_TEXT:
            raise ApiError(f"the text has {len(text)} characters, and WhatsApp takes {MAX_TEXT}", errors.INVALID)
        return self._send(to, "text", {"body": text, "preview_url": preview_url})

    def probe(self) -> str:
        """The number and its verified name; one request. Raises ApiError where the token cannot read it."""
        row = self._node(self.phone_number_id, _FIELDS)
        return " ".join(str(row.get(key) or "") for key in ("display_phone_number", "verified_name")).strip()

    def check(self) -> dict[str, t.Any]:
        """What the token is good for (see ``verdicts``). Reads only."""
        account = ""
        try:
            account = self.probe()
            lacking = self._lacking()
            if lacking:
                why = f"the token lacks {' and '.join(lacking)}"
                return {"state": "insufficient", "account": account, "message": why, "missing_scopes": lacking}
            stray = self._stray()
        except ApiError as exc:
            return {**_verdict(exc), "account": account}
        if stray:
            return {"state": "insufficient", "account": account, "message": stray}
        return {"state": "valid", "account": account, "message": "the number can be used"}

    def _send(self, to: str, kind: str, content: t.Mapping[str, t.Any]) -> Sent:
        body = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": digits(to),
            "type": kind,
            kind: dict(content),
        }
        path = f"/{self.phone_number_id}/messages"
        # repeat=False: a message that may have been sent is never sent again
        answer = self.http.request("POST", path, json=body, repeat=False).body
        message = _first(answer, "messages")
        if not isinstance(message.get("id"), str):
            where = f"POST {self.http.base_url}{path}"
            raise ApiError("the answer has no message id: it may have been sent", errors.UNANSWERED, 200, where=where)
        recipient = str(_first(answer, "contacts").get("wa_id") or digits(to))
        return Sent(message["id"], recipient, str(message.get("message_status") or "accepted"))

    def _node(self, number: str, fields: str) -> t.Mapping[str, t.Any]:
        path = f"/{number}"
        body = self.http.request("GET", path, params={"fields": fields}).body
        if not isinstance(body, dict) or str(body.get("id")) != number:
            raise ApiError("this is not Meta's Graph API", errors.INVALID, 200, where=f"GET {self.http.base_url}{path}")
        return body

    def _lacking(self) -> list[str]:
        """Permissions that the token was not given; empty where Meta does not tell."""
        try:
            body = self.http.request("GET", "/me/permissions").body
        except ApiError as exc:
            if exc.kind in (errors.INVALID, errors.MISSING, errors.REFUSED):
                return []
            raise
        rows = body.get("data") if isinstance(body, dict) else None
        listed = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        granted = {str(row.get("permission")) for row in listed if row.get("status") == "granted"}
        return [scope for scope in (MANAGEMENT, MESSAGING) if granted and scope not in granted]

    def _stray(self) -> str:
        """Why number and business account do not belong together; empty when they do."""
        if not self.business_account_id:
            return ""
        path = f"/{self.business_account_id}/phone_numbers"
        body = self.http.request("GET", path, params={"fields": "id", "limit": 100}).body
        rows = body.get("data") if isinstance(body, dict) else None
        paging = body.get("paging") if isinstance(body, dict) else None
        ids = {str(row.get("id")) for row in rows if isinstance(row, dict)} if isinstance(rows, list) else set()
        more = isinstance(paging, dict) and bool(paging.get("next"))
        if self.phone_number_id in ids or more:
            return ""
        return f"the business account {self.business_account_id} has no number with the id {self.phone_number_id}"


def connect(connection: t.Mapping[str, t.Any], policy: Policy | None = None) -> WhatsApp:
    """The sender for ``url``, ``token``, ``phone_number_id`` and perhaps ``business_account_id``."""
    token = str(connection["token"])
    rule = policy or Policy()
    http = WhatsAppHttp(
        str(connection["url"]),
        headers={"Authorization": f"Bearer {token}"},
        secrets=(token,),
        policy=replace(rule, patience=min(rule.patience, _PATIENCE)),
    )
    return WhatsApp(http, str(connection["phone_number_id"]), str(connection.get("business_account_id") or ""))


def advice(code: str) -> str:
    """What to do about an error code of Meta; empty where nothing better is known than Meta's own words."""
    if code.isdigit() and 200 <= int(code) <= 299:
        code = "10"
    return ADVICE.get(code, "")


def is_personal(code: str) -> bool:
    """Whether an error concerns one recipient, so that trying again later is no use."""
    return code in _PERSONAL


def digits(number: str) -> str:
    """A telephone number as Meta takes it: digits with the country code."""
    found = re.sub(r"[\s().+-]", "", number)
    if not re.fullmatch(r"[1-9][0-9]{6,14}", found):
        raise ApiError("the telephone number is not written as +56912345678", errors.INVALID, code="131009")
    return found


def parameter(text: str) -> str:
    """A text fit for a place in a template: one line, no tabs, no rows of spaces, never empty, not too long."""
    words = " ".join(text.split()) or "-"
    return words if len(words) <= MAX_PARAMETER else words[: MAX_PARAMETER - 1] + "…"


def _kind(code: str, kind: str) -> str:
    if code in _LIMITS or code in _PASSING:
        return errors.THROTTLED
    if code in _TOKEN or code == "10" or (code.isdigit() and 200 <= int(code) <= 299):
        return errors.REFUSED
    return errors.INVALID if code and kind in (errors.SERVER, errors.MISSING, errors.THROTTLED) else kind


def _verdict(exc: ApiError) -> dict[str, t.Any]:
    if exc.code in _TOKEN:
        return {"state": "invalid", "message": exc.message}
    if exc.kind == errors.REFUSED:
        return {"state": "insufficient", "message": exc.message, "missing_scopes": [MANAGEMENT]}
    if exc.code == "100":  # Meta says the same of an id that is not there and of one that the token may not see
        return {"state": "insufficient", "message": exc.message}
    return {"state": "invalid" if exc.kind == errors.INVALID else "unreachable", "message": exc.message}


def _first(body: t.Any, key: str) -> t.Mapping[str, t.Any]:
    rows = body.get(key) if isinstance(body, dict) else None
    first = rows[0] if isinstance(rows, list) and rows else None
    return first if isinstance(first, dict) else {}
