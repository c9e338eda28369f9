"""The founder's panel behind a real n8n, whose workflow brings Meta's webhooks to it; Meta is the sandbox and this test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import n8n as api
from real.n8n import N8n
from smos.panel import signature
from support import panel as people
from support.instance import Instance, instance
from support.panel import CARRIER, VERIFY, Panel, message, webhook

FILE, NAME = "founder-panel.json", "Founder panel"
URL = "http://172.18.0.1:8766/whatsapp"  # what the file has, and a person changes
CREDENTIAL = {"name": "SmarterOS panel", "type": "httpHeaderAuth"}


@pytest.fixture(params=["1", pytest.param("2", marks=pytest.mark.second_tier)])
def server(request: pytest.FixtureRequest) -> N8n:
    found: N8n = request.getfixturevalue("real_n8n" if request.param == "1" else "real_n8n_2")
    return found


@pytest.fixture
def smos(tmp_path: Path) -> Iterator[Instance]:
    with instance(tmp_path / "smos") as made:
        made.up()
        yield made


@pytest.fixture
def client(server: N8n) -> Iterator[api.N8n]:
    """n8n's API; our workflow is gone in the end, since other tests look at all that there are."""
    speaking = api.connect({"url": server.url, "api_key": server.api_key})
    yield speaking
    for left in speaking.workflows(NAME):
        speaking.delete(left)


def install(server: N8n, client: api.N8n, smos: Instance, address: str) -> None:
    """What docs/panel.md says: the credential by hand, the file into `live`, a push, and on 1.x the choice of the credential."""
    headers, content = {"X-N8N-API-KEY": server.api_key}, {"name": "Authorization", "value": f"Bearer {CARRIER}"}
    body = {**CREDENTIAL, "data": content}
    made = requests.post(f"{server.url}/api/v1/credentials", json=body, headers=headers, timeout=60)
    assert made.ok, made.text
    text = (smos.specs / "workflows" / "system" / FILE).read_text()
    assert text.count(URL) == 2
    live = smos.specs / "workflows" / "live"
    live.mkdir()
    (live / FILE).write_text(text.replace(URL, address))
    words = ("sync", "workflows", "--push", "--no-commit", "--json", "-e", f"n8n_url={server.url}")
    done = smos.run(*words, SMOS_SANDBOX_N8N_TOKEN=server.api_key)
    (found,) = client.workflows(NAME)
    if not server.version.startswith("1."):
        assert done.code == 0, done
        return
    assert CREDENTIAL["name"] in done.why
    chosen = {"httpHeaderAuth": {"id": made.json()["id"], "name": CREDENTIAL["name"]}}
    nodes = [{**node, "credentials": chosen} if node["type"].endswith("httpRequest") else node for node in found.nodes]
    client.update(found, {"name": NAME, "nodes": nodes, "connections": found.connections, "settings": {}})
    client.switch(found, active=True)


def taken(front: Panel) -> requests.Response:
    """What Meta's question is answered with; n8n 2.x takes a workflow into use a moment after it has said so."""
    asked = {"hub.mode": "subscribe", "hub.verify_token": VERIFY, "hub.challenge": "1158201444"}
    until = time.monotonic() + 300
    while (got := requests.get(front.address, params=asked, timeout=60)).status_code in (404, 500):
        assert time.monotonic() < until, got.text
        time.sleep(0.1)
    return got


def test_what_meta_tells_a_real_n8n_is_answered_by_the_panel(server: N8n, client: api.N8n, smos: Instance) -> None:
    with people.serving(smos) as behind:
        install(server, client, smos, behind.address)
        front = Panel(smos, f"{server.url}/webhook/founder-panel", {})
        got = taken(front)
        assert (got.status_code, got.text) == (200, "1158201444")

        # Byte for byte: what a parser would write otherwise keeps its signature
        body = webhook(message("ayuda")).replace(b'"ayuda"', b'"\\u0061yuda"').replace(b"{", b"{ \n", 1)
        assert (front.post(body).status_code, front.wait(0)[0][:13]) == (200, "Esto entiendo")
        assert front.post(body).status_code == 200
        assert front.post(body, **{signature.HEADER: "sha256=" + "0" * 64}).status_code == 403
        assert front.post(webhook(message("estado", people.STRANGER))).status_code == 200
        assert front.write("tenants") == ["No hay tiendas en sandbox."]
        assert len(front.answers()) == 2
        refused = [row["why"].split()[-1] for row in front.audited() if row["event"] == "refused"]
        assert refused == ["before", "one", "list"]
    assert front.post(webhook(message("ayuda"))).status_code == 500  # nobody there: Meta is to try again
