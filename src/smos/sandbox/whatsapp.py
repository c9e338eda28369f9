# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""WhatsApp's Cloud API as the sandbox plays it: numbers, templates, subscriptions, and messages that go nowhere.

What was sent stays to be looked at (`smos sandbox outbox`). Some numbers meet the troubles of real ones: one that ends
with 31026 cannot be delivered to, 31030 is not on the list of a test number, 31042 has a payment problem, 31047 takes
templates only, 31048 and 31049 are limited, 31056 got too many.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from collections.abc import Callable
from typing import Any

from smos.sandbox import whatsapp_store as store
from smos.sandbox.provider import Call, Operation, Provider, Reply, Throttle
from smos.sandbox.whatsapp_store import Refused, Row, failure

Handler = Callable[[Call], Reply]
LIMITED = "sandbox-whatsapp-limited"  # may manage, may not send
SCOPES = ("whatsapp_business_management", "whatsapp_business_messaging")
MAX_TEXT = 4096
_TROUBLES = {
    "31026": (400, 131026, "Message undeliverable"),
    "31030": (400, 131030, "Recipient phone number not in allowed list"),
    "31042": (400, 131042, "Business eligibility payment issue"),
    "31048": (400, 131048, "Spam rate limit hit"),
    "31049": (400, 131049, "This message was not delivered to maintain healthy ecosystem engagement"),
    "31056": (400, 131056, "(Business Account, Consumer Account) pair rate limit hit"),
}
_BAD_PARAMETER = re.compile(r"[\n\t]| {5,}")


def token_of(call: Call) -> str:
    """The bearer token of a request; Graph takes it as a query parameter, too."""
    kind, _space, token = call.headers.get("authorization", "").partition(" ")
    return token if kind.lower() == "bearer" else call.query.get("access_token", "")


def authenticate(call: Call, accepted: frozenset[str]) -> Reply | None:
    """A system user's token; what is no token of Meta at all gets another message than one that has ended."""
    token = token_of(call)
    if not token:
        text = "An access token is required to request this resource."
        return failure(400, 104, text)
    if any(hmac.compare_digest(token.encode(), one.encode()) for one in (*accepted, LIMITED)):
        return None
    if token.endswith("-expired"):
        ended = "Error validating access token: Session has expired on Saturday, 21-Nov-26 10:00:00 PST."
        return failure(401, 190, ended, subcode=463)
    return failure(401, 190, "Invalid OAuth access token - Cannot parse access token")


def fault_reply(status: int, message: str) -> Reply:
    """Faults, the rate limit and unknown paths in Graph's envelope."""
    known = {
        400: (100, "Invalid parameter"),
        401: (190, "Error validating access token: The session has been invalidated."),
        403: (10, "Application does not have permission for this action"),
        404: (2500, "Unknown path components"),
        405: (100, "Unsupported request method"),
        429: (130429, "Cloud API message throughput has been reached."),
        500: (131000, "Something went wrong"),
        503: (131016, "Service unavailable"),
    }
    code, text = known.get(status, (1, message))
    return failure(status, code, f"(#{code}) {text}")


def _answered(handler: Handler) -> Handler:
    """Turn a refusal into its answer."""

    def answered(call: Call) -> Reply:
        try:
            return handler(call)
        except Refused as refused:
            return refused.reply

    return answered


# --- numbers and accounts


def show(call: Call) -> Reply:
    """A node by its id: a number or a business account, with the wished fields."""
    node = call.params["id"]
    number, account = store.row(call.db, "numbers", node), store.row(call.db, "accounts", node)
    if number is None and account is None:
        raise _unknown(node)
    shown = _shown_number(number) if number is not None else {"id": node, "name": (account or {})["name"]}
    names = [name.strip() for name in call.query.get("fields", "").split(",") if name.strip()]
    unknown = [name for name in names if name not in shown]
    if unknown:
        raise Refused(400, 100, f"(#100) Tried accessing nonexisting field ({unknown[0]}) on node type")
    return Reply(200, {name: shown[name] for name in dict.fromkeys([*names, "id"])} if names else shown)


def numbers(call: Call) -> Reply:
    """The numbers of a business account; a page holds them all."""
    account = _account(call)
    rows = call.db.execute("SELECT * FROM whatsapp_numbers WHERE account_id = ? ORDER BY id", (account["id"],))
    return Reply(200, {"data": [_shown_number(row) for row in rows], "paging": _paging()})


