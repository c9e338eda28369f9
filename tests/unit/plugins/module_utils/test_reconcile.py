"""The plan brings any state to the desired one, and the executor spares the others when one fails."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils import reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

STATES = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3))


def outcome(actual: dict[str, Any], todo: reconcile.Plan[Any]) -> dict[str, Any]:
    """The actual state once the plan has been carried out."""
    after = {key: item for key, item in actual.items() if key not in todo.delete}
    after.update({key: wish for key, (_before, wish) in todo.update.items()})
    after.update(todo.create)
    return after


@pytest.mark.parametrize(
    ("desired", "actual", "options", "expected"),
    [
        pytest.param({"a": 1}, {}, {}, {"create": {"a": 1}}, id="what is missing is created"),
        pytest.param({"a": 1}, {"a": 1}, {}, {"keep": {"a": 1}}, id="what is right stays"),
        pytest.param({"a": 1}, {"a": 2}, {}, {"update": {"a": (2, 1)}}, id="what differs is updated"),
        pytest.param({}, {"a": 2}, {}, {}, id="what nobody speaks of stays"),
        pytest.param({}, {"a": 2}, {"purge": True}, {"delete": {"a": 2}}, id="purge deletes what is not desired"),
        pytest.param(
            {"a": 1}, {"a": -2}, {"ours": lambda i: i > 0}, {"conflict": {"a": -2}}, id="not ours is a conflict"
        ),
        pytest.param({}, {"a": -2}, {"purge": True, "ours": lambda i: i > 0}, {}, id="purge spares what is not ours"),
        pytest.param({"a": 1}, {"a": 11}, {"same": lambda a, b: a % 10 == b}, {"keep": {"a": 11}}, id="same decides"),
    ],
)
def test_a_plan_holds_exactly_the_differences(desired: Any, actual: Any, options: Any, expected: Any) -> None:
    found = reconcile.plan(desired, actual, **options)

    kinds = ("create", "update", "delete", "keep", "conflict")
    assert {kind: getattr(found, kind) for kind in kinds} == {**{kind: {} for kind in kinds}, **expected}
    assert found.changed == bool({"create", "update", "delete"} & set(expected))


@given(desired=STATES, actual=STATES, purge=st.booleans())
def test_applying_a_plan_reaches_the_desired_state_and_a_second_plan_is_empty(
    desired: dict[str, int], actual: dict[str, int], purge: bool
) -> None:
    after = outcome(actual, reconcile.plan(desired, actual, purge=purge))

    assert after == (desired if purge else {**actual, **desired})
    assert not reconcile.plan(desired, after, purge=purge).changed


@given(desired=STATES, actual=STATES, foreign=st.sets(st.sampled_from("abcdefgh")))
def test_what_is_not_ours_is_never_changed_or_deleted(
    desired: dict[str, int], actual: dict[str, int], foreign: set[str]
) -> None:
    held = {key: (key, value) for key, value in actual.items()}
    wished = {key: (key, value) for key, value in desired.items()}
    found = reconcile.plan(wished, held, ours=lambda item: item[0] not in foreign, purge=True)

    after = outcome(held, found)
    assert {key: after.get(key) for key in foreign & set(held)} == {key: held[key] for key in foreign & set(held)}
    assert set(found.conflict) == foreign & set(held) & set(wished)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_error_fails_its_own_key_only_and_the_order_stays(concurrency: int) -> None:
    def broken() -> int:
        raise ApiError("no")

    work = {"a": lambda: 1, "b": broken, "c": lambda: 3}
    found = reconcile.run_all(work, concurrency)

    assert list(found) == ["a", "b", "c"]
    assert (found["a"], found["c"]) == (1, 3)
    assert isinstance(found["b"], ApiError)


def test_no_more_than_the_wished_number_works_at_once() -> None:
    lock, running, most = threading.Lock(), [0], [0]
    gate = threading.Barrier(3)

    def job() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        gate.wait(60)
        with lock:
            running[0] -= 1

    reconcile.run_all({str(n): job for n in range(9)}, 3)
    assert most == [3]


def test_no_work_is_no_result() -> None:
    assert reconcile.run_all({}, 8) == {}
