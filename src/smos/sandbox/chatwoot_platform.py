# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Chatwoot's Platform API: accounts, users and who belongs where. A token sees only what it made itself."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

from smos.sandbox import chatwoot_store as store
from smos.sandbox.chatwoot_store import Row
from smos.sandbox.passwords import hashed
from smos.sandbox.provider import Call, Reply

_TEXTS = ("name", "locale", "domain", "support_email", "status")
_MAPPINGS = ("limits", "custom_attributes")


def token_of(call: Call) -> str:
    """The access token of a request; a web server may have turned the underscores of the header into dashes."""
    return call.headers.get("api_access_token") or call.headers.get("api-access-token") or ""


def _app(call: Call) -> str:
    """The platform app behind a token; the token itself is not kept."""
    return hashlib.sha256(token_of(call).encode()).hexdigest()[:16]


def _permit(call: Call, kind: str, object_id: int) -> None:
    call.db.execute("INSERT OR IGNORE INTO chatwoot_permission VALUES (?, ?, ?)", (_app(call), kind, object_id))


def _check_permitted(call: Call, kind: str, object_id: int) -> None:
    sql = "SELECT 1 FROM chatwoot_permission WHERE app = ? AND kind = ? AND object_id = ?"
    if call.db.execute(sql, (_app(call), kind, object_id)).fetchone() is None:
        raise store.unauthorized("Non permissible resource")


def _account(call: Call) -> Row:
    row = store.account(call.db, call.params["account_id"])
    _check_permitted(call, "account", row["id"])
    return row


def _user(call: Call) -> Row:
    row = store.user(call.db, call.params["id"])
    _check_permitted(call, "user", row["id"])
    return row


# -- accounts ----------------------------------------------------------------------------------------------------


def list_accounts(call: Call) -> Reply:
    """All accounts this token made (since 4.x; no pages)."""
    rows = call.db.execute(
        "SELECT a.* FROM chatwoot_permission p JOIN chatwoot_account a ON a.id = p.object_id"
        " WHERE p.app = ? AND p.kind = 'account' ORDER BY a.id",
        (_app(call),),
    )
    return Reply(200, [store.shown_platform_account(row) for row in rows])


def create_account(call: Call) -> Reply:
    """A new account, whatever others are called: nothing is unique here."""
    given = store.fields(call)
    columns = {"locale": "en", "status": "active", "limits": "{}", "custom_attributes": "{}", **_columns(given)}
    _check_account({"name": None, **columns})
    features = json.dumps(_features(dict(store.FEATURES), given.get("features")))
    columns |= {"features": features, "created_at": call.now}
    names = ", ".join(columns)
    marks = ", ".join("?" * len(columns))
    sql = f"INSERT INTO chatwoot_account ({names}) VALUES ({marks})"
    account_id = int(call.db.execute(sql, tuple(columns.values())).lastrowid or 0)
    _permit(call, "account", account_id)
    return Reply(200, store.shown_platform_account(store.account(call.db, account_id)))


def show_account(call: Call) -> Reply:
    return Reply(200, store.shown_platform_account(_account(call)))


def update_account(call: Call) -> Reply:
    """Change what is given; ``custom_attributes`` and ``limits`` are replaced whole, ``features`` one by one."""
    row, given = _account(call), store.fields(call)
    columns = _columns(given)
    _check_account({**dict(row), **columns})
    columns["features"] = json.dumps(_features(json.loads(row["features"]), given.get("features")))
    sets = ", ".join(f"{name} = ?" for name in columns)
    call.db.execute(f"UPDATE chatwoot_account SET {sets} WHERE id = ?", (*columns.values(), row["id"]))
    return Reply(200, store.shown_platform_account(store.account(call.db, row["id"])))


def delete_account(call: Call) -> Reply:
    """Answers 200 at once; Chatwoot's background job is done here before the answer."""
    account_id = _account(call)["id"]
    talk = "SELECT id FROM chatwoot_conversation WHERE account_id = ?"
    call.db.execute(f"DELETE FROM chatwoot_message WHERE conversation_id IN ({talk})", (account_id,))
    for table in ("member", "inbox", "webhook", "contact", "conversation"):
        call.db.execute(f"DELETE FROM chatwoot_{table} WHERE account_id = ?", (account_id,))
    call.db.execute("DELETE FROM chatwoot_account WHERE id = ?", (account_id,))
    store.forget_permissions(call.db, "account", account_id)
    return Reply(200)


