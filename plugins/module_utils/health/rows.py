# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The rows of the database that a pass writes, by table, as plain data."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.smartercl.smarteros.plugins.module_utils.health.book import Book, Ended, Line
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import Incident
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.tally import Day, Hour

Row = dict[str, t.Any]
Rows = dict[str, list[Row]]

MOST_TEXT = 500
TABLES = ("subjects", "hours", "days", "incidents", "metrics")


def of_book(book: Book, metrics: Mapping[str, float], at: int) -> Rows:
    """What is so now: every subject with its hour and its day, what is open, and the machine's figures."""
    lines = book.lines.items()
    return {
        "subjects": [_subject(line) for _key, line in lines],
        "hours": [_hour(key, line.hour) for key, line in lines],
        "days": [_day(key, line.day) for key, line in lines],
        "incidents": [_incident(each) for each in book.open_incidents()],
        "metrics": [{"at": at, "name": name, "value": value} for name, value in sorted(metrics.items())],
    }


def of_ended(ended: Ended) -> Rows:
    """What will not change any more."""
    return {
        "subjects": [],
        "hours": [_hour(*each) for each in ended.hours],
        "days": [_day(*each) for each in ended.days],
        "incidents": [_incident(each) for each in ended.incidents],
        "metrics": [],
    }


def together(parts: Sequence[Rows]) -> Rows:
    """One set of rows; of two for the same thing the later one counts."""
    marks = {
        "subjects": ("subject",),
        "hours": ("at", "subject"),
        "days": ("day", "subject"),
        "incidents": ("id",),
        "metrics": ("at", "name"),
    }
    found: Rows = {}
    for table in TABLES:
        by_mark = {tuple(row[key] for key in marks[table]): row for part in parts for row in part.get(table, ())}
        found[table] = list(by_mark.values())
    return found


def plain(text: str) -> str:
    """A text as the database can hold it: what a stranger's server answers may hold anything."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text[:MOST_TEXT])


def _subject(line: Line) -> Row:
    about = line.subject
    return {
        "subject": about.key,
        "kind": about.kind,
        "tenant": about.tenant,
        "service": about.service,
        "title": about.title,
        "target": about.target,
        "state": line.state,
        "since": line.since,
        "last": line.last,
        "latency_ms": line.latency_ms,
        "message": plain(line.message),
    }


def _hour(key: str, hour: Hour) -> Row:
    average = round(hour.latency_sum / hour.latency_count) if hour.latency_count else None
    most = hour.latency_max if hour.latency_count else None
    seconds = {f"{state}_s": value for state, value in hour.seconds.items()}
    return {"at": hour.at, "subject": key, "passes": hour.passes, "avg_ms": average, "max_ms": most, **seconds}


def _day(key: str, day: Day) -> Row:
    return {"day": day.day, "subject": key, **{f"{state}_s": value for state, value in day.seconds.items()}}


def _incident(each: Incident) -> Row:
    return {**each.as_row(), "what": plain(each.what)}
