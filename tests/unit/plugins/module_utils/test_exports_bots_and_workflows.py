"""What Botpress and n8n hold of a tenant comes out readable and without secrets, and comes back once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import botpress as bot_api
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import n8n as flow_api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.exports import botpress, n8n
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.botpress_archive import pack
from unit.plugins.wire import CUT, LOST, Wire, once, wired
from unit.sandbox import driver

RUT = "76086428-5"
TENANT = {"id": RUT, "slug": "acme", "name": "Acme", "status": {}}
BOTPRESS = {
    "url": "http://127.0.0.1:8321/botpress",
    "email": "operator@smarterbot.cl",
    "password": "sandbox-botpress-token",
}
N8N = {"url": "http://127.0.0.1:8321/n8n", "api_key": "sandbox-n8n-token"}


@pytest.fixture
def bots(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(driver.botpress, monkeypatch)


@pytest.fixture
def flows(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(driver.n8n, monkeypatch)


def bot(name: str = "acme", **settings: Any) -> bot_api.Botpress:
    client = bot_api.connect(BOTPRESS)
    config = {"name": "Acme", "description": f"smarteros:{RUT} x", "defaultLanguage": "es", "languages": ["es"]}
    secret = {"messaging": {"channels": {"telegram": {"botToken": "planted-token"}}}, **settings}
    files = {
        "bot.config.json": json.dumps({**config, **secret}).encode(),
        "config/channel-telegram.json": b'{"botToken": "planted-token"}',
        "config/qna.json": b"{}",
        "flows/main.flow.json": b'{"nodes":[],"name":"\\u00d1and\\u00fa"}',
        "media/logo.png": b"\x89PNG\xff",
    }
    client.create(name, pack(files), lambda made: False)
    return client


def test_the_files_of_a_bot_are_collected_without_secrets_and_times(bots: Wire) -> None:
    bot()
    files = botpress.collect(BOTPRESS, TENANT)
    assert sorted(files) == [
        *("acme/bot.config.json", "acme/config/qna.json", "acme/flows/main.flow.json", "acme/media/logo.png")
    ]
    assert b"planted-token" not in b"".join(files.values())
    assert "Ñandú" in files["acme/flows/main.flow.json"].decode()
    assert "pipeline_status" not in json.loads(files["acme/bot.config.json"])
    assert files == botpress.collect(BOTPRESS, TENANT)
    assert botpress.collect(BOTPRESS, {**TENANT, "id": "1-9"}) == {}


@pytest.mark.parametrize("trouble", [None, LOST, CUT])
def test_a_bot_comes_back_as_it_was_and_only_once(bots: Wire, trouble: str | None) -> None:
    client = bot()
    files = botpress.collect(BOTPRESS, TENANT)
    assert botpress.bring_back(BOTPRESS, TENANT, files) == []
    client.delete("acme")
    bots.trouble = once(lambda sent: sent.path.endswith("/import"), trouble)
    assert len(botpress.bring_back(BOTPRESS, TENANT, files)) == 1
    again = botpress.collect(BOTPRESS, TENANT)
    assert {**again, "acme/bot.config.json": b""} == {**files, "acme/bot.config.json": b""}
    config = json.loads(again["acme/bot.config.json"])
    assert (config["name"], config["converse"]) == ("Acme (acme)", {"enableUnsecuredEndpoint": False})
    assert botpress.bring_back(BOTPRESS, TENANT, again) == []


def test_an_exported_bot_takes_the_place_of_a_fresh_one(bots: Wire) -> None:
    client = bot()
    files = botpress.collect(BOTPRESS, TENANT)
    client.replace("acme", pack({"bot.config.json": files["acme/bot.config.json"]}))
    assert botpress.bring_back(BOTPRESS, TENANT, files)
    assert set(botpress.collect(BOTPRESS, TENANT)) == set(files)


def test_a_bot_of_others_is_not_overwritten_by_an_export(bots: Wire) -> None:
    with pytest.raises(ApiError, match="does not bear the tenant's mark"):
        botpress.bring_back(BOTPRESS, TENANT, {"house-bot/bot.config.json": b"{}"})


@pytest.mark.parametrize("files", [{"x": b""}, {"../x/y": b""}, {"acme/bot.config.json": b"["}, {"acme/a.json": b"1"}])
def test_what_is_no_export_of_a_bot_is_told(bots: Wire, files: dict[str, bytes]) -> None:
    with pytest.raises(ApiError, match="export"):
        botpress.bring_back(BOTPRESS, TENANT, files)


def workflow(name: str = "Mío / prueba", *tags: str) -> flow_api.N8n:
    client = flow_api.connect(N8N)
    header = {"name": "Authorization", "value": "Bearer planted-token"}
    node = {
        "id": f"id of {name}",
        "name": "In",
        "type": flow_api.WEBHOOK,
        "typeVersion": 2,
        "position": [0, 0],
        "webhookId": "hook",
        "parameters": {"path": "x", "apiKey": "planted-token", "token": "={{ $json.token }}", "headers": [header]},
        "credentials": {"httpHeaderAuth": {"id": "c1", "name": "mine"}},
    }
    made = client.create(
        {"name": name, "nodes": [node], "connections": {}, "settings": {"timezone": "America/Santiago"}}
    )
    client.set_tags(made, [client.create_tag(tag) for tag in tags or (f"rut:{RUT}", "smarteros")])
    return client


def test_workflows_are_collected_without_secrets_ids_and_times(flows: Wire) -> None:
    workflow()
    workflow("mio prueba")
    workflow("of others", "rut:1-9")
    files = n8n.collect(N8N, TENANT)
    assert list(files) == ["workflows/mio-prueba-2.json", "workflows/mio-prueba.json"]
    text = b"".join(files.values()).decode()
    assert "planted-token" not in text
    assert "={{ $json.token }}" in text
    one = json.loads(files["workflows/mio-prueba.json"])
    assert set(one) == {"name", "active", "tags", "nodes", "connections", "settings"}
    assert "credentials" not in one["nodes"][0]
    assert files == n8n.collect(N8N, TENANT)


@pytest.mark.parametrize("trouble", [None, LOST, CUT])
def test_workflows_that_are_missing_come_back_inactive_and_only_once(flows: Wire, trouble: str | None) -> None:
    client = workflow()
    files = n8n.collect(N8N, TENANT)
    assert n8n.bring_back(N8N, TENANT, files) == []
    client.delete(client.workflows("Mío / prueba")[0])
    flows.trouble = once(lambda sent: sent.method == "POST" and sent.path.endswith("/workflows"), trouble)
    assert len(n8n.bring_back(N8N, TENANT, files)) == 1
    assert n8n.bring_back(N8N, TENANT, files) == []
    assert n8n.collect(N8N, TENANT) == files


def test_a_workflow_that_a_dying_run_left_without_tags_is_taken_up(flows: Wire) -> None:
    client = workflow()
    files = n8n.collect(N8N, TENANT)
    client.set_tags(client.workflows("Mío / prueba")[0], [])
    assert len(n8n.bring_back(N8N, TENANT, files)) == 1
    assert len(client.workflows("Mío / prueba")) == 1


@pytest.mark.parametrize("raw", [b"[", b"[]", b"{}", b'{"name": "x", "nodes": []}'])
def test_what_is_no_export_of_a_workflow_is_told(flows: Wire, raw: bytes) -> None:
    with pytest.raises(ApiError, match="no workflow"):
        n8n.bring_back(N8N, TENANT, {"workflows/x.json": raw})
