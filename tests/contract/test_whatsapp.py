# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the WhatsApp client sends, and what the sandbox answers, fits Meta's published description (v23.0)."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.whatsapp_cloud import Template
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.whatsapp import FakeWhatsApp
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.wire import Request
from smos.sandbox.whatsapp import PROVIDER
from smos.sandbox.whatsapp_store import BUSINESS_ACCOUNT, PHONE_NUMBER
from unit.sandbox.driver import Driver

SHARED = Path(os.environ.get("SMOS_SHARED") or Path(__file__).parents[2].parent / "shared")
CONTRACT = SHARED / "contracts" / "whatsapp" / "business-messaging-api_v23.0.yaml"
VERSION = "/v23.0"
TOKEN = "sandbox-whatsapp-token"
# Graph has it for every kind of token; the description is about WhatsApp alone.
UNDESCRIBED = {"/me/permissions"}

pytestmark = pytest.mark.skipif(
    not CONTRACT.is_file(),
    reason=f"no description of WhatsApp's API at {CONTRACT}: set SMOS_SHARED to the reference material",
)


class Loader(yaml.CSafeLoader):
    """Takes the description's bare `=` for the text that it is."""


Loader.add_constructor("tag:yaml.org,2002:value", lambda _loader, node: str(node.value))


class Contract:
    """The published description."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = yaml.load(CONTRACT.read_text(encoding="utf-8"), Loader)  # a safe loader
        named = [path for path in self.document["paths"] if path.startswith("/{Version}/")]
        self.paths = [
            (re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path)), self.document["paths"][path])
            for path in sorted(named, key=lambda path: path.count("{"))
        ]

    def operations(self, method: str, path: str) -> list[dict[str, Any]]:
        """Every operation that this call could be: a number and a business account have paths of one form."""
        return [
            item[method.lower()]
            for pattern, item in self.paths
            if pattern.fullmatch(VERSION + path) and method.lower() in item
        ]

    def errors(self, schema: dict[str, Any], body: Any) -> list[str]:
        whole = {**schema, "components": self.document["components"]}
        return [error.message for error in jsonschema_rs.Draft202012Validator(whole).iter_errors(body)]

    def schema(self, operation: dict[str, Any], status: int) -> dict[str, Any]:
        responses = operation["responses"]
        found = responses.get(str(status)) or responses.get("default") or {}
        while "$ref" in found:
            found = self.document["components"]["responses"][found["$ref"].rpartition("/")[2]]
        schema = found.get("content", {}).get("application/json", {}).get("schema", {})
        return schema if isinstance(schema, dict) else {}

    def message_mistakes(self, body: dict[str, Any]) -> list[str]:
        """What is wrong with a message. The published text message forbids what its own base demands, so the two parts
        of it are looked at one by one."""
        if body["type"] == "template":
            return self.errors({"$ref": "#/components/schemas/TemplateMessage"}, body)
        part = self.document["components"]["schemas"]["TextMessage"]["allOf"][1]
        own = {key: body[key] for key in ("type", "text")}
        return [*self.errors({"$ref": "#/components/schemas/BaseMessageProperties"}, body), *self.errors(part, own)]


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract()


def sent() -> list[Request]:
    """One request of every kind that the client knows."""
    server = FakeWhatsApp()
    client = server.client()
    client.check()
    client.send_text("+56900000001", "Hola", preview_url=True)
    client.send_template("+56900000001", Template("smarteros_bienvenida", "es", ("Ana", "Acme", "https://x")))
    client.send_template("+56900000001", Template("hello_world", "en_US"))
    return server.log


def test_every_request_is_described_and_every_message_fits(contract: Contract) -> None:
    requests = sent()
    undescribed = {each.path for each in requests if not contract.operations(each.method, each.path)}
    assert undescribed == UNDESCRIBED
    bodies = [each.body for each in requests if each.path.endswith("/messages")]
    assert len(bodies) == 3
    assert [contract.message_mistakes(body) for body in bodies] == [[], [], []]


def test_the_check_itself_sees_a_wrong_message(contract: Contract) -> None:
    body = next(each.body for each in sent() if each.path.endswith("/messages"))
    assert contract.message_mistakes({**body, "recipient_type": "everybody"})
    assert contract.message_mistakes({**body, "text": {"body": 7}})


class Server:
    """The sandbox's WhatsApp; each answer is held against the description before it is used."""

    def __init__(self, contract: Contract) -> None:
        self.contract, self.checked = contract, set[str]()
        self.driver = Driver(PROVIDER, {"authorization": f"Bearer {TOKEN}"}, TOKEN)

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        reply = self.driver.send(method, path, body, **options)
        schemas = [self.contract.schema(each, reply.status) for each in self.contract.operations(method, path)]
        if reply.status >= 400:
            schemas = [{"$ref": "#/components/schemas/GraphAPIError"}]
        mistakes = [self.contract.errors(schema, reply.body) for schema in schemas]
        assert not mistakes or [] in mistakes, (method, path, mistakes)
        if reply.status < 400 and any(schemas):
            self.checked.add(f"{method} {path.rpartition('/')[2]}")
        return reply.body


def test_every_answer_of_the_sandbox_fits(contract: Contract) -> None:
    server = Server(contract)
    number, account = f"/{PHONE_NUMBER}", f"/{BUSINESS_ACCOUNT}"
    server.send("GET", number, fields="display_phone_number,verified_name,quality_rating,code_verification_status")
    server.send("GET", account)
    server.send("GET", f"{account}/phone_numbers")
    server.send("GET", f"{account}/message_templates", limit=2)
    wish = {"name": "mine", "language": "es", "category": "UTILITY", "components": [{"type": "BODY", "text": "Hola"}]}
    server.send("POST", f"{account}/message_templates", wish)
    server.send("DELETE", f"{account}/message_templates", name="mine")
    server.send("POST", f"{account}/subscribed_apps")
    server.send("GET", f"{account}/subscribed_apps")
    server.send("DELETE", f"{account}/subscribed_apps")
    server.send("POST", f"{number}/register", {"messaging_product": "whatsapp", "pin": "123456"})
    for request in sent():
        if request.path.endswith("/messages"):
            server.send("POST", f"{number}/messages", json.loads(json.dumps(request.body)))
    server.send("POST", f"{number}/messages", {"messaging_product": "whatsapp"})
    server.send("GET", number, headers={"authorization": "Bearer nonsense"})
    assert {"POST messages", "GET phone_numbers", "GET message_templates", f"GET {PHONE_NUMBER}"} <= server.checked
