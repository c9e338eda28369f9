"""The first owner of a real n8n and its API key: claimed where nobody was, left alone where all is well, repaired where not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from ansible_collections.smartercl.smarteros.plugins.modules import n8n_owner
from real import installs, n8n
from real.postgres import Postgres
from support.containers import Container, placed
from unit.plugins.wire import run_module

EMAIL, PASSWORD = "admin@example.com", "Correct-horse-7-battery"


@contextmanager
def fresh(version: str, node: Path, postgres: Postgres) -> Iterator[n8n.N8n]:
    """An n8n that nobody has claimed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(n8n, "_api_key", lambda url: "")
        with n8n.server(version, node, postgres) as running:
            yield running


@pytest.fixture(scope="module")
def first(real_postgres: Postgres) -> Iterator[n8n.N8n]:
    with fresh(installs.N8N_FIRST_TIER, installs.system_node(18), real_postgres) as running:
        yield running


@pytest.fixture(scope="module")
def second(real_postgres: Postgres) -> Iterator[n8n.N8n]:
    installs.system_node(18)
    node = installs.packaged_node(installs.NODE_SECOND_TIER)
    with fresh(installs.N8N_SECOND_TIER, node, real_postgres) as running:
        yield running


@pytest.fixture(params=["first", pytest.param("second", marks=pytest.mark.second_tier)])
def server(request: pytest.FixtureRequest) -> n8n.N8n:
    running: n8n.N8n = request.getfixturevalue(request.param)
    return running


def own(server: n8n.N8n, monkeypatch: pytest.MonkeyPatch, check: bool = False, **more: Any) -> dict[str, Any]:
    placed(monkeypatch, Container(ports={5678: urlsplit(server.url).port or 0}))
    asked = {"service": "n8n_n8n", "email": EMAIL, "password": PASSWORD, **more}
    return run_module(n8n_owner, check, **asked)


def opens(server: n8n.N8n, key: str) -> bool:
    answer = requests.get(f"{server.url}/api/v1/workflows", headers={"X-N8N-API-KEY": key}, timeout=30)
    return answer.status_code == 200


def test_the_whole_way(server: n8n.N8n, monkeypatch: pytest.MonkeyPatch) -> None:
    foretold = own(server, monkeypatch, check=True)
    assert foretold["changed"] is True
    assert [row["what"] for row in foretold["changes"]] == ["owner", "API key"]
    assert "api_key" not in foretold

    made = own(server, monkeypatch)
    key = made["api_key"]
    assert [row["what"] for row in made["changes"]] == ["owner", "API key"]
    assert opens(server, key)

    for check in (True, False):
        again = own(server, monkeypatch, check=check, api_key=key)
        assert (again["changed"], again["changes"]) == (False, [])

    # A run that died before it could keep the key: a new one takes its place, and the lost one opens nothing
    anew = own(server, monkeypatch)
    assert [row["what"] for row in anew["changes"]] == ["API key"]
    assert opens(server, anew["api_key"])
    assert not opens(server, key)
    replaced = own(server, monkeypatch, api_key=key)
    assert opens(server, replaced["api_key"])


def test_a_password_that_was_changed_by_hand_is_told(server: n8n.N8n, monkeypatch: pytest.MonkeyPatch) -> None:
    own(server, monkeypatch)
    refused = own(server, monkeypatch, password="Another-password-1")
    assert refused["failed"] is True
    assert "n8n_owner_password" in refused["msg"]
    assert "Another-password-1" not in str(refused)
    assert PASSWORD not in str(refused)
    assert refused["exit_code"] == 1
