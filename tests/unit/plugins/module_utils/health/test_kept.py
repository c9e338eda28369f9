# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the collector keeps, whatever happens to it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import config, kept, look, program, rows
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.book import Book
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import DOWN, UP, Observation, Subject
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.kept import Kept

N8N = Subject("service:n8n", "service", "n8n", service="n8n")
KNOWN = config.Config("staging", ZoneInfo("America/Santiago"), config.Rules())
AT = 1_800_000_000


class Database:
    """Takes rows, or does not."""

    def __init__(self) -> None:
        self.away = False
        self.rows: dict[tuple[str, str], Any] = {}
        self.cleaned: list[int] = []

    def ready(self) -> None:
        if self.away:
            raise PostgresError("the server takes no connections")

    def write(self, parts: list[rows.Rows]) -> None:
        together = rows.together(parts)
        for row in together["hours"]:
            self.rows["hours", f"{row['at']} {row['subject']}"] = row
        for row in together["incidents"]:
            self.rows["incidents", str(row["id"])] = row
        for row in together["metrics"]:
            self.rows["metrics", f"{row['at']} {row['name']}"] = row

    def clean(self, now: int) -> None:
        self.cleaned.append(now)


class Killed(BaseException):
    """The end of the process, at this very place."""


def killed() -> None:
    raise Killed


@pytest.fixture
def files(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "health")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Observation]:
    """What a look finds."""
    found = [Observation(N8N, UP, "", 12)]
    monkeypatch.setattr(look, "look", lambda *_given: list(found))
    monkeypatch.setattr(look, "measured", lambda *_given: ({"cpu_percent": 7.0, "disk_percent": 40.0}, (1, 2)))
    return found


def one(files: Kept, database: Database, at: int) -> int:
    with files.alone():
        return program.one_pass(KNOWN, files, Engine(), database, at)  # type: ignore[arg-type]  # what it needs of a store


def passes(files: Kept, database: Database, first: int, count: int) -> list[int]:
    return [one(files, database, AT + 300 * number) for number in range(first, first + count)]


def test_a_database_that_was_away_catches_up(files: Kept, seen: list[Observation], capsys: Any) -> None:
    steady, shaky = Database(), Database()
    other = Kept(files._folder.parent / "other")
    for number in range(40):
        shaky.away = 5 <= number < 35
        assert passes(files, steady, number, 1) == [program.DONE]
        assert passes(other, shaky, number, 1) == [program.FAILED if shaky.away else program.DONE]
    told = "the database has not taken this pass, which is kept for the next one"
    assert told in capsys.readouterr().err
    assert shaky.rows == steady.rows
    assert other.unsent() == []


def test_it_cleans_once_a_day(files: Kept, seen: list[Observation]) -> None:
    database = Database()
    passes(files, database, 0, 300)
    assert database.cleaned == [AT, AT + 86400]


def test_killed_after_any_write_it_goes_on(
    files: Kept, seen: list[Observation], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = Database(), Database()
    other = Kept(files._folder.parent / "other")
    passes(other, whole, 0, 30)

    for number in range(30):
        if number % 3 == 1:  # dies before the database is told
            with monkeypatch.context() as patch:
                patch.setattr(cut, "ready", killed)
                with pytest.raises(Killed):
                    passes(files, cut, number, 1)
        else:
            passes(files, cut, number, 1)
    assert cut.rows == whole.rows


def test_a_full_disk_is_told_and_leaves_what_was_kept(
    files: Kept, seen: list[Observation], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    passes(files, Database(), 0, 3)
    before = files.book()

    def full(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            passes(files, Database(), 3, 1)
    assert files.book() == before
    assert not list((tmp_path / "health").glob("*.new"))
    assert passes(files, Database(), 4, 1) == [program.DONE]


def test_a_broken_book_is_put_aside(files: Kept, seen: list[Observation], tmp_path: Path) -> None:
    passes(files, Database(), 0, 3)
    for text in ("{", '{"lines": {"x": {}}, "last_id": 1}', "[]"):
        (tmp_path / "health" / "book.json").write_text(text, encoding="utf-8")
        assert files.book() == Book()
    assert (tmp_path / "health" / "book.broken").exists()
    assert passes(files, Database(), 4, 1) == [program.DONE]


def test_a_line_that_was_cut_off_spoils_no_other(files: Kept, tmp_path: Path) -> None:
    nothing: rows.Rows = {table: [] for table in rows.TABLES}
    with files.alone():
        files.keep(Book(), {**nothing, "metrics": [{"at": 1, "name": "load1", "value": 1.0}]})
        with (tmp_path / "health" / "unsent.jsonl").open("a", encoding="utf-8") as file:
            file.write('{"metrics": [{"at": 2, "na')
        files.keep(Book(), {**nothing, "metrics": [{"at": 3, "name": "load1", "value": 1.0}]})
    assert [part["metrics"][0]["at"] for part in files.unsent()] == [1, 3]


def test_what_waits_is_bounded(files: Kept, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kept, "MOST_UNSENT", 5000)
    nothing: rows.Rows = {table: [] for table in rows.TABLES}
    with files.alone():
        for at in range(500):
            files.keep(Book(), {**nothing, "metrics": [{"at": at, "name": "load1", "value": 1.0}]})
    assert (tmp_path / "health" / "unsent.jsonl").stat().st_size <= 5000
    assert files.unsent()[-1]["metrics"][0]["at"] == 499


def test_two_passes_do_not_meet(files: Kept) -> None:
    with files.alone(), pytest.raises(kept.Busy), Kept(files._folder).alone():
        pass


def test_an_incident_reaches_the_database_once_opened_and_once_closed(files: Kept, seen: list[Observation]) -> None:
    database = Database()
    passes(files, database, 0, 2)
    seen[0] = Observation(N8N, DOWN, "it does not answer")
    passes(files, database, 2, 2)
    (row,) = (row for key, row in database.rows.items() if key[0] == "incidents")
    assert (row["opened_at"], row["closed_at"]) == (AT + 600, None)
    seen[0] = Observation(N8N, UP)
    passes(files, database, 4, 2)
    (row,) = (row for key, row in database.rows.items() if key[0] == "incidents")
    assert (row["opened_at"], row["closed_at"]) == (AT + 600, AT + 1200)