def register(call: Call) -> Reply:
    """Register a number for the Cloud API with the PIN of its two-step verification."""
    number, body = _number(call), _object(call)
    if body.get("messaging_product") != "whatsapp" or not re.fullmatch(r"\d{6}", str(body.get("pin", ""))):
        raise Refused(400, 100, "(#100) Invalid parameter")
    call.db.execute("UPDATE whatsapp_numbers SET registered = 1 WHERE id = ?", (number["id"],))
    return Reply(200, {"success": True})


def permissions(call: Call) -> Reply:
    """What the token was granted."""
    granted = SCOPES[:1] if token_of(call) == LIMITED else SCOPES
    return Reply(200, {"data": [{"permission": scope, "status": "granted"} for scope in granted]})


def _unknown(node: str) -> Refused:
    text = (
        f"Unsupported request. Object with ID '{node}' does not exist, cannot be loaded due to missing permissions, or"
        " does not support this operation"
    )
    return Refused(400, 100, text, subcode=33)


def _number(call: Call) -> Row:
    found = store.row(call.db, "numbers", call.params["id"])
    if found is None:
        raise _unknown(call.params["id"])
    return found


def _account(call: Call) -> Row:
    found = store.row(call.db, "accounts", call.params["id"])
    if found is None:
        raise _unknown(call.params["id"])
    return found


def _shown_number(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "display_phone_number": row["display"],
        "verified_name": row["verified_name"],
        "quality_rating": "GREEN",
        "status": "LINKED" if row["registered"] else "PENDING",
        "code_verification_status": "VERIFIED",
        "platform_type": "CLOUD_API" if row["registered"] else "NOT_APPLICABLE",
        "throughput": {"level": "STANDARD"},
    }


def _paging(before: str = "QVFI", after: str = "QVFI") -> dict[str, Any]:
    return {"cursors": {"before": before, "after": after}}


def _object(call: Call) -> dict[str, Any]:
    if not isinstance(call.body, dict):
        raise Refused(400, 100, "(#100) The parameter messaging_product is required.")
    return call.body


# --- templates and subscriptions


def list_templates(call: Call) -> Reply:
    """Templates of a business account, by name when one is asked for; pages by cursor."""
    account = _account(call)
    try:
        limit, after = min(max(int(call.query.get("limit", "25")), 1), 1000), int(call.query.get("after", "0"))
    except ValueError:
        raise Refused(400, 100, "(#100) Invalid cursors values") from None
    name = call.query.get("name", "")
    rows = call.db.execute(
        "SELECT * FROM whatsapp_templates WHERE account_id = ? AND id > ? AND (? = '' OR name = ?) ORDER BY id LIMIT ?",
        (account["id"], after, name, name, limit + 1),
    ).fetchall()
    shown = rows[:limit]
    paging = _paging(str(shown[0]["id"]), str(shown[-1]["id"])) if shown else {}
    if len(rows) > limit:
        paging["next"] = f"{call.base_url}{call.path}?limit={limit}&after={shown[-1]['id']}"
    return Reply(200, {"data": [_shown_template(row) for row in shown], "paging": paging})


def create_template(call: Call) -> Reply:
    """A new template, which waits for its review; here a UTILITY one with «sandbox_approved» in its name does not."""
    account, body = _account(call), _object(call)
    name, language, category = body.get("name"), body.get("language"), body.get("category")
    components = body.get("components")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9_]{1,512}", name):
        raise Refused(400, 100, "(#100) Param name must contain only lowercase letters, digits and underscores")
    if not isinstance(language, str) or category not in ("UTILITY", "MARKETING", "AUTHENTICATION"):
        raise Refused(400, 100, "(#100) Invalid parameter")
    if not isinstance(components, list) or not all(isinstance(each, dict) for each in components):
        raise Refused(400, 100, "(#100) Param components must be an array")
    sql = "SELECT 1 FROM whatsapp_templates WHERE account_id = ? AND name = ? AND language = ?"
    if call.db.execute(sql, (account["id"], name, language)).fetchone():
        raise Refused(400, 100, "Content in this language already exists", subcode=2388024)
    status = "APPROVED" if "sandbox_approved" in name else "PENDING"
    number = store.add_template(call.db, account["id"], name, language, category, status, components)
    return Reply(200, {"id": str(number), "status": status, "category": category})


