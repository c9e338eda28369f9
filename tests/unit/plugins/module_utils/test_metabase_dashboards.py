"""Dashboards in the specs: what a file may say, and that ours say it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import metabase_dashboards as dashboards
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import metabase_sql
from smos.specs.dashboards import Card, DashboardFile

SPECS = Path(__file__).parents[4] / "specs"
GOOD = """
name: One
cards:
  - {name: A, display: table, sql: SELECT 1, place: {row: 0, col: 0, width: 12, height: 4}}
  - {name: B, display: bar, sql: SELECT 2, place: {row: 0, col: 12, width: 12, height: 4}}
"""


def load(folder: Path, text: str) -> tuple[dashboards.DashboardSpec, ...]:
    (folder / "one.yml").write_text(text)
    return dashboards.load(str(folder))


def test_ours_can_be_read_and_ask_for_what_the_database_has() -> None:
    found = dashboards.of(dashboards.load(str(SPECS / "dashboards")), dashboards.TENANT)
    tables = " ".join(path.read_text() for path in (SPECS / "database").glob("*.sql"))
    assert [spec.name for spec in found] == ["Actividad", "Resumen"]
    for card in (card for spec in found for card in spec.cards):
        table = card.sql.split("FROM ", 1)[1].split()[0]
        assert f"create table public.{table} (" in tables, card.name


@pytest.mark.parametrize("path", sorted((SPECS / "dashboards").glob("*.yml")), ids=lambda path: path.stem)
def test_the_schema_that_editors_use_takes_ours(path: Path) -> None:
    DashboardFile.model_validate(yaml.safe_load(path.read_text()))
    assert set(get_args(Card.model_fields["display"].annotation)) == dashboards.DISPLAYS


def test_the_founders_read_the_collectors_schema_alone() -> None:
    found = dashboards.of(dashboards.load(str(SPECS / "dashboards")), dashboards.SYSTEM)
    assert [spec.name for spec in found] == ["Sales", "Service Performance", "System Health", "Tenant Analytics"]
    known = {f"v_{name}" for name in ("status", "incidents", "availability", "latency", "metrics")} | {"figures"}
    for card in (card for spec in found for card in spec.cards):
        asked = set(re.findall(r"health\.(\w+)", card.sql))
        assert asked, card.name
        assert asked <= known, card.name


WRONG = [
    (GOOD.replace("col: 12", "col: 11"), "A and B lie on each other|B and A lie on each other"),
    (GOOD.replace("col: 12", "col: 13"), "ends within the 24 cells"),
    (GOOD.replace("display: bar", "display: flower"), "display is one of"),
    (GOOD.replace("sql: SELECT 2, ", ""), "a card lacks sql"),
    (GOOD.replace("SELECT 2", "''"), "sql is a text"),
    (GOOD + "colour: red\n", "the file knows no colour"),
    (GOOD.replace("name: B", "name: A"), "there twice: A"),
    (GOOD.replace("width: 12", "width: wide", 1), "whole cells"),
    ("[]", "the file is a mapping"),
    (GOOD + "for: everybody\n", "for is tenant or system"),
    (GOOD.replace("SELECT 2", "DELETE FROM tenants"), "begins with SELECT or WITH"),
    (GOOD.replace("SELECT 2", "SELECT 2; SELECT 3"), "one statement"),
    (GOOD.replace("SELECT 2", "'WITH gone AS (DELETE FROM x RETURNING 1) SELECT 1'"), "only reads; it has DELETE"),
    (GOOD.replace("SELECT 2", "'SELECT 1 WHERE x = {{ day }}'"), "ask for a value"),
    (GOOD.replace("SELECT 2", "SELECT 1 FROM f WHERE tenant_name = 'Acme Corp'"), "never names a tenant"),
    (GOOD.replace("SELECT 2", "SELECT 1 FROM f WHERE subject = 'tenant:76086428-5/shop'"), "never names a tenant"),
    ("name: One\ncards: []", "at least one card"),
    ("name: [", "not a dashboard"),
    ("name: !!python/object/apply:os.getcwd []", "not a dashboard"),
]


@pytest.mark.parametrize(("text", "words"), WRONG, ids=[each[1][:30] for each in WRONG])
def test_a_mistake_is_told_with_the_file(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ApiError, match=words) as caught:
        load(tmp_path, text)
    assert str(tmp_path) in caught.value.where


FINE = [
    "SELECT ';' AS \"delete; update\" -- drop this; and that\nFROM t",
    "WITH a AS (SELECT 1) SELECT * FROM a;",
    "SELECT 1 FROM t WHERE tenant <> '' AND name = 'cpu_percent'",
    "SELECT /* insert; */ updated_at FROM t",
]


@pytest.mark.parametrize("sql", FINE)
def test_what_only_reads_is_taken(sql: str) -> None:
    assert metabase_sql.mistake(sql) == ""


def test_a_fingerprint_changes_with_anything(tmp_path: Path) -> None:
    before = load(tmp_path, GOOD)[0].fingerprint
    changed = [GOOD.replace(*each) for each in (("SELECT 2", "SELECT 3"), ("row: 0", "row: 1"), ("One", "Two"))]
    assert len({before, *(load(tmp_path, text)[0].fingerprint for text in changed)}) == 4


def test_a_folder_that_is_not_there_is_one_clear_error() -> None:
    with pytest.raises(ApiError, match="cannot read the folder"):
        dashboards.load("/nowhere/at/all")
