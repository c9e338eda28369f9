# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The digest goes once: also when a run dies in between, and not when a way fails."""

from __future__ import annotations

import json
import stat
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import notice_ways
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_ways import Unsent
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import messages_texts
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import daily_send
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import Stop
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.daily_history import KEPT_DAYS, History
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.notice_channels import Channels

TEXT = messages_texts.read(Path(__file__).parents[4] / "specs" / "messages", messages_texts.DAILY)["es"].filled(
    {"environment": "production", "date": "22-11-2026", "summary": "Sin problemas.", "url": "aquí", "list": "todo"}
)
KNOWN = Channels({"webhook": {"url": "https://chat.example.com/x"}, "email": {}}, {})
DAY = "2026-11-22"


class Killed(BaseException):
    """The process ends here, as with kill -9."""


class Ways:
    """Stands for all ways to the founder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.went: list[str] = []
        self.wrong: dict[str, BaseException] = {}
        monkeypatch.setattr(notice_ways, "way_of", lambda name, _settings, _secret: Way(self, name))


class Way:
    def __init__(self, ways: Ways, name: str) -> None:
        self.ways, self.name = ways, name

    def send(self, _news: Any, words: Any) -> None:
        assert words.parameters == ("production", "22-11-2026", "Sin problemas.", "aquí")
        self.ways.went.append(self.name)
        if self.name in self.ways.wrong:
            raise self.ways.wrong[self.name]


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    return Ways(monkeypatch)


def send(folder: Path, day: str = DAY, *, force: bool = False) -> dict[str, str]:
    outbox = History(folder).outbox
    try:
        told = daily_send.Sender(outbox, "production", "", day, force).founder(KNOWN, ["webhook", "email"], TEXT)
    finally:
        outbox.close()
    return {name: each["state"] for name, each in told.items()}


def test_it_goes_once_a_day_unless_it_is_forced(ways: Ways, tmp_path: Path) -> None:
    assert send(tmp_path) == {"webhook": "sent", "email": "sent"}
    assert send(tmp_path) == {"webhook": "already sent", "email": "already sent"}
    assert ways.went == ["webhook", "email"]
    assert send(tmp_path, "2026-11-23") == {"webhook": "sent", "email": "sent"}
    assert send(tmp_path, force=True) == {"webhook": "sent", "email": "sent"}


def test_a_run_that_dies_while_it_sends_sends_nothing_twice(ways: Ways, tmp_path: Path) -> None:
    ways.wrong = {"email": Killed()}
    with pytest.raises(Killed):
        send(tmp_path)
    ways.wrong = {}
    assert send(tmp_path) == {"webhook": "already sent", "email": "already sent"}
    assert ways.went == ["webhook", "email"]


def test_what_was_not_taken_is_tried_again_and_keeps_nothing_else(ways: Ways, tmp_path: Path) -> None:
    ways.wrong = {"webhook": Unsent("it refuses")}
    assert send(tmp_path) == {"webhook": "not sent", "email": "sent"}
    ways.wrong = {}
    assert send(tmp_path) == {"webhook": "sent", "email": "already sent"}


def test_the_history_is_the_owners_alone_and_forgets_after_400_days(tmp_path: Path) -> None:
    history = History(tmp_path / "daily" / "production")
    old = date(2025, 1, 1)
    history.keep(old, {"n": 1})
    history.keep(old + timedelta(days=KEPT_DAYS), {"n": 2})
    path = history.keep(old + timedelta(days=KEPT_DAYS + 1), {"n": "ñ"})
    assert json.loads(path.read_text()) == {"n": "ñ"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(history.folder.stat().st_mode) == 0o700
    assert sorted(each.name for each in history.folder.iterdir()) == ["2026-02-05.json", "2026-02-06.json"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "daily").write_text("a file")
    with pytest.raises(Stop) as stopped:
        History(tmp_path / "daily" / "x").keep(date(2026, 1, 1), {})
    assert "nothing was sent" in str(stopped.value)
