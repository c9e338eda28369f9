"""Which rows are one tenant's, and what is refused before a database is asked for them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import tenant_data, tenant_plan, tenant_sql
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.tenant_data import Description, Rows
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.tenant_plan import Reference, Tenant

ID = "20261122-050000"
RUT = "76543210-3"
ACME = Tenant(RUT, "acme", {"chatwoot": {"account_id": 7}, "n8n": {"orders": "w1"}})
HERE = ("postgresql", "redis", "n8n", "odoo", "chatwoot", "botpress", "metabase")


def table(
    name: str, *columns: str, kind: str = "r", refers: dict[str, tuple[str, str]] | None = None
) -> dict[str, Any]:
    """A table as the database tells it; ``refers``: by column the parent's table and what becomes of the row."""
    told = [
        {"name": each, "type": "integer", "needed": True, "generated": False, "sequence": None}
        for each in ("id", *columns)
    ]
    references = [
        {"name": f"fk_{column}", "parent": parent, "rule": rule, "columns": [column], "keys": ["id"]}
        for column, (parent, rule) in (refers or {}).items()
    ]
    return {
        "name": name,
        "kind": kind,
        "owner": "app",
        "columns": told,
        "keys": ["id"],
        "references": references or None,
    }


def found(described: Description, *told: dict[str, Any], **values: list[str]) -> dict[str, str]:
    parts = tenant_plan.parts_of(described, tenant_plan.tables_of(told), values)
    return {name: part.where for name, part in parts.items()}


def test_tables_with_the_column_and_what_goes_with_their_rows_are_the_tenant_s() -> None:
    told = (
        table("chats", "account"),
        table("lines", "chat", refers={"chat": ("chats", "c")}),
        table("words", "line", refers={"line": ("lines", "c")}),
        table("marks", "chat", refers={"chat": ("chats", "n")}),
        table("others", "x"),
    )
    wheres = found(Description("db", {"account": "{account}"}), *told, account=["7", "o'8"])
    assert list(wheres) == ["chats", "lines", "words"]
    assert wheres["chats"] == "(\"account\" IN ('7', 'o''8'))"
    assert wheres["lines"] == f'(("chat") IN (SELECT "id" FROM "chats" WHERE {wheres["chats"]}))'
    assert wheres["lines"] in wheres["words"]


def test_rows_that_are_shared_are_only_added_and_take_nothing_along() -> None:
    rows = (
        Rows("links", "kind = 'Chat' AND chat IN (SELECT id FROM [chats])"),
        Rows("labels", "id IN (SELECT label FROM [links])", add=True),
        Rows("links", "kind = 'Page' AND chat IN (SELECT id FROM [pages])"),
    )
    told = (
        table("chats", "account"),
        table("links", "chat", "label", "kind"),
        table("labels"),
        table("uses", "label", refers={"label": ("labels", "c")}),
    )
    described = Description("db", {"account": "{account}"}, rows)
    parts = tenant_plan.parts_of(described, tenant_plan.tables_of(told), {"account": ["7"]})
    assert [(name, part.add) for name, part in parts.items()] == [("chats", False), ("labels", True), ("links", False)]
    assert "pages" not in parts["links"].where  # a table of another version
    script = tenant_sql.exchange(list(parts.values()), "scratch", "postgres")
    assert [line.split()[2] for line in script.splitlines() if line.startswith("DELETE")] == ['"chats"', '"links"']


def test_a_value_is_never_taken_for_a_place() -> None:
    wheres = found(Description("db", {"a": "{a}"}), table("t", "a"), a=["[t]", "{a}"])
    assert wheres == {"t": "(\"a\" IN ('[t]', '{a}'))"}


def test_no_value_finds_no_row() -> None:
    assert found(Description("db", {"a": "{a}"}), table("t", "a"), a=[]) == {"t": '("a" IN (NULL))'}


def test_a_partitioned_table_is_refused() -> None:
    with pytest.raises(Refused, match="table t of db is partitioned"):
        found(Description("db", {"a": "{a}"}), table("t", "a", kind="p"), a=["1"])


@pytest.mark.parametrize(
    ("then", "words"),
    [
        ((table("t", "a", "b"),), "table t of db has other columns in backup .* than here: b"),
        ((table("t", "a"), table("u", "a")), "table u of db is only in backup"),
        ((), "table t of db is only here"),
    ],
)
def test_other_tables_than_those_of_the_backup_are_refused(then: tuple[dict[str, Any], ...], words: str) -> None:
    described = Description("db", {"a": "{a}"})
    parts = [
        tenant_plan.parts_of(described, tenant_plan.tables_of(told), {"a": ["1"]})
        for told in (then, (table("t", "a"),))
    ]
    with pytest.raises(Refused, match=words) as caught:
        tenant_plan.same_tables("db", ID, *parts)
    assert caught.value.exit_code == 3
    tenant_plan.same_tables("db", ID, parts[1], parts[1])


