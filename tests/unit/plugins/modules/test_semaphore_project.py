"""The promises of semaphore_project, kept against a stand-in of Semaphore."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.services import semaphore as service
from ansible_collections.smartercl.smarteros.plugins.modules import semaphore_project as module
from support.semaphore import TOKEN, Semaphore, running
from unit.plugins.wire import run_module

KEY, PASSWORD, API_KEY = "planted-private-key", "planted-vault-password", "planted-api-key"
OPTIONS: dict[str, Any] = {
    "project": "SmarterOS lab",
    "keys": [
        {"name": "repository", "type": "none"},
        {"name": "machines", "type": "ssh", "login": "root", "private_key": KEY},
        {"name": "vault", "type": "login_password", "password": PASSWORD},
    ],
    "repository": {"url": "https://git.example.com/shop.git", "key": "repository"},
    "inventory": {"path": "inventories/lab", "key": "machines"},
    "environment": {"variables": {"SMOS_SPECS_REPO": "/srv/specs"}, "secrets": {"N8N_API_KEY": API_KEY, "EMPTY": ""}},
    "jobs": [
        {
            "name": "Nightly backup",
            "playbook": "playbooks/backup.yml",
            "vault_key": "vault",
            "schedule": "CRON_TZ=America/Santiago 30 3 * * *",
        },
        {
            "name": "Roll back",
            "playbook": "playbooks/rollback.yml",
            "arguments": ["--diff"],
            "survey": [
                {"name": "rollback_release", "title": "Release", "required": True},
                {"name": "rollback_with_data", "title": "With data", "type": "enum", "choices": ["true", "false"]},
            ],
        },
    ],
}


@pytest.fixture
def world() -> Iterator[Semaphore]:
    with running() as there:
        yield there


def run(world: Semaphore, check: bool = False, token: str = TOKEN, **more: Any) -> dict[str, Any]:
    done = run_module(module, check, url=world.url, token=token, **{**copy.deepcopy(OPTIONS), **more})
    for secret in (KEY, PASSWORD, API_KEY, TOKEN):
        assert secret not in json.dumps(done)
    return done


def told(done: dict[str, Any]) -> list[str]:
    return [f"{row['action']} {row['what']}" for row in done["changes"]]


def test_the_first_run_makes_everything_and_the_second_changes_nothing(world: Semaphore) -> None:
    foretold = run(world, check=True)
    assert world.writes == []
    done = run(world)
    assert told(foretold) == told(done)
    assert foretold["diff"] == done["diff"]
    assert told(done)[0] == "create project SmarterOS lab"
    assert len(done["changes"]) == 10
    again = run(world)
    assert (again["changed"], again["changes"]) == (False, [])
    again = run(world, check=True)
    assert again["changed"] is False


def test_what_is_made_leans_on_each_other(world: Semaphore) -> None:
    run(world)
    keys = world.of("keys")
    template = world.of("templates")["SmarterOS: Nightly backup"]
    assert template["inventory_id"] == world.of("inventory")["SmarterOS: inventory"]["id"]
    assert template["repository_id"] == world.of("repositories")["SmarterOS: repository"]["id"]
    assert [one["vault_key_id"] for one in template["vaults"]] == [keys["SmarterOS: vault"]["id"]]
    assert world.of("schedules")["SmarterOS: Nightly backup"]["template_id"] == template["id"]
    survey = world.of("templates")["SmarterOS: Roll back"]["survey_vars"]
    assert survey[1]["values"] == [{"name": "true", "value": "true"}, {"name": "false", "value": "false"}]
    secrets = world.named_secrets()
    assert secrets["env.N8N_API_KEY"] == {"string": API_KEY}
    assert secrets["SmarterOS: machines"]["ssh"]["private_key"] == KEY
    assert secrets["SmarterOS: vault"]["login_password"]["password"] == PASSWORD
    assert "env.EMPTY" not in secrets
    shown = json.dumps([world.things[kind] for kind in ("environment", "repositories", "templates")])
    assert API_KEY not in shown


def test_a_secret_that_changed_is_written_anew_and_no_other(world: Semaphore) -> None:
    run(world)
    before = len(world.writes)
    environment = {**OPTIONS["environment"], "secrets": {"N8N_API_KEY": "another-planted-key"}}
    done = run(world, environment=environment)
    assert told(done) == ["update environment SmarterOS: environment"]
    assert done["changes"][0]["after"]["written anew"] == ["N8N_API_KEY"]
    assert "another-planted-key" not in json.dumps(done)
    assert world.named_secrets()["env.N8N_API_KEY"] == {"string": "another-planted-key"}
    assert all("environment" in path for _method, path in world.writes[before:])
    assert run(world, environment=environment)["changed"] is False
    keys = [*OPTIONS["keys"][:2], {**OPTIONS["keys"][2], "password": "another-planted-password"}]
    assert told(run(world, environment=environment, keys=keys)) == ["update key SmarterOS: vault"]
    assert run(world, environment=environment, keys=keys)["changed"] is False


def test_a_secret_that_somebody_deleted_comes_back(world: Semaphore) -> None:
    run(world)
    number = next(key["id"] for key in world.things["keys"].values() if key["name"] == "env.N8N_API_KEY")
    del world.things["keys"][number]
    assert told(run(world)) == ["update environment SmarterOS: environment"]
    assert "env.N8N_API_KEY" in world.named_secrets()


def test_what_is_not_ours_is_left_alone_and_what_is_not_wished_goes(world: Semaphore) -> None:
    run(world)
    theirs = {**world.of("templates")["SmarterOS: Roll back"], "name": "Mine", "id": 999}
    world.things["templates"][999] = theirs
    done = run(world, jobs=OPTIONS["jobs"][1:])
    assert told(done) == ["delete schedule SmarterOS: Nightly backup", "delete template SmarterOS: Nightly backup"]
    assert sorted(world.of("templates")) == ["Mine", "SmarterOS: Roll back"]
    assert sorted(world.of("keys"))[:2] == ["None", "SmarterOS: machines"]


def test_drift_is_closed_but_a_pause_is_respected(world: Semaphore) -> None:
    run(world)
    schedule, template = (
        world.of("schedules")["SmarterOS: Nightly backup"],
        world.of("templates")["SmarterOS: Roll back"],
    )
    world.things["schedules"][schedule["id"]] = {**schedule, "active": False}
    world.things["templates"][template["id"]] = {**template, "playbook": "elsewhere.yml", "view_id": 7}
    assert told(run(world)) == ["update template SmarterOS: Roll back"]
    template = world.of("templates")["SmarterOS: Roll back"]
    assert (template["playbook"], template["view_id"]) == ("playbooks/rollback.yml", 7)
    assert world.of("schedules")["SmarterOS: Nightly backup"]["active"] is False


def test_a_secret_that_semaphore_loses_is_told_and_the_next_run_goes_on(world: Semaphore) -> None:
    world.lose_secret = "N8N_API_KEY"
    done = run(world)
    assert done["failed"]
    assert done["exit_code"] == 1
    assert "N8N_API_KEY" in done["msg"]
    world.lose_secret = ""
    assert not run(world).get("failed")
    assert run(world)["changed"] is False


def test_options_that_cannot_be_are_refused_before_anything_is_asked(world: Semaphore) -> None:
    wrong: dict[str, Any] = {
        "inventory": {"path": "inventories/lab", "key": "nobody"},
        "keys": [{"name": "repository", "type": "ssh"}],
    }
    done = run(world, **wrong)
    assert done["exit_code"] == 2
    assert [row["why"] for row in done["errors"]] == [
        "there is no key nobody",
        "there is no key vault",
        "key repository has no secret",
    ]
    assert world.requests == []


def test_a_token_that_is_refused_touches_nothing(world: Semaphore) -> None:
    done = run(world, token="wrong-token-of-nobody")
    assert done["exit_code"] == 3
    assert world.writes == []


def test_nothing_of_ours_is_taken_for_somebody_elses() -> None:
    assert all(thing.name.startswith(service.PREFIX) for thing in service.wishes({**OPTIONS, "jobs": []} | filled()))


def filled() -> dict[str, Any]:
    keys = [{"login": "", "private_key": "", "password": "", **key} for key in OPTIONS["keys"]]
    return {"keys": keys, "repository": {"branch": "main", **OPTIONS["repository"]}}
