"""Each part of each honest answer, replaced by something of another type; and lists that never end."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer
from unit.plugins.hostile_calls import CLIENTS, PAIRS, Sandbox, sandbox

__all__ = ["sandbox"]  # a fixture

WRONG: tuple[Any, ...] = (None, 7, "text", [], {}, [7], {"x": {"y": 7}}, True)
REQUESTS = 8  # of one call
PARTS = 60  # of one answer
PAGES = 40
Path = tuple[Any, ...]


class Unending(BaseException):
    """A client that goes on for ever is stopped here; no handler of ours catches it."""


def parts(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where something can be replaced; of a list only the first element stands for all."""
    yield path
    if isinstance(value, dict):
        for key, each in value.items():
            yield from parts(each, (*path, key))
    elif isinstance(value, list) and value:
        yield from parts(value[0], (*path, 0))


def replaced(body: Any, path: Path, wrong: Any) -> Any:
    """The answer with something else at this place."""
    if not path:
        return wrong
    changed = copy.deepcopy(body)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = wrong
    return changed


def tried(call: Callable[[Any], Any], client: Any, about: object) -> Any:
    """The result or the ApiError; everything else fails the test and says at which answer."""
    try:
        return call(client)
    except ApiError as exc:
        return exc
    except Unending:
        pytest.fail(f"does not end: {about}")
    except Exception as exc:
        pytest.fail(f"{about}: {type(exc).__name__}: {exc}")


@pytest.mark.parametrize(("name", "called"), PAIRS)
def test_no_wrong_type_anywhere_gives_anything_but_a_result_or_one_error(
    name: str, called: str, sandbox: Sandbox
) -> None:
    call = CLIENTS[name].calls[called]
    honest: list[Answer] = []

    def note(_number: int, answer: Answer) -> Answer:
        honest.append(answer)
        return answer

    sandbox.change = note
    tried(call, sandbox(name), "honest")
    for number, answer in enumerate(honest[:REQUESTS]):
        for path in itertools.islice(parts(answer.body), PARTS):
            for wrong in WRONG:
                body = replaced(answer.body, path, wrong)

                def change(at: int, real: Answer, number: int = number, body: Any = body) -> Answer:
                    return Answer(200, real.headers, body) if at == number else real

                sandbox.change = change
                result = tried(call, sandbox(name), (number, path, wrong))
                if called == "check" and not isinstance(result, dict):
                    pytest.fail(f"check raised {result}: {(number, path, wrong)}")


def endless(body: Any, cursor: str, count: int) -> Any:
    """The answer, saying in every way that providers know that there is another page."""
    if isinstance(body, list):
        return [endless(each, cursor, count) for each in body]
    if not isinstance(body, dict):
        return body
    more: dict[str, Any] = {key: endless(value, cursor, count) for key, value in body.items()}
    known = {"nextCursor": cursor, "hasNextPage": True, "endCursor": cursor, "total_pages": 10**9}
    more.update({key: value for key, value in known.items() if key in more})
    for key in ("meta", "pagination", "paging", "result_info"):
        if isinstance(more.get(key), dict):
            numbers = {"total": 10**9, "total_pages": 10**9, "count": 10**9, "all_count": 10**9, "next": 10**12 + count}
            more[key] = {**more[key], **numbers, "cursors": {"after": cursor}}
    if "data" in more and isinstance(more["data"], list) and "nextCursor" not in more:
        more["nextCursor"] = cursor
    return more


@pytest.mark.parametrize("kind", ["the same cursor", "ever new cursors"])
@pytest.mark.parametrize(("name", "called"), PAIRS)
def test_a_list_that_never_ends_is_given_up(
    name: str, called: str, kind: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_PAGES", PAGES)

    def change(at: int, real: Answer) -> Answer:
        if at > 8 * PAGES:
            raise Unending
        cursor = "again" if kind == "the same cursor" else f"page-{at}"
        headers = (
            {**real.headers, "content-range": f"0-999/{10**9}"} if "content-range" in real.headers else real.headers
        )
        return Answer(real.status, headers, endless(real.body, cursor, at))

    sandbox.change = change
    tried(CLIENTS[name].calls[called], sandbox(name), kind)


@pytest.mark.parametrize(("name", "called"), PAIRS)
def test_a_page_that_is_always_full_is_given_up(
    name: str, called: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For providers that tell the end by a page that is not full: every list has as many new rows as it may have."""
    monkeypatch.setattr(transport, "MAX_PAGES", PAGES)

    def filled(value: Any, at: int, depth: int = 0) -> Any:
        if isinstance(value, list) and value and isinstance(value[0], dict) and depth < 3:
            rows = []
            for number in range(1000):
                row = dict(value[0])
                row.update({key: at * 1000 + number for key in ("id",) if isinstance(row.get(key), int)})
                row.update({key: f"{at}-{number}" for key in ("id",) if isinstance(row.get(key), str)})
                rows.append(row)
            return rows
        if isinstance(value, dict) and depth < 3:
            return {key: filled(each, at, depth + 1) for key, each in value.items()}
        return value

    def change(at: int, real: Answer) -> Answer:
        if at > 4 * PAGES:
            raise Unending
        return Answer(real.status, real.headers, filled(real.body, at))

    sandbox.change = change
    tried(CLIENTS[name].calls[called], sandbox(name), "full pages")
