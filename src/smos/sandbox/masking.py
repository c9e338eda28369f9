"""What must never be written down: secrets in bodies, queries and paths, made unreadable before they are kept."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"

SECRET_NAME = re.compile(
    r"passw|pass_?phrase|passcode|(?:^|[_-])pass$|pwd|secret|token|api[_-]?key|authori[sz]ation|(?:^|[_-])auth$"
    r"|private_?key|access_?key|encryption_?key|signing_?key|cookie|session_?id|(?:^|[_-])otp$|hmac",
    re.IGNORECASE,
)
IN_TEXT = (
    (re.compile(r"(?i)\b(bearer|basic)(\s+)[A-Za-z0-9._~+/=-]{6,}"), rf"\1\2{MASK}"),
    (re.compile(r"(?i)(://[^/\s:@]*:)[^/\s@]+@"), rf"\1{MASK}@"),
    (re.compile(r"(?i)([?&][^=&\s]*(?:token|key|secret|passw\w*|pwd)=)[^&\s\"']+"), rf"\1{MASK}"),
)
# Calls whose body is a secret as a whole below these keys.
SECRET_TREES = {("n8n", "credentials.create"): ("data",), ("n8n", "credentials.update"): ("data",)}
# Odoo's database service: calls that take no password, and the further places of passwords in those that do.
DB_WITHOUT_PASSWORD = frozenset({"list", "db_exist", "list_lang", "server_version"})
DB_FURTHER_PASSWORDS = {"create_database": (4,), "change_admin_password": (1,)}


class Masker:
    """Masks by field name, by known position (Odoo's JSON-RPC), and wherever one of ``tokens`` itself occurs."""

    def __init__(self, tokens: Iterable[str]) -> None:
        spellings = {spelling for token in tokens if token for spelling in _spellings(token)}
        longest_first = sorted(spellings, key=len, reverse=True)
        self._tokens = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """``text`` without the tokens and without what looks like a credential inside a sentence or an address."""
        for pattern, replacement in IN_TEXT:
            text = pattern.sub(replacement, text)
        return self._tokens.sub(MASK, text) if self._tokens else text

    def body(self, provider: str, operation: str, raw: bytes) -> str | None:
        """A request body as JSON text without its secrets; what is not JSON is only counted. ``None``: no body."""
        if not raw:
            return None
        try:
            data = json.loads(raw)
        except (ValueError, RecursionError):
            return json.dumps(f"({len(raw)} bytes, not JSON)")
        for key in SECRET_TREES.get((provider, operation), ()):
            if isinstance(data, dict) and key in data:
                data[key] = blank(data[key])
        if isinstance(data, dict) and isinstance(data.get("params"), dict) and "service" in data["params"]:
            data["params"] = _rpc(data["params"])
        return self._dump(self._tree(data))

    def query(self, query: dict[str, str]) -> str:
        """Query parameters as JSON text without their secrets."""
        return self._dump(self._tree(query)) if query else "{}"

    def _dump(self, data: Any) -> str:
        shown = json.dumps(data, separators=(",", ":"))
        return self._tokens.sub(MASK, shown) if self._tokens else shown

    def _tree(self, value: Any) -> Any:
        if isinstance(value, dict):
            named = value.get("name", value.get("key"))
            pair = "value" in value and isinstance(named, str) and SECRET_NAME.search(named)
            hidden = {key for key in value if SECRET_NAME.search(key) or (pair and key == "value")}
            return {self.text(key): blank(item) if key in hidden else self._tree(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._tree(item) for item in value]
        return self.text(value) if isinstance(value, str) else value


def blank(value: Any) -> Any:
    """``value`` in the same shape with every leaf masked; empty values and truth values stay as they are."""
    if isinstance(value, dict):
        return {key: blank(item) for key, item in value.items()}
    if isinstance(value, list):
        return [blank(item) for item in value]
    return value if value is None or value == "" or isinstance(value, bool) else MASK


def _rpc(params: dict[str, Any]) -> dict[str, Any]:
    """Odoo's ``{"service", "method", "args"}`` with the passwords, which have places and not names, masked."""
    service, method, args = params.get("service"), str(params.get("method")), params.get("args")
    if not isinstance(args, list):
        return params
    places: tuple[int, ...] = (2,)
    if service == "db":
        places = () if method in DB_WITHOUT_PASSWORD else (0, *DB_FURTHER_PASSWORDS.get(method, ()))
    args = [blank(item) if place in places else item for place, item in enumerate(args)]
    if service == "object" and len(args) > 5:
        args[5:] = _model_arguments(str(args[4]), args[5:])
    return {**params, "args": args}


def _model_arguments(method: str, arguments: list[Any]) -> list[Any]:
    """Arguments of a model's method: all masked for a method about passwords, the value of a secret parameter too."""
    if SECRET_NAME.search(method):
        return [blank(item) for item in arguments]
    first = arguments[0]
    if method == "set_param" and isinstance(first, list) and len(first) > 1 and SECRET_NAME.search(str(first[0])):
        arguments = [[first[0], blank(first[1]), *first[2:]], *arguments[1:]]
    return arguments


def _spellings(token: str) -> set[str]:
    """How a token may be spelled in a stored text: as it is, inside JSON, and inside an address."""
    in_json = {json.dumps(token)[1:-1], json.dumps(token, ensure_ascii=False)[1:-1]}
    return {token, quote(token), quote_plus(token), *in_json}
