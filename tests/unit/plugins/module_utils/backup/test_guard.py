"""What keeps a backup from filling the disk, and a broken dump from passing for a good one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import guard

GIB = 1 << 30


@pytest.mark.parametrize(
    ("added", "data", "needed"),
    [
        (None, 0, GIB),
        (None, 10 * GIB, 5 * GIB),
        (0, 10 * GIB, GIB),
        (GIB // 4, 10 * GIB, GIB),
        (3 * GIB, 10 * GIB, 6 * GIB),
    ],
)
def test_twice_the_last_growth_or_half_of_the_data_must_be_free(added: int | None, data: int, needed: int) -> None:
    assert guard.needed(added, data) == needed
    assert not guard.enough_space(needed, added, data)
    assert guard.enough_space(needed - 1, added, data)


def test_a_refusal_tells_what_is_free_and_what_must_be() -> None:
    assert guard.enough_space(500 << 20, 2 * GIB) == (
        "500 MiB are free where the backups are kept, and 4.0 GiB must be (twice what the last backup added)"
    )
    assert "the least that a machine needs" in guard.enough_space(0, 0)
    assert "half of the data" in guard.enough_space(GIB, None, 8 * GIB)


@pytest.mark.parametrize(
    ("free", "added", "data", "enough"),
    [
        (6 * GIB, 3 * GIB, 100 * GIB, True),
        (5 * GIB, 3 * GIB, 10 * GIB, True),
        (4 * GIB, 3 * GIB, 10 * GIB, False),
        (4 * GIB, None, 10 * GIB, False),
        (5 * GIB, None, 10 * GIB, True),
    ],
    ids=["twice the growth", "half of the data", "neither", "first: too little", "first: half of the data"],
)
def test_what_is_enough_for_a_first_backup_is_enough_for_any(
    free: int, added: int | None, data: int, enough: bool
) -> None:
    assert (guard.room(free, added, lambda: data) == "") is enough


def test_the_data_are_counted_only_where_that_matters() -> None:
    assert not guard.room(2 * GIB, GIB, lambda: pytest.fail("counted"))


@given(st.integers(0, 1 << 50), st.one_of(st.none(), st.integers(0, 1 << 50)), st.integers(0, 1 << 50))
def test_never_begins_with_less_than_the_least_free(free: int, added: int | None, data: int) -> None:
    if not guard.enough_space(free, added, data):
        assert free >= guard.LEAST_FREE
        assert added is None or free >= 2 * added


@pytest.mark.parametrize(
    ("before", "now", "doubted"),
    [(0, 0, False), (0, 5, False), (100, 50, False), (100, 49, True), (100, 0, True), (1, 0, True), (100, 1000, False)],
)
def test_less_than_the_floor_is_doubted(before: int, now: int, doubted: bool) -> None:
    assert guard.shrunk(before, now, 50) is doubted


def test_a_floor_of_zero_doubts_nothing() -> None:
    assert not guard.shrunk(1 << 40, 0, 0)
