# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""When an incident begins and ends."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils.health import rows
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.book import Book, Line
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.config import Rules
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import (
    CRITICAL,
    DEGRADED,
    DOWN,
    UNKNOWN,
    UP,
    WARNING,
    Incident,
    Observation,
    Subject,
)

ZONE = ZoneInfo("America/Santiago")
N8N = Subject("service:n8n", "service", "n8n", service="n8n")
RULES = Rules(open_after=2, close_after=3)
AT = 1_800_000_000


def lived(states: Sequence[str], rules: Rules = RULES) -> tuple[Book, list[Incident]]:
    """What a row of looks leaves: the book, and what closed."""
    book, closed = Book(), []
    for number, state in enumerate(states):
        message = "" if state == UP else f"it is {state}"
        ended = book.take([Observation(N8N, state, message)], AT + 300 * number, rules, ZONE)
        closed += ended.incidents
    return book, closed


def test_one_failed_look_is_none() -> None:
    book, closed = lived([UP, DOWN, UP, DOWN, UP])
    assert (book.open_incidents(), closed) == ([], [])


def test_it_dates_from_the_first_failure_and_ends_with_the_first_success() -> None:
    _book, (found,) = lived([UP, DOWN, DOWN, DOWN, UP, UP, UP, UP])
    assert (found.opened_at, found.closed_at) == (AT + 300, AT + 1200)
    assert (found.severity, found.what, found.subject, found.service) == (CRITICAL, "it is down", "service:n8n", "n8n")


def test_it_lasts_while_successes_do_not_hold() -> None:
    book, closed = lived([DOWN, DOWN, UP, UP, DOWN, UP, UP])
    assert closed == []
    (found,) = book.open_incidents()
    assert found.opened_at == AT


def test_what_is_not_known_opens_and_closes_nothing() -> None:
    book, closed = lived([DOWN, UNKNOWN, UNKNOWN])
    assert (book.open_incidents(), closed) == ([], [])
    book, closed = lived([DOWN, DOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN])
    assert len(book.open_incidents()) == 1
    assert closed == []


def test_it_grows_worse_and_never_milder() -> None:
    (found,) = lived([DEGRADED, DEGRADED])[0].open_incidents()
    assert found.severity == WARNING
    (found,) = lived([DEGRADED, DEGRADED, DOWN, DEGRADED])[0].open_incidents()
    assert (found.severity, found.what) == (CRITICAL, "it is degraded")


def test_who_is_not_watched_any_more_has_no_incident() -> None:
    book, _closed = lived([DOWN, DOWN])
    ended = book.take([], AT + 900, RULES, ZONE)
    assert [each.closed_at for each in ended.incidents] == [AT + 900]
    assert (book.open_incidents(), book.lines[N8N.key].state) == ([], UNKNOWN)
    for at in range(AT + 1200, AT + 2 * 86400, 300):
        assert not book.take([], at, RULES, ZONE).incidents
    assert book.lines == {}


def test_who_comes_back_on_the_same_day_keeps_what_was_counted() -> None:
    book = Book()
    for number in range(9):
        seen = [] if 3 <= number < 6 else [Observation(N8N, UP)]
        book.take(seen, AT + 300 * number, RULES, ZONE)
    seconds = book.lines[N8N.key].day.seconds
    assert (seconds[UP], seconds[UNKNOWN], seconds[DOWN]) == (1500, 900, 0)


def test_what_a_stranger_answers_becomes_text_that_the_database_holds() -> None:
    book = Book()
    for number in range(2):
        book.take([Observation(N8N, DOWN, "\0oops\udc80 ñ 😀" + "x" * 600)], AT + 300 * number, RULES, ZONE)
    found = rows.of_book(book, {}, AT + 300)
    texts = [found["subjects"][0]["message"], found["incidents"][0]["what"]]
    assert texts == ["\ufffdoops\ufffd ñ 😀" + "x" * 490] * 2


@given(st.lists(st.sampled_from([UP, DEGRADED, DOWN, UNKNOWN]), max_size=80))
def test_incidents_of_a_subject_never_overlap_and_have_ids_of_their_own(states: list[str]) -> None:
    book, closed = lived(states)
    every = [*closed, *book.open_incidents()]
    assert len({each.id for each in every}) == len(every)
    for earlier, later in pairwise(every):
        assert earlier.closed_at is not None
        assert earlier.opened_at < earlier.closed_at <= later.opened_at


@given(st.lists(st.sampled_from([UP, DEGRADED, DOWN, UNKNOWN]), min_size=1, max_size=30))
def test_a_book_that_was_written_down_goes_on_as_before(states: list[str]) -> None:
    book, _closed = lived(states)
    again = {key: Line.of_json(line.as_json()) for key, line in book.lines.items()}
    assert again == book.lines
