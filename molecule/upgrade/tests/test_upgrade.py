"""A service is replaced while clients use it through the reverse proxy."""

from __future__ import annotations

from typing import Any

GOOD, BAD = "4.17.0-ce", "4.18.0-unhealthy"


def test_a_new_version_takes_over_without_a_failed_request(smos: Any, letters: Any, clients: Any) -> None:
    (first,) = smos.ledger()
    letters.write("of A")
    smos.describe("0.3.0", chatwoot=GOOD)
    with clients.at_work():
        done = smos.deploy("--service", "chatwoot")
    assert done.code == 0, done
    service = done.result["services"]["chatwoot"]
    assert service["changed"]
    assert service["image"] != first["services"]["chatwoot"]["chatwoot"]
    assert done.result["backup"], "its migration cannot be undone, so its data were backed up first"
    assert set(clients.answers) == {"200"}, clients.answers
    assert clients.answers["200"] > 50
    letters.write("of B")


def test_a_version_that_never_becomes_healthy_is_taken_back_without_a_failed_request(smos: Any, clients: Any) -> None:
    smos.describe("0.4.0", chatwoot=BAD)
    with clients.at_work():
        done = smos.deploy("--service", "chatwoot")
    assert done.code == 1, done
    service = done.result["services"]["chatwoot"]
    assert (service["state"], service["rolled_back"]) == ("failed", True)
    (error,) = done.document["errors"]
    assert "the one before runs again" in error["why"]
    assert set(clients.answers) == {"200"}, clients.answers


def test_the_good_version_is_what_a_further_deploy_finds(smos: Any) -> None:
    smos.revert()
    done = smos.deploy("--service", "chatwoot")
    assert done.code == 0, done
    assert done.result["services"]["chatwoot"]["state"] == "up"
