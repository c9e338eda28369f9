"""Making, judging and rotating secrets, on values in memory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import secret_jobs, secret_kinds
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import Stop
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.vault import MADE_AT, Content

SPECS = Path(__file__).resolve().parents[4] / "specs"
KNOWN = secret_jobs.catalogue(SPECS)
LIVE = "postgresql_n8n_password"
OURS = [name for name, entry in KNOWN.secrets.items() if entry["kind"] in secret_kinds.GENERATED]
# What roles ask for by name
FIXED = (
    "postgresql_password",
    "postgresql_smarteros_password",
    "postgresql_n8n_password",
    "postgresql_odoo_password",
    "postgresql_chatwoot_password",
    "postgresql_botpress_password",
    "postgresql_metabase_password",
    "postgresql_reader_password",
    "redis_password",
    "n8n_encryption_key",
    "n8n_jwt_secret",
    "n8n_owner_password",
    "n8n_runners_token",
    "n8n_api_key",
    "odoo_master_password",
    "odoo_admin_password",
    "odoo_api_key",
    "chatwoot_secret_key_base",
    "chatwoot_record_primary_key",
    "chatwoot_record_deterministic_key",
    "chatwoot_record_salt",
    "chatwoot_admin_password",
    "chatwoot_platform_token",
    "botpress_password",
    "metabase_encryption_key",
    "metabase_admin_password",
    "metabase_api_key",
    "dokploy_postgres_password",
    "dokploy_auth_secret",
    "dokploy_admin_password",
    "dokploy_api_key",
    "portainer_admin_password",
    "traefik_dashboard_password",
    "backup_password",
)


def made() -> Content:
    content = Content()
    secret_jobs.fill(content, KNOWN)
    return content


def states(content: Content, services: list[str] | None = None) -> dict[str, str]:
    return {row["name"]: row["state"] for row in secret_jobs.judge(content, KNOWN, services)}


def test_the_catalogue_has_every_name_that_roles_ask_for() -> None:
    assert sorted(KNOWN.secrets) == sorted(FIXED)


def test_init_makes_what_is_missing_and_touches_nothing_that_is_there() -> None:
    content = Content({"redis_password": "mine", "unknown": "too"})
    assert secret_jobs.fill(content, KNOWN) == [name for name in OURS if name != "redis_password"]
    assert content.values["redis_password"] == "mine"
    assert secret_jobs.fill(content, KNOWN) == []
    assert set(content.values) == {*OURS, "unknown"}


def test_what_init_makes_is_sound() -> None:
    found = states(made())
    assert {name for name, state in found.items() if state == "ok"} == set(OURS)
    assert {state for name, state in found.items() if name not in OURS} == {"unmade"}


def test_each_flaw_has_its_state() -> None:
    content = made()
    del content.values["n8n_jwt_secret"]
    content.put("redis_password", "Redis1")
    content.put("odoo_admin_password", content.values["botpress_password"])
    content.put("left_over", "x" * 40)
    old = datetime.now(UTC) - timedelta(days=400)
    content.meta["n8n_runners_token"][MADE_AT] = old.strftime("%Y-%m-%dT%H:%M:%SZ")
    content.meta["n8n_owner_password"] = {MADE_AT: "yesterday"}
    secret_jobs.begin(content, KNOWN, LIVE)
    found = states(content)
    assert found["n8n_jwt_secret"] == "missing"
    assert found["redis_password"] == "weak"
    assert found["odoo_admin_password"] == found["botpress_password"] == "shared"
    assert found["left_over"] == "unknown"
    assert found["n8n_runners_token"] == "old"
    assert found["n8n_owner_password"] == "ok"
    assert found[LIVE] == "pending"


def test_secrets_of_services_that_are_left_out_are_unused() -> None:
    found = states(Content(), ["postgresql", "redis", "traefik", "n8n", "odoo", "chatwoot"])
    assert found["metabase_encryption_key"] == found["dokploy_auth_secret"] == "unused"
    assert found["n8n_encryption_key"] == "missing"


def test_all_that_one_command_makes_is_told_in_one_row() -> None:
    content = made()
    del content.values["redis_password"], content.values["n8n_owner_password"]
    content.values["n8n_runners_token"] = "short"
    rows = secret_jobs.judge(content, KNOWN, ["redis", "n8n"])
    bad = [each for each in rows if each["state"] in secret_jobs.BAD]
    first, second = secret_jobs.errors(bad, "vault.yml")
    assert first["why"] == "2 secrets are missing: redis_password, n8n_owner_password"
    assert (first["where"], first["next"]) == ("vault.yml", "smos secrets init")
    assert (second["what"], second["next"]) == ("n8n_runners_token", "smos secrets rotate n8n_runners_token")
    assert secret_jobs.errors([], "vault.yml") == []


def test_no_row_holds_a_value() -> None:
    content = made()
    content.put("n8n_api_key", "k" * 10)
    text = repr(secret_jobs.judge(content, KNOWN)) + repr(content)
    assert not [value for value in content.values.values() if value in text]


def test_a_rotation_keeps_the_old_value_until_it_is_settled() -> None:
    content = made()
    old, when = content.values[LIVE], content.meta[LIVE][MADE_AT]
    assert secret_jobs.begin(content, KNOWN, LIVE)
    new = content.values[LIVE]
    assert new != old
    assert content.previous == {LIVE: old}
    assert not secret_jobs.begin(content, KNOWN, LIVE), "one that died goes on with its new value"
    assert content.values[LIVE] == new
    assert secret_jobs.settle(content, LIVE)
    assert (content.values[LIVE], content.previous) == (new, {})
    assert set(content.meta[LIVE]) == {MADE_AT}
    assert when <= content.meta[LIVE][MADE_AT]


def test_a_rotation_is_taken_back_with_its_date() -> None:
    content = made()
    content.meta[LIVE][MADE_AT] = "2026-01-01T00:00:00Z"
    before = (content.values[LIVE], dict(content.meta[LIVE]))
    secret_jobs.begin(content, KNOWN, LIVE)
    assert secret_jobs.take_back(content, LIVE)
    assert (content.values[LIVE], content.meta[LIVE]) == before
    assert content.previous == {}
    assert not secret_jobs.take_back(content, LIVE)


def test_one_rotation_at_a_time() -> None:
    content = made()
    secret_jobs.begin(content, KNOWN, LIVE)
    with pytest.raises(Stop, match=f"the rotation of {LIVE} has not ended") as refused:
        secret_jobs.begin(content, KNOWN, "redis_password")
    assert refused.value.exit_code == 4


@pytest.mark.parametrize(
    "name",
    [
        "n8n_encryption_key",
        "metabase_encryption_key",
        "chatwoot_record_primary_key",
        "chatwoot_record_deterministic_key",
        "chatwoot_record_salt",
        "chatwoot_secret_key_base",
        "dokploy_auth_secret",
        "n8n_api_key",
    ],
)
def test_keys_whose_loss_makes_data_unreadable_are_refused_with_another_way(name: str) -> None:
    content = made()
    before = dict(content.values)
    with pytest.raises(Stop) as refused:
        secret_jobs.begin(content, KNOWN, name)
    assert refused.value.exit_code == 4
    assert refused.value.errors[0]["next"] == KNOWN.secrets[name]["how"]
    assert content.values == before


@pytest.mark.parametrize(("name", "code"), [("nonsense", 2), ("", 2), (LIVE, 3)])
def test_what_cannot_be_rotated_is_told(name: str, code: int) -> None:
    with pytest.raises(Stop) as refused:
        secret_jobs.begin(Content(), KNOWN, name)
    assert refused.value.exit_code == code


def test_the_services_that_a_rotation_deploys_begin_with_its_owner() -> None:
    assert secret_jobs.users(KNOWN.secrets[LIVE]) == ["postgresql", "n8n"]
    assert secret_jobs.users(KNOWN.secrets["n8n_jwt_secret"]) == ["n8n"]


def test_a_given_value_is_judged_before_it_is_kept() -> None:
    content = made()
    with pytest.raises(Stop, match="no upper-case letter") as refused:
        secret_jobs.keep(content, KNOWN, "n8n_owner_password", "hunter2")
    assert refused.value.exit_code == 2
    assert "hunter2" not in str(refused.value)
    assert secret_jobs.keep(content, KNOWN, "n8n_owner_password", "Correct-horse-battery-9")
    assert not secret_jobs.keep(content, KNOWN, "n8n_owner_password", "Correct-horse-battery-9")
