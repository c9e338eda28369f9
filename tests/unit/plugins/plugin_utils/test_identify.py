# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Which tenant a person means."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import identify
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import SpecError
from support.instance import Instance, shop


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SMOS_STATE_DIR", str(tmp_path / "state"))
    made = Instance.make(tmp_path / "smos")
    made.add_files([shop(1), shop(2)])
    made.add_files([shop(3)], plan="platinum")
    return made.specs


def slugs(root: Path, *names: str, env: str = "sandbox") -> list[str]:
    return [entry.slug for entry in identify.tenants(root, env, names)]


def test_a_rut_in_any_spelling_and_a_slug_mean_the_same(root: Path) -> None:
    body, digit = shop(1).rut.split("-")
    dotted = f"{int(body):,}".replace(",", ".") + f"-{digit}"
    spellings = (shop(1).rut, dotted, f"{body}{digit}", shop(1).slug)
    assert slugs(root, *spellings) == [shop(1).slug] * 4


def test_tenants_come_in_the_order_in_which_they_were_named(root: Path) -> None:
    assert slugs(root, shop(2).slug, shop(1).rut) == [shop(2).slug, shop(1).slug]
    assert slugs(root) == []


@pytest.mark.parametrize("name", ["nobody", "12345678-5", ""])
def test_whom_nobody_knows_is_told(root: Path, name: str) -> None:
    with pytest.raises(identify.NoSuchTenant, match="no tenant of environment sandbox"):
        slugs(root, shop(1).slug, name)


def test_a_tenant_of_another_environment_is_nobody_here(root: Path) -> None:
    with pytest.raises(identify.NoSuchTenant):
        slugs(root, shop(1).slug, env="staging")


@pytest.mark.parametrize("name", [shop(3).slug, shop(3).rut])
def test_a_file_with_a_mistake_is_told_by_the_mistake(root: Path, name: str) -> None:
    with pytest.raises(SpecError, match=r"spec\.plan"):
        slugs(root, name)
