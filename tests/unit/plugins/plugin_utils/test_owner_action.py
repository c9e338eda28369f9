"""The key that a service makes goes into the vault, and into no result."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.action import chatwoot_installation, n8n_owner
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import kept_secrets, vault
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import UNUSABLE, Setting, Stop
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.owner_action import OwnerAction

ROOT = Path(__file__).resolve().parents[4]
KEY = "a-key-that-a-service-made"
CHANGE = {"service": "n8n", "action": "create", "what": "API key"}


def setting(*, check_mode: bool = False) -> Setting:
    return Setting(ROOT / "specs", "sandbox", "20261124-101500-ab12", check_mode, 1)


class Book:
    """A vault, as far as keeping goes."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def read(self) -> Any:
        return self

    def changing(self) -> Any:
        return self

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_about: object) -> None:
        pass

    def put(self, name: str, value: str) -> None:
        self.values[name] = value


def work(
    monkeypatch: pytest.MonkeyPatch, action: type[OwnerAction], book: Book, answer: dict[str, Any], keep: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The action's result, and what the module was given."""
    asked: dict[str, Any] = {}
    made = action.__new__(action)
    made._loader, made._templar = None, SimpleNamespace(template=None)
    monkeypatch.setattr(made, "_execute_module", lambda **given: asked.update(given) or dict(answer))
    monkeypatch.setattr(vault, "opened", lambda *_given: book)
    return made.work({"service": "n8n_n8n", "keep": keep}, setting(), {}), asked


def test_the_key_is_kept_and_the_rest_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    book = Book()
    answer = {"changed": True, "changes": [CHANGE], "api_key": KEY}
    result, asked = work(monkeypatch, n8n_owner.ActionModule, book, answer, "n8n_api_key")
    assert result == {"changed": True, "changes": [CHANGE], "kept": ["n8n_api_key"]}
    assert book.values == {"n8n_api_key": KEY}
    assert asked["module_name"] == "smartercl.smarteros.n8n_owner"


def test_a_token_that_is_kept_already_is_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    book = Book(chatwoot_platform_token=KEY)
    answer = {"changed": False, "changes": [], "platform_token": KEY}
    result, _asked = work(monkeypatch, chatwoot_installation.ActionModule, book, answer, "chatwoot_platform_token")
    assert result == {"changed": False, "changes": [], "kept": []}


def test_a_failure_is_told_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"failed": True, "msg": "n8n: it does not answer", "errors": [{"what": "n8n"}]}
    assert work(monkeypatch, n8n_owner.ActionModule, Book(), answer, "n8n_api_key")[0] == answer


def test_without_a_name_the_result_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"changed": True, "changes": [CHANGE], "api_key": KEY}
    assert work(monkeypatch, n8n_owner.ActionModule, Book(), answer, "")[0] == answer


def test_a_secret_of_ours_is_refused_before_the_module_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stop, match="not made by a service"):
        work(monkeypatch, n8n_owner.ActionModule, Book(), {"api_key": KEY}, "n8n_encryption_key")


def test_what_the_service_changed_is_told_where_the_vault_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_given: object) -> list[str]:
        raise Stop(UNUSABLE, [{"what": "the vault", "where": "", "why": "the disk is full", "next": ""}])

    monkeypatch.setattr(kept_secrets, "keep", broken)
    answer = {"changed": True, "changes": [CHANGE], "api_key": KEY}
    with pytest.raises(Stop) as stop:
        work(monkeypatch, n8n_owner.ActionModule, Book(), answer, "n8n_api_key")
    assert stop.value.facts == {"changes": [CHANGE]}
    assert KEY not in str(stop.value)
