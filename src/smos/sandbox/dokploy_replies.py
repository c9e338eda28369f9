"""Dokploy's ways to answer: errors with their codes, and validation of bodies as its procedures do it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smos.sandbox.provider import Call, Reply

CODES = {400: "BAD_REQUEST", 401: "UNAUTHORIZED", 403: "FORBIDDEN", 404: "NOT_FOUND", 429: "TOO_MANY_REQUESTS"}


class Refused(Exception):
    """A call that Dokploy refuses."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self.reply = reply


def failure(status: int, message: str, procedure: str = "") -> Reply:
    """The body of a refusal."""
    code = CODES.get(status, "INTERNAL_SERVER_ERROR")
    data: dict[str, Any] = {"code": code, "httpStatus": status, "zodError": None}
    if procedure:
        data["path"] = procedure
    return Reply(status, {"message": message, "code": code, "data": data})


def invalid(procedure: str, wrong: Mapping[str, str]) -> Reply:
    """400 for fields that do not fit."""
    reply = failure(400, "Input validation failed", procedure)
    fields = {name: [text] for name, text in wrong.items()}
    reply.body["data"]["zodError"] = {"formErrors": [], "fieldErrors": fields}
    reply.body["issues"] = [{"code": "invalid_type", "path": [name], "message": text} for name, text in wrong.items()]
    return reply


def required(call: Call, name: str) -> str:
    """A query parameter that must be there."""
    value = call.query.get(name, "")
    if not value:
        raise Refused(invalid(call.path.removeprefix("/api/"), {name: "Invalid input: expected string"}))
    return value


def same_shape(
    call: Call, procedure: str, needed: Mapping[str, type], optional: Mapping[str, type]
) -> Mapping[str, Any]:
    """The body, checked: unknown fields are ignored, and a null is taken where a field is optional."""
    body = call.body if isinstance(call.body, Mapping) else {}
    wrong = {}
    for name, kind in {**optional, **needed}.items():
        value = body.get(name)
        if name in optional and value is None:
            continue
        if not isinstance(value, kind) or (name in needed and not value):
            wrong[name] = f"Invalid input: expected {kind.__name__}, received {type(value).__name__}"
    if wrong:
        raise Refused(invalid(procedure, wrong))
    return body
