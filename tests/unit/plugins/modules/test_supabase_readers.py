"""The promises of supabase_readers, supabase_buckets and supabase_migrations through the Management API of the sandbox."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import derive
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import supabase_readers as service
from smos.sandbox.supabase_keys import LIMITED
from unit.plugins.supabase_world import BUCKET, FOLDER, MASTER, World, item, reader, rut
from unit.plugins.wire import CUT, LOST, once

SQL = "/v1/projects/sandboxsandboxsandbo/database/query"
FILES = sorted(path.name for path in FOLDER.glob("*.sql"))


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture
def world(empty: World) -> World:
    empty.migrate()
    empty.rows(item(1), item(2))
    return empty


def states(answer: dict[str, Any]) -> list[str]:
    return [row["state"] for row in answer["results"]]


# --- readers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["present", "suspended", "absent"])
def test_check_mode_foretells_the_run_and_a_second_run_changes_nothing(world: World, state: str) -> None:
    if state != "present":
        world.readers(reader(1), reader(2))
    items = [reader(1, state=state), reader(2, state=state)]
    foretold, done, again = (world.readers(*items, check=True), world.readers(*items), world.readers(*items))
    assert (foretold["results"], foretold["diff"]) == (done["results"], done["diff"])
    assert done["changed"] is True
    assert (again["changed"], again["requests"]) == (False, 1)


def test_many_readers_are_made_in_few_statements(world: World) -> None:
    world.rows(*(item(n) for n in range(100)))
    answer = world.readers(*(reader(n) for n in range(100)))
    assert (set(states(answer)), answer["requests"]) == ({"ready"}, 5)


def test_a_tenant_without_a_row_fails_alone(world: World) -> None:
    answer = world.readers(reader(1), reader(7), reader(2))
    assert states(answer) == ["ready", "failed", "ready"]


def test_without_a_master_secret_or_a_way_to_sql_nothing_is_done(world: World) -> None:
    world.wire.sent.clear()
    lesser: list[dict[str, Any]] = [{"master_secret": ""}, {"access_token": ""}, {"access_token": "none"}]
    for less in lesser:
        assert world.readers(reader(1), **less)["results"] == []
    assert world.wire.sent == []
    assert "fewer than 16" in world.readers(reader(1), master_secret="short")["msg"]


def test_only_a_verifier_is_sent_and_nothing_of_it_is_returned(world: World) -> None:
    world.wire.sent.clear()
    answer = world.readers(reader(1))
    password, verifier = derive.secret(MASTER, "reader", rut(1)), service.verifier(MASTER, rut(1))
    sent = str(world.wire.sent)
    assert verifier in sent
    assert password not in sent
    assert password not in str(answer)
    assert verifier.split("$")[2] not in str({**answer, "invocation": None})


def test_the_verifier_is_the_same_in_every_run_and_differs_by_tenant() -> None:
    assert service.verifier(MASTER, rut(1)) == service.verifier(MASTER, rut(1))
    assert service.verifier(MASTER, rut(1)) != service.verifier(MASTER, rut(2))
    assert service.verifier(MASTER, rut(1)) != service.verifier(f"{MASTER}2", rut(1))


def test_before_the_migrations_check_mode_counts_on_them_and_a_run_names_the_next_step(empty: World) -> None:
    assert states(empty.readers(reader(1), check=True)) == ["ready"]
    answer = empty.readers(reader(1))
    assert "apply the migrations first" in answer["msg"]


@pytest.mark.parametrize("trouble", [LOST, CUT])
def test_a_statement_whose_answer_is_lost_is_sent_again_and_does_no_harm(world: World, trouble: str) -> None:
    world.wire.trouble = once(lambda sent: sent.path == SQL and "create role" in str(sent.json), trouble)
    assert states(world.readers(reader(1))) == ["ready"]
    assert world.readers(reader(1))["changed"] is False


@pytest.mark.parametrize("role", ["postgres", "tenant_x_reader; drop role postgres", "tenant__reader" + "x" * 60, ""])
def test_a_name_that_is_no_readers_is_refused(world: World, role: str) -> None:
    assert states(world.readers(reader(1, role=role))) == ["failed"]


# --- migrations ------------------------------------------------------------------------------------------------------


def test_migrations_are_foretold_applied_once_and_then_cost_one_request(empty: World) -> None:
    foretold, done, again = empty.migrate(check=True), empty.migrate(), empty.migrate()
    assert (foretold["applied"], foretold["diff"]) == (done["applied"], done["diff"])
    assert done["applied"] == FILES
    assert (again["changed"], again["requests"]) == (False, 1)


@pytest.mark.parametrize("trouble", [LOST, CUT])
@pytest.mark.parametrize("number", range(1, 6))
def test_a_migration_whose_answer_is_lost_is_applied_once(empty: World, number: int, trouble: str) -> None:
    record = f"values ('{number:04d}',"
    empty.wire.trouble = once(lambda sent: record in str(sent.json), trouble)
    assert empty.migrate()["applied"] == FILES
    assert empty.migrate()["changed"] is False


def test_a_changed_file_is_refused_through_the_api_as_well(empty: World, tmp_path: Path) -> None:
    empty.migrate()
    folder = Path(shutil.copytree(FOLDER, tmp_path / "database"))
    with (folder / FILES[0]).open("a") as file:
        file.write("-- a word\n")
    answer = empty.migrate(folder=folder)
    assert FILES[0] in answer["msg"]
    assert "recorded checksum" in answer["msg"]


def test_a_token_that_lacks_a_permission_says_which(empty: World) -> None:
    answer = empty.migrate(access_token=LIMITED)
    assert answer["exit_code"] == 3
    assert "missing permissions: database_read" in answer["msg"]


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"access_token": "sb_secret_x"}, "key of a project"),
        ({"access_token": "two words"}, "space"),
        ({"access_token": ""}, "needs an access token"),
        ({"access_token": "sbp_wrong"}, "Unauthorized"),
        ({"project": ""}, "needs an access token"),
        ({"project": "../other"}, "not the ref"),
        ({"database_url": "mysql://x@y/z"}, "postgresql://"),
        ({"folder": "/nowhere"}, "cannot be read"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_written(empty: World, more: dict[str, str], word: str) -> None:
    answer = empty.migrate(**more)  # type: ignore[arg-type]  # the folder as text
    assert (answer["failed"], answer["exit_code"]) == (True, 3)
    assert word in answer["msg"]
    assert [sent for sent in empty.wire.writes if not sent.path.endswith("read-only")] == []


# --- buckets ---------------------------------------------------------------------------------------------------------


def test_buckets_are_made_corrected_and_others_left_alone(empty: World) -> None:
    empty.wire.driver.ok("POST", "/storage/v1/bucket", {"name": "by-hand", "public": True})
    foretold, done, again = empty.buckets(BUCKET, check=True), empty.buckets(BUCKET), empty.buckets(BUCKET)
    assert (foretold["changes"], foretold["diff"]) == (done["changes"], done["diff"])
    assert (done["changed"], again["changed"], again["requests"]) == (True, False, 1)
    empty.wire.driver.ok("PUT", "/storage/v1/bucket/tenant-assets", {"public": True})
    assert empty.buckets(BUCKET)["changes"][0]["before"]["public"] is True
    assert empty.buckets(BUCKET)["changed"] is False
    assert empty.client().buckets()["by-hand"]["public"] is True


def test_more_buckets_than_a_page_are_all_seen(empty: World) -> None:
    for n in range(130):
        empty.wire.driver.ok("POST", "/storage/v1/bucket", {"name": f"b{n:03d}"})
    assert len(empty.client().buckets()) == 130


@pytest.mark.parametrize("trouble", [LOST, CUT])
def test_a_bucket_whose_answer_is_lost_is_made_once(empty: World, trouble: str) -> None:
    empty.wire.trouble = once(lambda sent: sent.method == "POST" and sent.path.endswith("/bucket"), trouble)
    assert empty.buckets(BUCKET)["changed"] is True
    assert empty.buckets(BUCKET)["changed"] is False


def test_a_bucket_that_storage_refuses_is_told(empty: World) -> None:
    answer = empty.buckets({"name": "tenant-x", "mime_types": ["nonsense"]})
    assert "mime type nonsense is not supported" in answer["msg"]