def test_references_to_and_of_the_rows_are_looked_at_and_no_others() -> None:
    told = tenant_plan.tables_of(
        (
            table("chats", "account", "box", refers={"box": ("boxes", "a")}),
            table("boxes"),
            table("marks", "chat", refers={"chat": ("chats", "n")}),
            table("x", "y", refers={"y": ("boxes", "a")}),
        )
    )
    parts = tenant_plan.parts_of(Description("db", {"account": "{account}"}), told, {"account": ["7"]})
    assert [(each.table, each.parent) for each in tenant_plan.references(parts, told)] == [
        ("chats", "boxes"),
        ("marks", "chats"),
    ]
    asked = tenant_sql.dangling(Reference("fk", "a", ("x", "y"), "b", ("p", "q"), "a"))
    assert asked == (
        'SELECT count(*) FROM "a" c WHERE c."x" IS NOT NULL AND c."y" IS NOT NULL'
        ' AND NOT EXISTS (SELECT 1 FROM "b" p WHERE p."p" = c."x" AND p."q" = c."y");\n'
    )


# --- services


def test_what_the_tenant_has_apart_is_chosen_and_the_rest_is_told() -> None:
    choice = tenant_plan.choose(ACME, HERE, (), ID)
    assert choice.services == {
        "postgresql": {"tenant": [RUT]},
        "n8n": {"workflows": ["w1"], "tag": [f"rut:{RUT}"]},
        "chatwoot": {"account": ["7"]},
    }
    (odoo,) = [note for note in choice.notes if note.startswith("odoo: one tenant's data cannot be brought back")]
    assert f"instead, restore all of it (`smos restore {ID} --service odoo`)" in odoo
    assert "botpress: the registry knows nothing of acme there" in choice.notes
    assert any(note.startswith("metabase: ") for note in choice.notes)
    assert tenant_plan.choose(ACME, HERE, ("chatwoot",), ID).notes == []


@pytest.mark.parametrize(
    ("wanted", "here", "code", "words"),
    [
        ("odoo", HERE, 2, "odoo: one tenant's data cannot be brought back without the others'"),
        ("redis", HERE, 2, "redis keeps nothing by tenant"),
        ("n8n", ("chatwoot",), 3, "n8n is not installed on this machine"),
        ("botpress", HERE, 2, "the registry knows nothing of acme there"),
    ],
)
def test_a_service_that_cannot_be_is_refused_by_name(wanted: str, here: tuple[str, ...], code: int, words: str) -> None:
    with pytest.raises(Refused, match=words) as caught:
        tenant_plan.choose(ACME, here, (wanted,), ID)
    assert caught.value.exit_code == code
    assert caught.value.following


def test_scratch_databases_of_dead_runs_are_known_and_nobody_else_s() -> None:
    long = "x" * 60
    there = ["n8n", f"n8n_tenant_{ID}", "n8n_tenant_list", f"n8n_restore_{ID}", f"odoo_tenant_{ID}"]
    assert tenant_plan.scratch("n8n", ID) == f"n8n_tenant_{ID}"
    assert tenant_plan.leftovers("n8n", there) == [f"n8n_tenant_{ID}"]
    short = tenant_plan.scratch(long, ID)
    assert len(short) <= 63
    assert tenant_plan.leftovers(long, [short, *there]) == [short]


def test_descriptions_name_only_tables_and_values_that_there_are() -> None:
    """A misspelt place would be found only on a machine that has the table."""
    refs: dict[str, Any] = {"chatwoot": {"account_id": 7}, "botpress": {"bot_id": "acme"}, "n8n": {"orders": "w1"}}
    for service, described in tenant_data.TOGETHER.items():
        values = tenant_data.values(service, RUT, refs.get(service, {}))
        assert values
        columns = [f"{value} as a column" for value in described.columns.values()]
        tables = {each.table for each in described.rows}
        for condition in [*columns, *(each.where for each in described.rows)]:
            named = {"workflows_tags", *tenant_plan._TABLE.findall(condition)}
            assert tenant_plan.rendered(condition, values, dict.fromkeys(named, "true"))
        assert not described.root or described.root in tables
        for counter in described.counters:
            assert counter.name.format(**{key: each[0] for key, each in values.items()})


def test_the_command_beside_the_server_is_one_line_and_quoted() -> None:
    (part,) = tenant_plan.parts_of(
        Description("db", {"a": "{a}"}), tenant_plan.tables_of([table("t", "a")]), {"a": ["1"]}
    ).values()
    line = tenant_sql.exchange([part], "od'd db", "postgres").splitlines()[1]
    assert line.startswith(
        '\\copy "t" ("id", "a") FROM PROGRAM \'PGCLIENTENCODING=UTF8 PGOPTIONS=\'\'-c DateStyle=ISO,MDY'
    )
    assert "-w" in line.split()
    assert line.endswith("</dev/null'")