def delete_template(call: Call) -> Reply:
    """Delete all translations of a name."""
    account, name = _account(call), call.query.get("name", "")
    gone = call.db.execute(
        "DELETE FROM whatsapp_templates WHERE account_id = ? AND name = ?", (account["id"], name)
    ).rowcount
    if not gone:
        raise Refused(404, 100, "(#100) Message template not found", subcode=2593002)
    return Reply(200, {"success": True})


def _shown_template(row: Row) -> dict[str, Any]:
    return {
        "name": row["name"],
        "components": json.loads(row["components"]),
        "language": row["language"],
        "status": row["status"],
        "category": row["category"],
        "id": str(row["id"]),
    }


def subscriptions(call: Call) -> Reply:
    """The apps that hear of a business account's events."""
    account = _account(call)
    row = call.db.execute("SELECT * FROM whatsapp_subscriptions WHERE account_id = ?", (account["id"],)).fetchone()
    app = {"whatsapp_business_api_data": {"id": "100000000000009", "name": "SmarterOS", "link": "https://example.com/"}}
    override = {"override_callback_uri": row["override"]} if row is not None and row["override"] else {}
    return Reply(200, {"data": [] if row is None else [{**app, **override}]})


def subscribe(call: Call) -> Reply:
    """Let the token's app hear of events, perhaps at a callback of this account's own."""
    account, body = _account(call), call.body if isinstance(call.body, dict) else {}
    override = body.get("override_callback_uri", "")
    if override and not body.get("verify_token"):
        raise Refused(400, 100, "(#100) The parameter verify_token is required.")
    call.db.execute("REPLACE INTO whatsapp_subscriptions VALUES (?, ?)", (account["id"], str(override)))
    return Reply(200, {"success": True})


def unsubscribe(call: Call) -> Reply:
    call.db.execute("DELETE FROM whatsapp_subscriptions WHERE account_id = ?", (_account(call)["id"],))
    return Reply(200, {"success": True})


# --- messages


def send(call: Call) -> Reply:
    """Take a template or a text for one person, or note that a message was read."""
    if token_of(call) == LIMITED:
        raise Refused(403, 10, "(#10) Application does not have permission for this action")
    number, body = _number(call), _object(call)
    if body.get("messaging_product") != "whatsapp":
        raise Refused(400, 100, '(#100) Param messaging_product must be one of {WHATSAPP} - got "".')
    if body.get("status") == "read":
        return _read(body)
    if not number["registered"]:
        raise Refused(400, 133010, "(#133010) Account not registered")
    recipient = _recipient(body)
    kind = body.get("type", "text")
    if kind == "template":
        template, language, text = _template(call, number["account_id"], body)
    elif kind == "text":
        template, language, text = "", "", _text(body, recipient)
    else:
        raise Refused(400, 131051, "(#131051) Message type unknown", "The sandbox takes templates and texts.")
    _meet_trouble(recipient)
    return _accepted(call, str(body["to"]), recipient, (str(kind), template, language, text))


def _read(body: dict[str, Any]) -> Reply:
    if not isinstance(body.get("message_id"), str):
        raise Refused(400, 100, "(#100) The parameter message_id is required.")
    return Reply(200, {"success": True})


def _recipient(body: dict[str, Any]) -> str:
    """The number as WhatsApp knows it: Mexico's mobile numbers lose the 1 after the country code."""
    given = body.get("to")
    digits = re.sub(r"[\s()+-]", "", given) if isinstance(given, str) else ""
    if not digits:
        raise Refused(400, 100, "(#100) The parameter to is required.")
    if not re.fullmatch(r"[1-9]\d{6,14}", digits):
        raise Refused(400, 131009, "(#131009) Parameter value is not valid", "The phone number is malformed")
    return f"52{digits[3:]}" if digits.startswith("521") and len(digits) == 13 else digits


