"""Replies on the wire, and the sandbox's own address: what the providers and the control API share."""

from __future__ import annotations

import json

from starlette.types import Scope, Send

from smos.sandbox.provider import Reply


async def send_reply(send: Send, reply: Reply) -> None:
    """Send a reply over ASGI: data as JSON, text and bytes as they are, ``None`` as an empty body."""
    if reply.body is None:
        content, kind = b"", b""
    elif isinstance(reply.body, bytes):
        content, kind = reply.body, b"application/octet-stream"
    elif isinstance(reply.body, str):
        content, kind = reply.body.encode(), b"text/plain; charset=utf-8"
    else:
        content, kind = json.dumps(reply.body, separators=(",", ":")).encode(), b"application/json"
    headers = [(b"content-length", str(len(content)).encode())]
    names = {name.lower() for name in reply.headers}
    if kind and "content-type" not in names:
        headers.append((b"content-type", kind))
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def host_url(scope: Scope) -> str:
    """``http://127.0.0.1:<port>`` of the connection."""
    server = scope.get("server") or ("127.0.0.1", 0)
    return f"http://{server[0]}:{server[1]}"
