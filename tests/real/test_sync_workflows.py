"""`smos sync workflows` with a real n8n: what was exported, wiped and pushed answers as it did before."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import n8n as api
from real.n8n import N8n
from support.instance import Done, Instance, instance

NAME, PATH = "Price of a basket", "price-of-a-basket"
BASKET = {"lines": [{"quantity": 2, "price": 6.25}, {"quantity": 1, "price": 0.5}]}
WHO = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ana",
    "GIT_AUTHOR_EMAIL": "ana@example.com",
    "GIT_COMMITTER_NAME": "Ana",
    "GIT_COMMITTER_EMAIL": "ana@example.com",
}


@pytest.fixture(params=["1", pytest.param("2", marks=pytest.mark.second_tier)])
def server(request: pytest.FixtureRequest) -> N8n:
    found: N8n = request.getfixturevalue("real_n8n" if request.param == "1" else "real_n8n_2")
    return found


@pytest.fixture
def smos(tmp_path: Path) -> Iterator[Instance]:
    """An instance whose specs are a checkout."""
    with instance(tmp_path / "smos", **WHO) as made:
        for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "chore(specs): begin"]):
            subprocess.run(["git", "-C", str(made.specs), *words], env=made.variables, check=True)
        yield made


def workflow() -> dict[str, Any]:
    """It answers with the sum of a basket's lines and how many there are, by code and an expression."""
    hook = {"path": PATH, "httpMethod": "POST", "responseMode": "lastNode", "options": {}}
    code = (
        "const lines = $json.body.lines;\n"
        "const sum = lines.reduce((all, one) => all + one.quantity * one.price, 0);\n"
        "return [{json: {sum, size: lines.length}}];"
    )
    nodes = [
        ("In", "webhook", 2, hook, {"webhookId": PATH}),
        ("Sum", "code", 2, {"jsCode": code}, {}),
        (
            "Tell",
            "set",
            3.4,
            {"mode": "raw", "jsonOutput": '={"total": {{ $json.sum }}, "size": {{ $json.size }}}'},
            {},
        ),
    ]
    return {
        "name": NAME,
        "nodes": [
            {"id": name.lower(), "name": name, "type": f"n8n-nodes-base.{kind}", "typeVersion": version}
            | {"position": [220 * index, 0], "parameters": parameters, **more}
            for index, (name, kind, version, parameters, more) in enumerate(nodes)
        ],
        "connections": {
            "In": {"main": [[{"node": "Sum", "type": "main", "index": 0}]]},
            "Sum": {"main": [[{"node": "Tell", "type": "main", "index": 0}]]},
        },
        "settings": {"executionOrder": "v1"},
    }


def answer(server: N8n, expected: int = 200) -> Any:
    """What the workflow says of the basket; n8n 2.x takes workflows in and out of use a moment after it has said so."""
    until = time.monotonic() + 120
    while (got := requests.post(f"{server.url}/webhook/{PATH}", json=BASKET, timeout=60)).status_code != expected:
        assert time.monotonic() < until, (got.status_code, got.text)
        time.sleep(0.1)
    return got.json()


def test_exported_wiped_and_pushed_it_answers_as_before(server: N8n, smos: Instance) -> None:
    def sync(*words: str) -> Done:
        address = ("-e", f"n8n_url={server.url}")
        done = smos.run("sync", "workflows", "--json", *words, *address, SMOS_SANDBOX_N8N_TOKEN=server.api_key)
        assert done.code == 0, done
        return done

    client = api.connect({"url": server.url, "api_key": server.api_key})
    made = client.create(workflow())
    client.switch(made, active=True)
    before = answer(server)
    assert before == {"total": 13, "size": 2}

    assert sync().document["changed"]
    kept = json.loads((smos.specs / "workflows" / "live" / f"{PATH}.json").read_text())
    assert (kept["name"], kept["active"]) == (NAME, True)
    assert not sync().document["changed"]

    client.delete(made)
    answer(server, 404)
    back = sync("--push")
    assert [(row["action"], row["what"]) for row in back.result["changes"]] == [("create", f"workflow {NAME}")]
    assert answer(server) == before
    assert not sync().document["changed"]
    client.delete(client.workflows(NAME)[0])
