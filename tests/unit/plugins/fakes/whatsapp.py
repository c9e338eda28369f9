# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""WhatsApp and a mail server in memory: what was sent, and troubles on demand."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.mail import Mail, MailClient, Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.whatsapp_cloud import WhatsApp, WhatsAppHttp
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.wire import Killed, Request, Wire

TOKEN = "planted-whatsapp-token"
NUMBER, ACCOUNT = "100000000000002", "100000000000001"


def refusal(status: int, code: int, message: str = "no", **more: t.Any) -> tuple[int, t.Any]:
    """An error as the Graph API tells it."""
    return status, {"error": {"message": f"(#{code}) {message}", "type": "OAuthException", "code": code, **more}}


class FakeWhatsApp(Wire):
    """Keeps the messages; ``answers`` by recipient replace the good one."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, t.Any]] = []
        self.answers: dict[str, tuple[int, t.Any]] = {}
        self.refuse: t.Callable[[Request], tuple[int, t.Any] | None] = lambda _request: None

    def client(self) -> WhatsApp:
        """A client that never sleeps, with the real error envelope."""
        http = WhatsAppHttp(
            "http://192.0.2.1/v23.0",
            headers={"Authorization": f"Bearer {TOKEN}"},
            secrets=(TOKEN,),
            sleep=lambda _seconds: None,
        )
        http._send = lambda *args: self.send(http, *args)  # type: ignore[method-assign]  # the edge that is faked
        return WhatsApp(http, NUMBER, ACCOUNT)

    def writes(self, request: Request) -> bool:
        return request.method != "GET"

    def handle(self, request: Request) -> tuple[int, t.Any]:
        refused = self.refuse(request)
        if refused is not None:
            return refused
        if request.method == "GET":
            return self._read(request.path)
        answer = self.answers.get(request.body["to"])
        if answer is not None:
            return answer
        self.messages.append(request.body)
        contact = {"input": request.body["to"], "wa_id": request.body["to"]}
        number = f"wamid.{len(self.messages)}"
        return 200, {"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": number}]}

    def _read(self, path: str) -> tuple[int, t.Any]:
        if path == f"/{NUMBER}":
            return 200, {"id": NUMBER, "display_phone_number": "+1 555-010-0001", "verified_name": "SmarterOS"}
        if path.endswith("/phone_numbers"):
            return 200, {"data": [{"id": NUMBER}], "paging": {}}
        granted = ("whatsapp_business_management", "whatsapp_business_messaging")
        return 200, {"data": [{"permission": scope, "status": "granted"} for scope in granted]}


class FakeMail(MailClient):
    """A mail server that keeps everything; ``troubles`` by address are raised, ``die_at`` ends the process there."""

    def __init__(self) -> None:
        super().__init__(Server("127.0.0.1", 25, sender="no-reply@example.com", tls="none"))
        self.mails: list[Mail] = []
        self.troubles: dict[str, ApiError] = {}
        self.die_before = self.die_after = ""
        self.usable = True

    def probe(self) -> None:
        if not self.usable:
            raise ApiError("it refuses the login", errors.REFUSED, where=self.where)

    def send(self, mail: Mail) -> str:
        if mail.to == self.die_before:
            raise Killed
        if mail.to in self.troubles:
            raise self.troubles[mail.to]
        self.mails.append(mail)
        if mail.to == self.die_after:
            raise Killed
        self.sent += 1
        return f"<{mail.id}@example.com>"
