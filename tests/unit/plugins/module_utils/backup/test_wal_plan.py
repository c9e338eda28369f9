"""From when until when a server can be brought back, out of what, and what nobody needs any more."""

from __future__ import annotations

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import wal_plan, wal_store
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository, Snapshot
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.wal_plan import Base, Held, Piece, PointError

DAY = wal_plan.DAY_S
T = 1_795_000_000.0  # a moment in 2026


def base(name: str, first: int, at: float, line: int = 1, system: str = "s") -> Base:
    return Base(name, system, line, first, at, 100, f"told-{name}")


def piece(name: str, first: int, last: int, until: float, line: int = 1, system: str = "s") -> Piece:
    return Piece(name, system, line, first, last, until)


CHAIN = Held(
    (base("b1", 10, T), base("b2", 40, T + DAY)),
    (piece("p1", 8, 19, T + 100), piece("p2", 20, 29, T + 200), piece("p3", 30, 45, T + DAY + 50)),
)


@pytest.mark.parametrize(
    ("moment", "snapshot", "pieces"),
    [
        (T, "b1", ["p1"]),
        (T + 100, "b1", ["p1"]),
        (T + 101, "b1", ["p1", "p2"]),
        (T + DAY - 1, "b1", ["p1", "p2", "p3"]),
        (T + DAY + 50, "b2", ["p3"]),
    ],
)
def test_a_moment_comes_from_the_newest_base_before_it_and_no_more_than_it_takes(
    moment: float, snapshot: str, pieces: list[str]
) -> None:
    found = wal_plan.choose(CHAIN, moment)
    assert (found.base.snapshot, [each.snapshot for each in found.pieces]) == (snapshot, pieces)


@pytest.mark.parametrize("moment", [T - 1, T + DAY + 51])
def test_a_moment_outside_is_refused_and_the_window_is_said(moment: float) -> None:
    with pytest.raises(PointError) as caught:
        wal_plan.choose(CHAIN, moment)
    assert f"{wal_plan.stamp(T)} to {wal_plan.stamp(T + DAY + 50)}" in caught.value.why
    assert caught.value.exit_code == 2


def test_a_gap_ends_the_window_and_asks_for_a_new_base() -> None:
    gap = Held((base("b1", 10, T),), (piece("p1", 10, 19, T + 100), piece("p3", 21, 30, T + 300)))
    assert wal_plan.spans(gap) == [(T, T + 100)]
    assert "missing" in wal_plan.due(gap, "s", 1, T + 400, DAY)
    with pytest.raises(PointError):
        wal_plan.choose(gap, T + 200)
    healed = Held((*gap.bases, base("b2", 25, T + 290)), gap.pieces)
    assert wal_plan.spans(healed) == [(T, T + 100), (T + 290, T + 300)]
    assert wal_plan.due(healed, "s", 1, T + 400, DAY) == ""


@pytest.mark.parametrize(("line", "system"), [(2, "s"), (1, "other")])
def test_segments_of_another_history_lead_on_from_no_base_of_this_one(line: int, system: str) -> None:
    other = Held((base("b1", 10, T),), (piece("p", 10, 19, T + 100, line, system),))
    assert wal_plan.spans(other) == []
    assert "as it is now" in wal_plan.due(other, system, line, T, DAY)


def test_without_segments_after_it_a_base_is_no_window() -> None:
    with pytest.raises(PointError, match="no base backup"):
        wal_plan.choose(Held((base("b1", 10, T),)), T)


def test_a_base_is_due_when_the_newest_is_old() -> None:
    assert "old" in wal_plan.due(CHAIN, "s", 1, T + 2 * DAY, DAY)
    assert wal_plan.due(CHAIN, "s", 1, T + DAY + 60, DAY) == ""


def test_what_no_kept_moment_needs_is_let_go_and_the_last_base_never() -> None:
    held = Held(
        (base("b0", 1, T - 9 * DAY), base("b1", 10, T - 8 * DAY), base("b2", 40, T - DAY)),
        (piece("p0", 1, 9, T), piece("p1", 10, 39, T), piece("p2", 38, 50, T), piece("x", 1, 90, T, 1, "gone")),
    )
    # b1 is older than seven days, and only from it the first of them can be brought back
    assert wal_plan.to_forget(held, 7, T) == ["told-b0", "b0", "p0", "x"]
    assert wal_plan.to_forget(held, 7, T + 400 * DAY) == ["told-b1", "b1", "told-b0", "b0", "p0", "p1", "x"]
    assert wal_plan.to_forget(Held((), held.pieces), 7, T) == []


def test_segments_are_grouped_where_they_follow_each_other() -> None:
    names = [f"0000000100000000000000{each}" for each in ("FE", "FF", "03")] + ["000000010000000100000000", ".lost"]
    names += ["000000020000000100000001", "00000002.history", "000000010000000100000001.partial"]
    assert [len(each) for each in wal_plan.runs(names)] == [1, 3, 1]
    assert wal_plan.number("000000010000000100000000") == wal_plan.number("0000000100000000000000FF") + 1


@pytest.mark.parametrize(
    "text",
    ["2026-11-22 14:03:00-03", "2026-11-22T17:03:00Z", "2026-11-22 14:03:00-0300", "2026-11-22T14:03:00.9-03:00"],
)
def test_a_moment_has_its_offset(text: str) -> None:
    found = wal_plan.moment_of(text)
    assert wal_plan.stamp(found) == "2026-11-22T17:03:00Z"
    assert wal_plan.Choice(found, CHAIN.bases[0], ()).name == "point-20261122-170300"


@pytest.mark.parametrize("text", ["2026-11-22 14:03:00", "yesterday", "", "2026-11-22", "2026-13-22 14:03:00Z"])
def test_a_moment_without_it_is_refused(text: str) -> None:
    with pytest.raises(PointError, match="no moment with its offset"):
        wal_plan.moment_of(text)


# --- where it is kept


@pytest.mark.parametrize(
    ("location", "inside"),
    [
        ("/backups", "/backups/wal"),
        ("s3:https://s3.example.com/bucket/", "s3:https://s3.example.com/bucket/wal"),
        ("sftp:user@backup.example.com:/folder", "sftp:user@backup.example.com:/folder/wal"),
        ("b2:bucket", "b2:bucket:/wal"),
        ("b2:bucket:folder", "b2:bucket:folder/wal"),
    ],
)
def test_the_archive_is_a_repository_inside_the_place(location: str, inside: str) -> None:
    assert wal_store.inside(Repository(location, "/p")).location == inside


def snapshot(name: str, original: str = "", **tags: str) -> Snapshot:
    return Snapshot(name, original or name, "", tags, (), "")


def test_half_a_base_is_none_and_a_copy_is_known_by_what_it_was_copied_from() -> None:
    about = {"system": "s", "timeline": "1", "first": "7"}
    stream = snapshot("here", "there", kind="stream", **about)
    told = snapshot("t", kind="base", stream="there", at="5", bytes="9", **about)
    assert wal_store.of([stream]) == Held()
    assert wal_store.of([told]) == Held()
    assert wal_store.of([stream, told]).bases == (Base("here", "s", 1, 7, 5.0, 9, "t"),)
    bad = snapshot("p", kind="piece", last="x", until="0", **about)
    assert wal_store.of([bad]).pieces == ()
