# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One secret from the vault."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleLookupError
from ansible.parsing.vault import VaultSecret
from ansible.plugins.loader import lookup_loader

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import vault

PASSWORDS = [("default", VaultSecret(b"word"))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A vault with two secrets."""
    keep(tmp_path / "vault.yml", redis_password="first", n8n_jwt_secret="{{ 1 + 1 }}")
    return tmp_path / "vault.yml"


def keep(path: Path, **values: str) -> None:
    with vault.Vault(path, PASSWORDS).changing() as content:
        for name, value in values.items():
            content.put(name, value)


def asked(path: Path | None, *names: str, passwords: Any = PASSWORDS, **options: Any) -> list[str]:
    variables = {"smos_vault_file": str(path)} if path else {}
    loader = SimpleNamespace(_vault=SimpleNamespace(secrets=passwords))
    found: list[str] = lookup_loader.get("smartercl.smarteros.secret", loader=loader).run(
        list(names), variables, **options
    )
    return found


def test_values_come_by_name_and_as_they_are(path: Path) -> None:
    assert asked(path, "n8n_jwt_secret", "redis_password") == ["{{ 1 + 1 }}", "first"]


def test_a_missing_one_is_told_by_name_and_with_the_command(path: Path) -> None:
    with pytest.raises(AnsibleLookupError, match=r"odoo_api_key: not in the vault .*smos secrets init"):
        asked(path, "redis_password", "odoo_api_key")


def test_a_missing_one_may_have_a_default(path: Path) -> None:
    assert asked(path, "odoo_api_key", "redis_password", default="") == ["", "first"]
    assert asked(path.with_name("none.yml"), "odoo_api_key", default="x") == ["x"]
    assert asked(None, "odoo_api_key", default="") == [""]


def test_without_a_vault_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(AnsibleLookupError, match="smos secrets init"):
        asked(tmp_path / "none.yml", "redis_password")
    with pytest.raises(AnsibleLookupError, match="smos_vault_file"):
        asked(None, "redis_password")


def test_one_that_cannot_be_opened_is_an_error_with_a_default_too(path: Path) -> None:
    with pytest.raises(AnsibleLookupError, match="no password for it was found"):
        asked(path, "redis_password", passwords=None, default="")


def test_it_is_decrypted_once_and_again_when_it_has_changed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    read = vault.Vault.read

    def counted(self: vault.Vault) -> vault.Content:
        opened.append(self.path)
        return read(self)

    monkeypatch.setattr(vault.Vault, "read", counted)
    assert [asked(path, "redis_password") for _ in range(3)] == [["first"]] * 3
    assert len(opened) == 1
    keep(path, redis_password="second")
    assert asked(path, "redis_password") == ["second"]
    with pytest.raises(AnsibleLookupError):
        asked(path, "redis_password", passwords=[("default", VaultSecret(b"other"))])
