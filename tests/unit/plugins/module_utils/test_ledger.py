"""The releases that were deployed, what they need, and what goes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def rolled(release: str, before: str, run: str = "back", **more: Any) -> ledger.Entry:
    return {**entry(release, run), "kind": "rollback", "previous": before, "who": "ana@pc", **more}


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """1, then 2, then back to 1."""
    path = tmp_path / "releases.json"
    for each in (entry("0", "z"), entry("1", "a"), entry("2", "b"), rolled("1", "2")):
        ledger.add(each, path)
    return path


def test_a_release_that_was_rolled_back_from_is_bad_and_never_the_previous(book: Path) -> None:
    entries = ledger.read(book)
    assert ledger.bad(entries) == {"2": {"at": "2030-01-01T00:00:00Z", "who": "ana@pc", "run": "back"}}
    previous = ledger.previous(entries)
    assert previous is not None
    assert previous["release"] == "0"


def test_a_rollback_of_a_rollback_takes_the_mark_away(book: Path) -> None:
    ledger.add(rolled("2", "1", "forth"), book)
    assert ledger.bad(ledger.read(book)) == {}
    previous = ledger.previous(ledger.read(book))
    assert previous is not None
    assert previous["release"] == "1"


def test_a_failed_deploy_takes_no_mark_away_and_a_good_one_does(book: Path) -> None:
    ledger.add({**entry("2", "again"), "result": "failed"}, book)
    assert "2" in ledger.bad(ledger.read(book))
    ledger.add(entry("2", "again"), book)
    assert ledger.bad(ledger.read(book)) == {}


def test_a_failure_is_written_down_and_what_runs_is_still_known(book: Path) -> None:
    assert ledger.add({**entry("3", "c"), "result": "failed"}, book)
    entries = ledger.read(book)
    now = ledger.current(entries)
    assert now is not None
    assert (now["release"], entries[-1]["result"]) == ("1", "failed")
    assert ledger.add(entry("1", "d"), book)  # the same again, but it came about


def test_an_unfinished_rollback_is_known_until_something_comes_about(book: Path) -> None:
    ledger.add(rolled("0", "1", "half", result="failed"), book)
    half = ledger.unfinished(ledger.read(book))
    assert half is not None
    assert half["release"] == "0"
    ledger.add(rolled("0", "1", "half"), book)
    assert ledger.unfinished(ledger.read(book)) is None


def test_old_entries_read_as_deploys_that_were_done() -> None:
    entries = [entry("1"), entry("2")]
    now, before = ledger.current(entries), ledger.previous(entries)
    assert now is entries[1]
    assert before is entries[0]
    assert ledger.bad(entries) == {}


def test_many_failures_do_not_displace_what_is_kept(book: Path) -> None:
    for number in range(ledger.KEPT + 5):
        ledger.add({**entry("3", f"try{number}"), "result": "failed"}, book)
    entries = ledger.read(book)
    assert {each["release"] for each in entries if ledger.is_done(each)} == {"0", "1", "2"}
    assert "2" in ledger.bad(entries)


def test_a_bad_release_is_kept_with_the_last_two_good_ones(book: Path) -> None:
    assert ledger.needed(ledger.read(book))["images"] == {"web:0", "web:1", "web:2"}
    ledger.add(entry("3", "c"), book)
    ledger.add(entry("4", "d"), book)
    assert ledger.needed(ledger.read(book))["images"] == {"web:3", "web:4"}


def test_a_failed_release_needs_nothing_and_its_images_go(book: Path) -> None:
    ledger.add({**entry("9", "c"), "result": "failed"}, book)
    assert "web:9" not in ledger.needed(ledger.read(book))["images"]
    ledger.add(entry("1", "d", secret="t"), book)
    assert "web:9" in prune(Shelf(), ledger.read(book), check=True)["images"]  # type: ignore[arg-type] # stands for an Engine


@given(st.lists(st.tuples(st.sampled_from("1234"), st.sampled_from(["done", "failed", "back"])), max_size=12))
def test_prune_never_takes_what_a_kept_release_needs(steps: list[tuple[str, str]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "releases.json"
        for number, (release, what) in enumerate(steps):
            now = ledger.current(ledger.read(path))
            more = {"result": "failed"} if what == "failed" else {}
            before = now["release"] if now else ""
            one = rolled(release, before, str(number)) if what == "back" else {**entry(release, str(number)), **more}
            ledger.add(one, path)
        entries = ledger.read(path)
    gone = prune(Shelf(), entries, check=True)["images"]  # type: ignore[arg-type] # stands for an Engine
    previous = ledger.previous(entries)
    for kept in (ledger.current(entries), previous):
        assert kept is None or f"web:{kept['release']}" not in gone
    if previous is not None:
        assert previous["release"] not in ledger.bad(entries)


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
