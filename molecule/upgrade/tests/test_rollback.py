"""A release goes back to the one before and forward again, with a migration and without. Begins where the upgrade has ended:
release B runs, C was tried and taken back, and B's version has migrated what A's has written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

A, B, C, D = "0.2.0", "0.3.0", "0.4.0", "0.5.0"
CHATWOOT = {"chatwoot_chatwoot", "chatwoot_chatwoot-worker"}
PROXY = {"socket-proxy_socket-proxy"}
Test = TypeVar("Test", bound=Callable[..., None])


def running(host: Any) -> dict[str, tuple[str, str]]:
    """Image and start of each container, by Swarm service."""
    form = '{{index .Config.Labels "com.docker.swarm.service.name"}} {{.Config.Image}} {{.State.StartedAt}}'
    lines = host.check_output(f"docker inspect --format '{form}' $(docker ps --quiet)").splitlines()
    return {name: (image, since) for name, image, since in map(str.split, lines)}


def images(host: Any, service: str) -> dict[str, str]:
    return {
        name.removeprefix(f"{service}_"): image for name, (image, _since) in running(host).items() if service in name
    }


def entry(ledger: list[dict[str, Any]], release: str) -> dict[str, Any]:
    """The newest that came about of a release."""
    return next(each for each in ledger if each["release"] == release and each["result"] == "done")


def marked(ledger: list[dict[str, Any]]) -> set[str]:
    return {each["release"] for each in ledger if each["bad"]}


@pytest.fixture(autouse=True)
def untouched(host: Any, request: pytest.FixtureRequest) -> Iterator[None]:
    """Containers of services that a test does not name are not touched by what it does."""
    before = running(host)
    yield
    mine: set[str] = getattr(request.function, "changes", set())
    assert {name: each for name, each in running(host).items() if name not in mine} == {
        name: each for name, each in before.items() if name not in mine
    }


def changing(*names: str) -> Callable[[Test], Test]:
    """Name the Swarm services whose containers a test replaces."""

    def name(test: Test) -> Test:
        vars(test)["changes"] = set(names)
        return test

    return name


def test_the_ledger_tells_of_every_deploy(smos: Any) -> None:
    ledger = smos.ledger()
    told = [(each["release"], each["kind"], each["result"], each["current"], each["bad"]) for each in ledger]
    assert told == [
        (B, "deploy", "done", True, False),
        (C, "deploy", "rolled back", False, False),
        (B, "deploy", "done", False, False),
        (A, "deploy", "done", False, False),
    ]
    assert all("@sha256:" in image for each in ledger for own in each["services"].values() for image in own.values())


def test_data_that_were_migrated_do_not_go_back_unasked(smos: Any) -> None:
    taken = smos.ledger()[2]["backup"]
    done = smos.run("rollback", A)
    assert (done.code, done.document["changed"], done.result["services"]) == (4, False, {}), done
    (error,) = done.document["errors"]
    assert (error["what"], error["where"]) == ("chatwoot", "chatwoot 4.18.0-unhealthy → 4.16.2-ce")
    moment = f"{taken[:4]}-{taken[4:6]}-{taken[6:8]} {taken[9:11]}:{taken[11:13]} UTC"
    for words in (f"smos rollback {A} --with-data", f"backup {taken} ({moment})", "what was written since", "is lost"):
        assert words in error["next"]


def test_the_plan_changes_nothing(smos: Any) -> None:
    ledger = smos.ledger()
    done = smos.run("rollback", A, "--with-data", "--check")
    assert done.code == 0, done
    told = {(each["service"], each["what"].partition(" (")[0]): each["after"] for each in done.result["changes"]}
    then = entry(ledger, A)["services"]["chatwoot"]
    assert told["chatwoot", "data"] == f"backup {ledger[2]['backup']}"
    assert told["chatwoot", "image of chatwoot"] == then["chatwoot"]
    assert told["chatwoot", "image of chatwoot-worker"] == then["chatwoot-worker"]
    assert {service for service, _what in told} == {"chatwoot"}
    assert smos.ledger() == ledger


@changing(*CHATWOOT)
def test_with_its_data_it_goes_back(smos: Any, host: Any, letters: Any) -> None:
    ledger = smos.ledger()
    done = smos.run("rollback", A, "--with-data")
    assert done.code == 0, done
    assert (done.result["release"], done.result["previous"]) == (A, B)
    assert done.result["data"] == {"chatwoot": ledger[2]["backup"]}
    assert images(host, "chatwoot") == entry(ledger, A)["services"]["chatwoot"]
    assert letters.read() == ["of A"]

    now = smos.ledger()
    assert (now[0]["release"], now[0]["kind"], now[0]["result"]) == (A, "rollback", "done")
    assert (now[0]["current"], now[0]["previous"], now[0]["backup"]) == (True, B, done.result["backup"])
    assert marked(now) == {B}
    kept = {each["id"]: each for each in smos.run("backups").result["backups"]}
    safety = kept[done.result["backup"]]
    assert (safety["reason"], safety["services"], safety["state"]) == ("rollback", ["chatwoot"], "complete")


def test_what_was_rolled_back_from_is_not_deployed_again(smos: Any) -> None:
    done = smos.deploy()
    assert (done.code, done.document["changed"]) == (4, False), done
    (error,) = done.document["errors"]
    assert error["what"] == f"release {B}"
    assert "it was rolled back from" in error["why"]
    assert f"--release {B} --acknowledge {B}" in error["next"]


@changing(*CHATWOOT)
def test_a_rollback_of_a_rollback_goes_forward_without_a_failed_request(
    smos: Any, host: Any, letters: Any, clients: Any
) -> None:
    ledger = smos.ledger()
    with clients.at_work():
        done = smos.run("rollback", B)
    assert done.code == 0, done
    assert done.result["data"] == {}
    assert images(host, "chatwoot") == entry(ledger, B)["services"]["chatwoot"]
    assert letters.read() == ["of A"], "on the way up data stay as they are"
    assert set(clients.answers) == {"200"}, clients.answers
    now = smos.ledger()
    assert (now[0]["release"], now[0]["current"], marked(now)) == (B, True, set())
    again = smos.deploy("--service", "chatwoot")
    assert (again.code, again.document["changed"]) == (0, False), again


@changing(*PROXY)
def test_without_a_migration_it_goes_back_without_data(smos: Any, host: Any) -> None:
    then = images(host, "socket-proxy")
    smos.describe(D, socket_proxy="0.4.2")
    deployed = smos.deploy("--service", "socket-proxy")
    assert (deployed.code, deployed.result["backup"]) == (0, None), deployed
    assert images(host, "socket-proxy") != then

    back = smos.run("rollback", "previous")
    assert (back.code, back.result["release"], back.result["data"], back.result["backup"]) == (0, B, {}, None), back
    assert images(host, "socket-proxy") == then
    assert marked(smos.ledger()) == {D}
    other = smos.run("rollback", "previous")  # not to the bad one, but to A
    assert (other.code, other.document["errors"][0]["where"]) == (4, "chatwoot 4.17.0-ce → 4.16.2-ce"), other