def _template(call: Call, account: str, body: dict[str, Any]) -> tuple[str, str, str]:
    """Name, language and rendered text of a template message."""
    wanted = body.get("template")
    code = wanted.get("language", {}).get("code") if isinstance(wanted, dict) else None
    if not isinstance(wanted, dict) or not isinstance(wanted.get("name"), str) or not isinstance(code, str):
        raise Refused(400, 100, "(#100) The parameter template[name] and template[language] are required.")
    sql = "SELECT * FROM whatsapp_templates WHERE account_id = ? AND name = ? AND language = ?"
    found = call.db.execute(sql, (account, wanted["name"], code)).fetchone()
    if found is not None and found["status"] == "PAUSED":
        raise Refused(400, 132015, "(#132015) Template is paused")
    if found is None or found["status"] != "APPROVED":
        details = f"template name ({wanted['name']}) does not exist in {code}"
        raise Refused(404, 132001, "(#132001) Template name does not exist in the translation", details)
    values, text = _values(wanted.get("components") or []), store.body_of(found)
    if len(values) != store.places(text):
        details = f"body: number of localizable_params ({len(values)}) does not match the expected number of params"
        text = f"{details} ({store.places(text)})"
        raise Refused(400, 132000, "(#132000) Number of parameters does not match the expected number of params", text)
    return wanted["name"], code, store.filled(text, values)


def _values(components: Any) -> list[str]:
    values: list[str] = []
    bodies = [each for each in components if isinstance(each, dict) and each.get("type") == "body"]
    for parameter in [each for body in bodies for each in body.get("parameters") or []]:
        text = parameter.get("text") if isinstance(parameter, dict) else None
        if not isinstance(text, str) or not text:
            raise Refused(
                400, 131008, "(#131008) Required parameter is missing", "Parameter of type text is missing text value"
            )
        if _BAD_PARAMETER.search(text):
            details = "Param text cannot have new-line/tab characters or more than 4 consecutive spaces"
            raise Refused(400, 132018, "(#132018) There is an issue with the parameters in your template", details)
        values.append(text)
    return values


def _text(body: dict[str, Any], recipient: str) -> str:
    inner = body.get("text")
    text = inner.get("body") if isinstance(inner, dict) else None
    if not isinstance(text, str) or not text:
        raise Refused(400, 100, "(#100) The parameter text['body'] is required.")
    if len(text) > MAX_TEXT:
        raise Refused(400, 100, f"(#100) Param text['body'] must be at most {MAX_TEXT} characters long.")
    if recipient.endswith("31047"):
        details = "Message failed to send because more than 24 hours have passed since the customer last replied."
        raise Refused(400, 131047, "(#131047) Re-engagement message", details)
    return text


def _meet_trouble(recipient: str) -> None:
    trouble = _TROUBLES.get(recipient[-5:])
    if trouble:
        status, code, text = trouble
        raise Refused(status, code, f"(#{code}) {text}", text)


def _accepted(call: Call, given: str, recipient: str, content: tuple[str, str, str, str]) -> Reply:
    message = "wamid." + secrets.token_urlsafe(30)
    call.db.execute(
        "INSERT INTO whatsapp_messages (id, at, sender, recipient, type, template, language, text)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (message, call.now, call.params["id"], recipient, *content),
    )
    contacts = [{"input": given, "wa_id": recipient}]
    messages = [{"id": message, "message_status": "accepted"}]
    return Reply(200, {"messaging_product": "whatsapp", "contacts": contacts, "messages": messages})


def _operation(method: str, path: str, name: str, handler: Handler) -> Operation:
    return Operation(method, path, name, _answered(handler), writes=method != "GET")


_NODE = "/{id:int}"
PROVIDER = Provider(
    name="whatsapp",
    base="/whatsapp/v23.0",
    schema=store.SCHEMA,
    operations=(
        _operation("GET", "/me/permissions", "permissions.list", permissions),
        _operation("GET", _NODE, "nodes.get", show),
        _operation("GET", f"{_NODE}/phone_numbers", "phone_numbers.list", numbers),
        _operation("POST", f"{_NODE}/register", "phone_numbers.register", register),
        _operation("GET", f"{_NODE}/message_templates", "templates.list", list_templates),
        _operation("POST", f"{_NODE}/message_templates", "templates.create", create_template),
        _operation("DELETE", f"{_NODE}/message_templates", "templates.delete", delete_template),
        _operation("GET", f"{_NODE}/subscribed_apps", "subscribed_apps.list", subscriptions),
        _operation("POST", f"{_NODE}/subscribed_apps", "subscribed_apps.create", subscribe),
        _operation("DELETE", f"{_NODE}/subscribed_apps", "subscribed_apps.delete", unsubscribe),
        _operation("POST", f"{_NODE}/messages", "messages.send", send),
    ),
    authenticate=authenticate,
    seed=store.seed,
    fault_reply=fault_reply,
    throttle=Throttle(requests=4800, seconds=60.0),  # 80 messages a second
)