def _columns(given: dict[str, Any]) -> dict[str, Any]:
    columns: dict[str, Any] = {name: store.text(given[name]) for name in _TEXTS if name in given}
    columns.update({name: json.dumps(store.mapping(given[name])) for name in _MAPPINGS if name in given})
    return columns


def _check_account(columns: dict[str, Any]) -> None:
    if not (columns["name"] or "").strip():
        raise store.invalid("Name can't be blank", "name")
    if len(columns["name"]) > 255:
        raise store.invalid("Name is too long (maximum is 255 characters)", "name")
    if len(columns.get("domain") or "") > 100:
        raise store.invalid("Domain is too long (maximum is 100 characters)", "domain")
    if columns["locale"] not in store.LOCALES or columns["status"] not in ("active", "suspended"):
        raise store.crash()


def _features(before: dict[str, bool], wanted: Any) -> dict[str, bool]:
    """Switch features on or off; a name Chatwoot does not know makes it crash."""
    for name, on in store.mapping(wanted).items():
        if name not in store.FEATURES:
            raise store.crash()
        before[name] = bool(on)
    return before


# -- users -------------------------------------------------------------------------------------------------------


def create_user(call: Call) -> Reply:
    """A new user; one whose e-mail exists is answered as he is, his password and name unchanged."""
    given = store.fields(call)
    known = store.user_by_email(call.db, store.text(given.get("email")))
    user_id = known["id"] if known else store.add_user(call, given)
    _permit(call, "user", user_id)
    return Reply(200, store.shown_user(call.db, store.user(call.db, user_id)))


def show_user(call: Call) -> Reply:
    return Reply(200, store.shown_user(call.db, _user(call)))


def update_user(call: Call) -> Reply:
    """Change what is given; ``custom_attributes`` are merged."""
    row, given = _user(call), store.fields(call)
    columns: dict[str, Any] = {
        name: store.text(given[name]) or "" for name in ("name", "display_name") if name in given
    }
    if "email" in given:
        columns["email"] = (store.text(given["email"]) or "").strip().lower()
        store.check_email(columns["email"])
        if (store.user_by_email(call.db, columns["email"]) or row)["id"] != row["id"]:
            raise store.invalid("Email has already been taken", "email")
    if given.get("password"):
        store.check_password(str(given["password"]))
        columns["password"] = hashed(str(given["password"]))
    merged = {**json.loads(row["custom_attributes"]), **store.mapping(given.get("custom_attributes"))}
    columns["custom_attributes"] = json.dumps(merged)
    sets = ", ".join(f"{name} = ?" for name in columns)
    call.db.execute(f"UPDATE chatwoot_user SET {sets} WHERE id = ?", (*columns.values(), row["id"]))
    return Reply(200, store.shown_user(call.db, store.user(call.db, row["id"])))


def delete_user(call: Call) -> Reply:
    store.remove_user(call.db, _user(call)["id"])
    return Reply(200)


def login_link(call: Call) -> Reply:
    """A link that logs the user in once."""
    row = _user(call)
    link = f"{call.base_url}/app/login?email={quote(row['email'])}&sso_auth_token={store.new_token()}"
    return Reply(200, {"url": link})


def user_token(call: Call) -> Reply:
    """The user's personal token (since 4.x)."""
    row = _user(call)
    user = {"id": row["id"], "name": row["name"], "email": row["email"]}
    return Reply(200, {"access_token": row["access_token"], "expiry": None, "user": user})


# -- who belongs where -------------------------------------------------------------------------------------------


def list_members(call: Call) -> Reply:
    rows = call.db.execute("SELECT * FROM chatwoot_member WHERE account_id = ? ORDER BY id", (_account(call)["id"],))
    return Reply(200, [store.shown_member(row) for row in rows])


def put_member(call: Call) -> Reply:
    """Add a user to an account, or change his role there. Whether the user may be seen is not asked."""
    account_id, given = _account(call)["id"], store.fields(call)
    user_id = store.number(given.get("user_id"))
    if call.db.execute("SELECT 1 FROM chatwoot_user WHERE id = ?", (user_id,)).fetchone() is None:
        raise store.invalid("User must exist", "user")
    return Reply(200, store.shown_member(store.put_member(call, account_id, user_id, {"role": given.get("role")})))


def remove_member(call: Call) -> Reply:
    """Take a user out of an account; one who is not in it is no error. The user himself stays."""
    account_id, given = _account(call)["id"], {**call.query, **store.fields(call)}
    call.db.execute(
        "DELETE FROM chatwoot_member WHERE account_id = ? AND user_id = ?",
        (account_id, store.number(given.get("user_id"))),
    )
    return Reply(200)
