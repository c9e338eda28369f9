"""What a restore may do, before anything is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import journal, restore_plan
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.journal import State
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import (
    DATABASE,
    FILE,
    FOLDER,
    GLOBALS,
    VOLUME,
    Manifest,
    Part,
    ServicePart,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked

ID = "20260101-020000"
N8N = ServiceData(
    "n8n", databases={"n8n": ("workflow",)}, volumes=["n8n-data"], keys=["n8n_encryption_key"], writers=["n8n_n8n"]
)
ODOO = ServiceData("odoo", databases={"odoo": ()}, volumes=["odoo-data"], writers=["odoo_odoo"])
REDIS = ServiceData("redis", redis="redis_redis")
CONFIG = Config(
    "production",
    "/backups",
    "/password",
    {"n8n": N8N, "odoo": ODOO, "redis": REDIS},
    release="0.3.0",
    fingerprints={"n8n_encryption_key": "aa11"},
)


def service(name: str, error: str = "") -> ServicePart:
    parts = (Part(GLOBALS, "pg", "g"), Part(DATABASE, name, "d", bytes=10), Part(VOLUME, f"{name}-data", "v", bytes=5))
    return ServicePart(parts if not error else (), error)


def backup(**more: Any) -> Manifest:
    given: dict[str, Any] = {
        "id": ID,
        "environment": "production",
        "release": "0.2.0",
        "machine": "vps",
        "services": {"n8n": service("n8n"), "odoo": service("odoo")},
        "keys": {"n8n_encryption_key": "aa11"},
    }
    return Manifest(**{**given, **more})


def refused(manifest: Manifest, *services: str, config: Config = CONFIG) -> Refused:
    with pytest.raises(Refused) as caught:
        restore_plan.plan(manifest, config, Asked(ID, services))
    return caught.value


def test_all_services_go_back_or_those_that_are_named() -> None:
    plan = restore_plan.plan(backup(), CONFIG, Asked(ID))
    assert plan.services == ["n8n", "odoo"]
    assert plan.writers == ["n8n_n8n", "odoo_odoo"]
    assert [part.key for part in plan.parts["n8n"]] == ["database:n8n", "volume:n8n-data"]
    assert plan.warnings == [f"backup {ID} holds nothing of redis: they stay as they are"]
    one = restore_plan.plan(backup(), CONFIG, Asked(ID, ("odoo",)))
    assert (one.services, one.writers, one.warnings) == (["odoo"], ["odoo_odoo"], [])


def test_what_the_deploy_makes_is_not_brought_back() -> None:
    held = backup(services={**backup().services, "exports": ServicePart((Part(FILE, "workflows.json", "f"),))})
    assert restore_plan.plan(held, CONFIG, Asked(ID)).services == ["n8n", "odoo"]
    assert "holds nothing of exports" in refused(held, "exports").why


@pytest.mark.parametrize("error", ["", "export of vercel: no answer"], ids=["whole", "partial"])
def test_what_is_read_by_hand_is_passed_over_with_a_word(error: str) -> None:
    aside = ServicePart((Part(FILE, "accounts.tar", "f"),), error)
    held = backup(services={**backup().services, "accounts": aside, "machine": aside})
    plan = restore_plan.plan(held, CONFIG, Asked(ID))
    assert plan.services == ["n8n", "odoo"]
    (told,) = [each for each in plan.warnings if "by hand" in each]
    assert told.startswith("accounts and machine can only be read by hand, on the machine: `restic -r /")
    assert f"dump --tag id={ID},service=accounts latest accounts.tar" in told
    assert not any("by hand" in each for each in restore_plan.plan(held, CONFIG, Asked(ID, ("n8n",))).warnings)
    exc = refused(held, "n8n", "accounts")
    assert (exc.exit_code, exc.why) == (2, "a restore does not bring accounts back")
    assert "docs/backup.md" in exc.following


def test_the_backup_that_holds_accounts_is_not_the_latest_for_that() -> None:
    aside = {"accounts": ServicePart((Part(FILE, "accounts.tar", "f"),))}
    older = backup(id="20251231-020000", services={**backup().services, **aside})
    alone = backup(id="20260102-020000", services=aside)
    assert restore_plan.latest([older, backup(), alone], CONFIG, ()).id == ID


def test_a_service_that_is_not_installed_any_more_is_left_out_and_told() -> None:
    held = backup(services={**backup().services, "metabase": service("metabase")})
    assert (
        f"metabase of backup {ID} is not installed here: left out"
        in restore_plan.plan(held, CONFIG, Asked(ID)).warnings
    )
    assert refused(held, "metabase").exit_code == 3


def test_the_database_server_itself_is_never_stopped() -> None:
    server = ServiceData("postgresql", databases={"x": ()}, writers=["postgresql_postgresql"])
    config = replace(CONFIG, services={"postgresql": server})
    held = backup(services={"postgresql": service("x")})
    assert restore_plan.plan(held, config, Asked(ID)).writers == []


def test_a_redis_is_stopped_for_its_own_data() -> None:
    held = backup(services={"redis": ServicePart((Part("redis", "redis_redis", "r"),))})
    assert restore_plan.plan(held, CONFIG, Asked(ID)).writers == ["redis_redis"]


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"environment": "staging"}, 2, "is of the environment staging, this machine belongs to production"),
        ({"release": "0.4.0"}, 2, "release 0.4.0, newer than the installed 0.3.0"),
        ({"release": "v0.10.0"}, 2, "newer than the installed"),
        (
            {"keys": {"n8n_encryption_key": "bb22"}},
            3,
            "another n8n_encryption_key than the backup (aa11, not bb22): n8n",
        ),
        ({"services": {}}, 2, "holds no service of this machine"),
    ],
)
def test_what_does_not_belong_here_is_refused(change: dict[str, Any], code: int, words: str) -> None:
    exc = refused(backup(**change))
    assert exc.exit_code == code
    assert words in exc.why
    assert exc.following


def test_a_key_that_is_not_there_is_named_with_those_who_need_it() -> None:
    exc = refused(backup(), config=replace(CONFIG, fingerprints={}))
    assert exc.why == (
        "this environment lacks the n8n_encryption_key of the backup (none, not aa11): n8n could not read its data"
    )
    assert "vault" in exc.following


def test_a_key_only_matters_to_the_services_that_go_back() -> None:
    assert restore_plan.plan(backup(), replace(CONFIG, fingerprints={}), Asked(ID, ("odoo",))).services == ["odoo"]


def test_a_key_that_the_backup_does_not_tell_is_a_warning() -> None:
    warnings = restore_plan.plan(backup(keys={}), CONFIG, Asked(ID, ("n8n",))).warnings
    assert warnings == [f"backup {ID} does not tell its n8n_encryption_key: whether it fits is seen only later"]


def test_a_service_that_failed_is_refused_by_name_and_the_others_can_go_back() -> None:
    held = backup(services={"n8n": service("n8n", "pg_dump ended with 1"), "odoo": service("odoo")})
    for services in ((), ("n8n",), ("n8n", "odoo")):
        exc = refused(held, *services)
        assert exc.exit_code == 2
        assert "n8n (pg_dump ended with 1) failed when it was taken" in exc.why
    assert refused(held).following == (
        "Restore the others by naming them (--service odoo), or choose another backup (smos backups)"
    )
    assert refused(held, "n8n").following == "Choose another backup (smos backups)"
    assert restore_plan.plan(held, CONFIG, Asked(ID, ("odoo",))).services == ["odoo"]


def test_an_unknown_service_is_refused_with_those_that_are_held() -> None:
    exc = refused(backup(), "n9n")
    assert exc.why == f"backup {ID} holds nothing of n9n; it holds n8n, odoo"


def test_services_may_share_a_server_but_no_database() -> None:
    config = replace(CONFIG, services={**CONFIG.services, "odoo": replace(ODOO, databases={"n8n": ()})})
    assert "n8n and odoo both keep data in the database n8n" in refused(backup(), "n8n", config=config).why
    other = replace(ODOO, databases={"n8n": ()}, server="dokploy_postgres")
    assert restore_plan.plan(
        backup(), replace(CONFIG, services={"n8n": N8N, "odoo": other}), Asked(ID, ("n8n",))
    ).services == ["n8n"]


@pytest.mark.parametrize(
    ("told", "here", "good"),
    [("16.4", "16.2", True), ("16.4", "17.0", True), ("17.1", "16.9", False), ("", "15.1", True)],
)
def test_a_dump_of_a_newer_server_is_refused(told: str, here: str, good: bool) -> None:
    plan = restore_plan.plan(backup(versions={"postgresql_postgresql": told}), CONFIG, Asked(ID))
    versions = {"postgresql_postgresql": here}
    if good:
        restore_plan.fits_server(plan, CONFIG, versions)
        return
    with pytest.raises(Refused, match=r"dumped by PostgreSQL 17.1; 16.9") as caught:
        restore_plan.fits_server(plan, CONFIG, versions)
    assert caught.value.exit_code == 3


# --- which one is the latest


def test_the_latest_is_never_one_that_a_restore_made_of_what_it_replaced() -> None:
    old, safety = backup(id="20260101-020000"), backup(id="20260102-020000", reason="restore")
    assert restore_plan.latest([safety, old], CONFIG, ()) is old


def test_the_backup_of_one_service_is_not_the_latest_of_all_but_of_itself() -> None:
    whole = backup(id="20260101-020000")
    single = backup(id="20260102-020000", services={"n8n": service("n8n")})
    assert restore_plan.latest([whole, single], CONFIG, ()) is whole
    assert restore_plan.latest([whole, single], CONFIG, ("n8n",)) is single
    assert restore_plan.latest([whole, single], CONFIG, ("odoo",)) is whole


def test_the_latest_is_one_in_which_what_is_wanted_did_not_fail() -> None:
    whole = backup(id="20260101-020000")
    half = backup(id="20260102-020000", services={"n8n": service("n8n"), "odoo": service("odoo", "disk full")})
    assert restore_plan.latest([half, whole], CONFIG, ()) is whole
    assert restore_plan.latest([half, whole], CONFIG, ("n8n",)) is half


def test_where_there_is_none_it_is_told() -> None:
    with pytest.raises(Refused, match="no backup of n8n is there"):
        restore_plan.latest([backup(environment="staging")], CONFIG, ("n8n",))


# --- what follows from a restore that was cut off

STATE = State("latest", ID, ["n8n"], "2026-01-01T00:00:00Z", wanted=["n8n"])


@pytest.mark.parametrize(
    ("stage", "step"),
    [
        (journal.BEGUN, restore_plan.OVER),
        (journal.STOPPING, restore_plan.OVER),
        (journal.FILLING, restore_plan.OVER),
        (journal.SWITCHING, restore_plan.FORWARD),
        (journal.STARTING, restore_plan.FORWARD),
        (journal.TIDYING, restore_plan.TIDY),
        (journal.UNDOING, restore_plan.BACK),
    ],
)
def test_before_the_switch_it_starts_over_and_after_it_goes_on(stage: str, step: str) -> None:
    there = replace(STATE, stage=stage)
    assert restore_plan.following(there, Asked(ID, ("n8n",))) == step
    assert restore_plan.following(there, Asked("latest", ("n8n",))) == step


def test_nothing_that_was_cut_off_is_a_beginning() -> None:
    assert restore_plan.following(None, Asked(ID)) == restore_plan.BEGIN


@pytest.mark.parametrize("asked", [Asked("20250101-020000", ("n8n",)), Asked(ID, ("odoo",)), Asked(ID)])
def test_another_command_is_refused_and_told_which_one_goes_on(asked: Asked) -> None:
    with pytest.raises(Refused) as caught:
        restore_plan.following(STATE, asked)
    assert caught.value.exit_code == 4
    assert f"`smos restore {ID} --service n8n`" in caught.value.following


def test_a_restore_of_all_may_be_gone_on_with_by_naming_all() -> None:
    there = replace(STATE, wanted=[], services=["n8n", "odoo"])
    assert restore_plan.following(there, Asked(ID, ("odoo", "n8n"))) == restore_plan.OVER
    assert there.command == f"smos restore {ID}"


# --- room


def test_twice_the_bytes_must_be_free_on_each_file_system_together() -> None:
    parts = [Part(DATABASE, "a", "1", bytes=10), Part(VOLUME, "b", "2", bytes=5), Part(FOLDER, "/c", "3", bytes=1)]
    assert restore_plan.space_needed(parts) == (20, 12)
    mib = 1024**2
    restore_plan.enough_space([(1, "/a", 10 * mib, 20 * mib), (1, "/b", 10 * mib, 20 * mib), (2, "/c", 1, 1)])
    with pytest.raises(Refused, match="21 MiB must be free where /a is, and 20 MiB are") as caught:
        restore_plan.enough_space([(1, "/a", 10 * mib, 20 * mib), (1, "/b", 11 * mib, 20 * mib)])
    assert caught.value.exit_code == 3


# --- names


def test_a_sibling_says_what_it_is() -> None:
    assert restore_plan.sibling("n8n", "restore", ID) == "n8n_restore_20260101-020000"


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=63))
def test_no_name_is_ever_cut_off_and_no_two_are_the_same(name: str) -> None:
    found = {restore_plan.sibling(each, what, ID) for each in (name, f"{name}x") for what in ("restore", "before")}
    assert len(found) == 4
    assert all(len(each.encode()) <= 63 for each in found)


@pytest.mark.parametrize(
    ("one", "other", "newer"),
    [
        ("0.2.0", "0.2.0", False),
        ("0.10.0", "0.9.9", True),
        ("v0.3", "0.2.9", True),
        ("0.2.0", "0.2", False),
        ("0.2.1", "0.2", True),
        ("", "0.1", False),
        ("main", "0.1", False),
    ],
)
def test_releases_are_compared_by_their_numbers(one: str, other: str, newer: bool) -> None:
    assert restore_plan.newer(one, other) is newer


# --- whether the latest is what is meant


def dumped(backup_id: str, machine: str, size: int, **more: Any) -> Manifest:
    part = Part(DATABASE, "odoo", "d", bytes=size)
    return backup(id=backup_id, machine=machine, services={"odoo": ServicePart((part,), more.pop("error", ""))}, **more)


FULL = dumped("20260101-020000", "vps (a)", 2 << 30)
EMPTY = dumped("20260102-020000", "vps (b)", 40 << 10)


def test_an_empty_machine_that_took_another_one_s_place_is_doubted_and_both_are_named() -> None:
    assert restore_plan.doubt(EMPTY, [FULL, EMPTY], 50) == (
        "backup 20260102-020000 of the machine vps (b) holds far less than the older backup 20260101-020000 of vps (a):"
        " of database odoo 40 KiB, not 2.0 GiB"
    )
    again = replace(EMPTY, id="20260103-020000")
    assert restore_plan.doubt(again, [FULL, EMPTY, again], 50), "two that are empty are no better than one"


@pytest.mark.parametrize(
    "older",
    [
        replace(FULL, machine="vps (b)"),
        replace(FULL, environment="staging"),
        replace(FULL, reason="restore"),
        replace(FULL, id="20260109-020000"),
        dumped(FULL.id, "vps (a)", 2 << 30, error="it was cut off"),
        dumped(FULL.id, "vps (a)", 70 << 10),
    ],
    ids=["its own", "of another environment", "before a restore", "newer", "not whole", "not far more"],
)
def test_it_is_not_doubted_beside_one_that_is(older: Manifest) -> None:
    assert restore_plan.doubt(EMPTY, [older, EMPTY], 50) == ""


def test_a_machine_that_was_brought_back_may_shrink_like_any() -> None:
    brought = dumped("20260101-090000", "vps (b)", 2 << 30)
    assert restore_plan.doubt(EMPTY, [FULL, brought, EMPTY], 50) == ""
    assert restore_plan.doubt(EMPTY, [FULL, EMPTY], 0) == "", "who turned the floor off is not asked"
