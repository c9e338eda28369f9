"""The releases that were deployed, what they need, and what goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import ledger
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.stack_prune import prune


def entry(release: str, run: str = "run", secret: str = "s") -> ledger.Entry:
    stack = {"config": release, "images": {"web": f"web:{release}"}, "secrets": [secret], "configs": []}
    return {"release": release, "run": run, "at": "2030-01-01T00:00:00Z", "services": {"web": stack}}


def test_an_entry_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "state" / "releases.json"
    assert ledger.read(path) == []
    assert ledger.add(entry("1", "a"), path)
    assert not ledger.add(entry("1", "b"), path)
    assert ledger.add(entry("2", "c"), path)
    assert [each["release"] for each in ledger.read(path)] == ["1", "2"]
    assert ledger.add(entry("3", "c"), path)
    assert [each["release"] for each in ledger.read(path)] == ["1", "3"]


def test_only_so_many_entries_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "releases.json"
    for number in range(ledger.KEPT + 5):
        ledger.add(entry(str(number), str(number)), path)
    assert len(ledger.read(path)) == ledger.KEPT


def test_a_broken_ledger_is_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "releases.json"
    path.write_text("{")
    assert ledger.read(path) == []


def test_what_the_last_two_releases_need_is_kept() -> None:
    entries = [entry("1", secret="a"), entry("2", secret="b"), entry("2", secret="c"), entry("3", secret="d")]
    needed = ledger.needed(entries)
    assert needed["images"] == {"web:2", "web:3"}
    assert needed["secrets"] == {"b", "c", "d"}


class Shelf:
    """An Engine with secrets and images of ours."""

    def __init__(self, in_use: tuple[str, ...] = ()) -> None:
        self.gone: list[str] = []
        self.in_use = in_use

    def get(self, path: str, **_filters: Any) -> Any:
        if path == "/services":
            container = {"Image": "web:3", "Secrets": [{"SecretName": "d"}]}
            before = {"Image": "web:2", "Secrets": [{"SecretName": "kept-by-the-former-version"}]}
            return [
                {
                    "Spec": {"TaskTemplate": {"ContainerSpec": container}},
                    "PreviousSpec": {"TaskTemplate": {"ContainerSpec": before}},
                }
            ]
        if path == "/secrets":
            names = ("a", "c", "d", "kept-by-the-former-version", *self.in_use)
            return [{"ID": f"id-{name}", "Spec": {"Name": name}} for name in names]
        if path.startswith("/images/") and "web:0" in path:
            raise EngineError("no such image", 404)
        return []

    def delete(self, path: str) -> None:
        if any(path.endswith(f"id-{name}") for name in self.in_use):
            raise EngineError("in use", 400)
        self.gone.append(path)


ENTRIES = [entry("0"), entry("1", secret="a"), entry("2", secret="c"), entry("3", secret="d")]


@pytest.mark.parametrize("check", [False, True])
def test_what_nobody_needs_goes_and_in_check_mode_is_only_named(check: bool) -> None:
    shelf = Shelf()
    gone = prune(shelf, ENTRIES, check)  # type: ignore[arg-type] # stands for an Engine
    assert gone == {"secrets": ["a"], "configs": [], "images": ["web:1"]}
    assert shelf.gone == ([] if check else ["/secrets/id-a", "/images/web:1"])


def test_what_is_in_use_after_all_stays() -> None:
    assert "busy" not in prune(Shelf(("busy",)), ENTRIES)["secrets"]  # type: ignore[arg-type] # stands for an Engine
