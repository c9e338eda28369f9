# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Collections of the sandbox's Metabase, and the questions and dashboards in them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from smos.sandbox.metabase_graphs import for_new_collection
from smos.sandbox.metabase_store import Refused, body_of, flag, loaded, new_id, row_of, user_of
from smos.sandbox.provider import Call, Reply

TRASH = {"id": 9_000_001, "name": "Trash", "description": None, "type": "trash", "archived": False, "children": []}
GRID = 24

# --- collections -----------------------------------------------------------------------------------------------------


def tree(call: Call) -> Reply:
    """All live collections as a tree; the trash itself stands at the end where archived ones are not left out."""
    rows = call.db.execute("SELECT * FROM metabase_collections WHERE archived = 0 ORDER BY lower(name), id").fetchall()
    shown: dict[int, dict[str, Any]] = {
        row["id"]: {**_collection_shown(row), "children": [], "here": [], "below": []} for row in rows
    }
    top: list[dict[str, Any]] = []
    for row in rows:
        parent = shown.get(row["parent_id"])
        (parent["children"] if parent else top).append(shown[row["id"]])
    return Reply(200, top if flag(call, "exclude-archived") else [*top, TRASH])


def list_collections(call: Call) -> Reply:
    archived = flag(call, "archived")
    sql = "SELECT * FROM metabase_collections WHERE archived = ? ORDER BY lower(name), id"
    rows = [_collection_shown(row) for row in call.db.execute(sql, (int(archived),))]
    first: dict[str, Any] = TRASH if archived else {"id": "root", "name": "Our analytics", "is_personal": False}
    return Reply(200, [first, *rows])


def get_collection(call: Call) -> Reply:
    return Reply(200, _collection_shown(row_of(call, "collections", call.params["id"])))


def create_collection(call: Call) -> Reply:
    known = {"name": str, "description": str, "parent_id": int, "namespace": str, "authority_level": str}
    body = body_of(call, known, ("name",))
    parent = body.get("parent_id")
    if parent is not None:
        row_of(call, "collections", parent)
    number = new_id(call, "collections", name=body["name"], description=body.get("description"), parent_id=parent)
    for_new_collection(call, number, parent)
    return Reply(200, _collection_shown(row_of(call, "collections", number)))


def change_collection(call: Call) -> Reply:
    row = row_of(call, "collections", call.params["id"])
    known = {"name": str, "description": str, "parent_id": int, "archived": bool, "authority_level": str}
    body = body_of(call, known, ())
    for name in ("name", "description"):
        if body.get(name) is not None:
            call.db.execute(f"UPDATE metabase_collections SET {name} = ? WHERE id = ?", (body[name], row["id"]))
    archived = body.get("archived")
    if archived is not None and bool(archived) != bool(row["archived"]):
        _archive(call, row["id"], int(archived))
    return get_collection(call)


def delete_collection(call: Call) -> Reply:
    """For good, with all that is in it; only what is in the trash."""
    row = row_of(call, "collections", call.params["id"])
    if not row["archived"]:
        raise Refused(400, "Collection must be trashed before deletion.")
    call.db.execute("DELETE FROM metabase_access WHERE place = ?", (row["id"],))
    call.db.execute("DELETE FROM metabase_collections WHERE id = ?", (row["id"],))
    return Reply(204)


def items(call: Call) -> Reply:
    """What is in a collection, a page at a time."""
    row = row_of(call, "collections", call.params["id"])
    archived = int(flag(call, "archived"))
    found: list[dict[str, Any]] = []
    for model in ("card", "dashboard"):
        if call.query.get("models", model) == model:
            sql = f"SELECT * FROM metabase_{model}s WHERE collection_id = ? AND archived = ?"
            found += [_item_shown(each, model) for each in call.db.execute(sql, (row["id"], archived))]
    found.sort(key=lambda item: (item["name"].lower(), item["id"]))
    limit, offset = int(call.query.get("limit") or 50), int(call.query.get("offset") or 0)
    page = found[offset : offset + limit]
    return Reply(200, {"data": page, "total": len(found), "limit": limit, "offset": offset, "models": []})


def _archive(call: Call, collection: int, archived: int) -> None:
    """Into the trash and back, with all that is in it and below it."""
    below = (
        "WITH RECURSIVE below (id) AS (SELECT ? UNION SELECT c.id FROM metabase_collections c JOIN below b"
        " ON c.parent_id = b.id)"
    )
    for table, column in (("collections", "id"), ("cards", "collection_id"), ("dashboards", "collection_id")):
        sql = f"{below} UPDATE metabase_{table} SET archived = ? WHERE {column} IN (SELECT id FROM below)"
        call.db.execute(sql, (collection, archived))


def _collection_shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "archived": bool(row["archived"]),
        "parent_id": row["parent_id"],
        "location": f"/{row['parent_id']}/" if row["parent_id"] else "/",
        "namespace": None,
        "personal_owner_id": None,
        "type": None,
        "is_personal": False,
        "can_write": True,
        "slug": row["name"].lower().replace(" ", "_"),
    }


def _item_shown(row: sqlite3.Row, model: str) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "model": model,
        "collection_id": row["collection_id"],
        "archived": bool(row["archived"]),
    }


# --- questions -------------------------------------------------------------------------------------------------------

_CARD = {
    "name": str,
    "description": str,
    "collection_id": int,
    "display": str,
    "dataset_query": dict,
    "visualization_settings": dict,
    "collection_position": int,
    "type": str,
    "parameters": list,
    "parameter_mappings": list,
    "cache_ttl": int,
    "dashboard_id": int,
}


def list_cards(call: Call) -> Reply:
    archived = int(call.query.get("f", "all") == "archived")
    rows = call.db.execute("SELECT * FROM metabase_cards WHERE archived = ? ORDER BY lower(name), id", (archived,))
    return Reply(200, [_card_shown(row) for row in rows])


def get_card(call: Call) -> Reply:
    return Reply(200, _card_shown(row_of(call, "cards", call.params["id"])))


def create_card(call: Call) -> Reply:
    body = body_of(call, _CARD, ("name", "dataset_query", "display", "visualization_settings"))
    database, sql = _native(call, body["dataset_query"])
    if body.get("collection_id") is not None:
        row_of(call, "collections", body["collection_id"])
    number = new_id(
        call,
        "cards",
        name=body["name"],
        description=body.get("description"),
        collection_id=body.get("collection_id"),
        database_id=database,
        display=body["display"],
        query=sql,
        settings=json.dumps(body["visualization_settings"]),
        editor=user_of(call),
    )
    return Reply(200, _card_shown(row_of(call, "cards", number)))


def change_card(call: Call) -> Reply:
    row = row_of(call, "cards", call.params["id"])
    body = body_of(call, {**_CARD, "archived": bool}, ())
    values: dict[str, Any] = {
        name: body[name] for name in ("name", "description", "collection_id", "display") if body.get(name) is not None
    }
    if body.get("dataset_query") is not None:
        values["database_id"], values["query"] = _native(call, body["dataset_query"])
    if body.get("visualization_settings") is not None:
        values["settings"] = json.dumps(body["visualization_settings"])
    if body.get("archived") is not None:
        values["archived"] = int(body["archived"])
        if body["archived"]:
            call.db.execute("DELETE FROM metabase_dashcards WHERE card_id = ?", (row["id"],))
    _write(call, "cards", row["id"], values)
    return get_card(call)


def delete_card(call: Call) -> Reply:
    number = row_of(call, "cards", call.params["id"])["id"]
    call.db.execute("DELETE FROM metabase_cards WHERE id = ?", (number,))
    return Reply(204)


def _native(call: Call, query: dict[str, Any]) -> tuple[int, str]:
    """Connection and SQL of a native query, in the old or the new form."""
    native, stages = query.get("native"), query.get("stages")
    sql = native.get("query") if isinstance(native, dict) else None
    if isinstance(stages, list) and stages and isinstance(stages[0], dict):
        sql = stages[0].get("native")
    if not isinstance(sql, str) or not sql.strip():
        raise Refused(400, {"errors": {"dataset_query": "the sandbox takes native queries only"}})
    return int(row_of(call, "databases", query.get("database"))["id"]), sql


def _card_shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "collection_id": row["collection_id"],
        "database_id": row["database_id"],
        "display": row["display"],
        # As Metabase tells a query since 57, whatever form it was given in
        "dataset_query": {
            "lib/type": "mbql/query",
            "database": row["database_id"],
            "stages": [{"lib/type": "mbql.stage/native", "native": row["query"]}],
        },
        "query_type": "native",
        "type": "question",
        "visualization_settings": loaded(row["settings"]),
        "archived": bool(row["archived"]),
        "created_at": row["created_at"],
        "last-edit-info": {"id": row["editor"]},
    }


# --- dashboards ------------------------------------------------------------------------------------------------------


def list_dashboards(call: Call) -> Reply:
    archived = int(call.query.get("f", "all") == "archived")
    sql = "SELECT * FROM metabase_dashboards WHERE archived = ? ORDER BY lower(name), id"
    return Reply(200, [_dashboard_shown(row) for row in call.db.execute(sql, (archived,))])


def get_dashboard(call: Call) -> Reply:
    row = row_of(call, "dashboards", call.params["id"])
    cards = call.db.execute("SELECT * FROM metabase_dashcards WHERE dashboard_id = ? ORDER BY id", (row["id"],))
    shown = [
        {"id": each["id"], "dashboard_id": row["id"], "card_id": each["card_id"], **loaded(each["place"])}
        for each in cards.fetchall()
    ]
    return Reply(200, {**_dashboard_shown(row), "dashcards": shown, "tabs": []})


def create_dashboard(call: Call) -> Reply:
    known = {
        "name": str,
        "description": str,
        "collection_id": int,
        "parameters": list,
        "cache_ttl": int,
        "collection_position": int,
    }
    body = body_of(call, known, ("name",))
    if body.get("collection_id") is not None:
        row_of(call, "collections", body["collection_id"])
    number = new_id(
        call,
        "dashboards",
        name=body["name"],
        description=body.get("description"),
        collection_id=body.get("collection_id"),
        editor=user_of(call),
    )
    return Reply(200, {**_dashboard_shown(row_of(call, "dashboards", number)), "dashcards": [], "tabs": []})


def change_dashboard(call: Call) -> Reply:
    """Fields, and the whole layout where ``dashcards`` is given: new ones have ids below zero."""
    row = row_of(call, "dashboards", call.params["id"])
    known = {
        "name": str,
        "description": str,
        "collection_id": int,
        "archived": bool,
        "dashcards": list,
        "tabs": list,
        "parameters": list,
        "width": str,
    }
    body = body_of(call, known, ())
    values: dict[str, Any] = {
        name: body[name] for name in ("name", "description", "collection_id") if body.get(name) is not None
    }
    if body.get("archived") is not None:
        values["archived"] = int(body["archived"])
    _write(call, "dashboards", row["id"], values)
    if body.get("dashcards") is not None:
        _lay_out(call, row["id"], body["dashcards"])
    return get_dashboard(call)


def delete_dashboard(call: Call) -> Reply:
    number = row_of(call, "dashboards", call.params["id"])["id"]
    call.db.execute("DELETE FROM metabase_dashboards WHERE id = ?", (number,))
    return Reply(204)


def _lay_out(call: Call, dashboard: int, cards: list[Any]) -> None:
    sql = "SELECT id FROM metabase_dashcards WHERE dashboard_id = ?"
    there = {row[0] for row in call.db.execute(sql, (dashboard,))}
    call.db.execute("DELETE FROM metabase_dashcards WHERE dashboard_id = ?", (dashboard,))
    for card in cards:
        number, place = _place(card)
        if card.get("card_id") is not None:
            row_of(call, "cards", card["card_id"])
        call.db.execute(
            "INSERT INTO metabase_dashcards (id, dashboard_id, card_id, place) VALUES (?, ?, ?, ?)",
            (number if number in there else None, dashboard, card.get("card_id"), json.dumps(place)),
        )


def _place(card: Any) -> tuple[int, dict[str, Any]]:
    names = ("row", "col", "size_x", "size_y")
    if not isinstance(card, dict) or not all(type(card.get(name)) is int for name in ("id", *names)):
        raise Refused(400, {"errors": {"dashcards": "value must be seq of maps in which ids are unique"}})
    place = {name: card[name] for name in names}
    if min(place.values()) < 0 or not place["size_x"] or not place["size_y"] or place["col"] + place["size_x"] > GRID:
        raise Refused(400, {"errors": {"dashcards": "value may be nil, or if non-nil, value must fit the grid"}})
    more = {name: card.get(name, []) for name in ("parameter_mappings", "series")}
    return card["id"], {**place, **more, "visualization_settings": card.get("visualization_settings", {})}


def _write(call: Call, table: str, number: int, values: dict[str, Any]) -> None:
    values["editor"] = user_of(call)
    sets = ", ".join(f"{name} = ?" for name in values)
    call.db.execute(f"UPDATE metabase_{table} SET {sets} WHERE id = ?", (*values.values(), number))


def _dashboard_shown(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "collection_id": row["collection_id"],
        "archived": bool(row["archived"]),
        "parameters": [],
        "created_at": row["created_at"],
        "last-edit-info": {"id": row["editor"], "timestamp": row["created_at"]},
    }


OPERATIONS: tuple[tuple[str, str, str, Callable[[Call], Reply]], ...] = (
    ("GET", "/api/collection/tree", "collections.tree", tree),
    ("GET", "/api/collection", "collections.list", list_collections),
    ("POST", "/api/collection", "collections.create", create_collection),
    ("GET", "/api/collection/{id:int}", "collections.get", get_collection),
    ("PUT", "/api/collection/{id:int}", "collections.update", change_collection),
    ("DELETE", "/api/collection/{id:int}", "collections.delete", delete_collection),
    ("GET", "/api/collection/{id:int}/items", "collections.items", items),
    ("GET", "/api/card", "cards.list", list_cards),
    ("POST", "/api/card", "cards.create", create_card),
    ("GET", "/api/card/{id:int}", "cards.get", get_card),
    ("PUT", "/api/card/{id:int}", "cards.update", change_card),
    ("DELETE", "/api/card/{id:int}", "cards.delete", delete_card),
    ("GET", "/api/dashboard", "dashboards.list", list_dashboards),
    ("POST", "/api/dashboard", "dashboards.create", create_dashboard),
    ("GET", "/api/dashboard/{id:int}", "dashboards.get", get_dashboard),
    ("PUT", "/api/dashboard/{id:int}", "dashboards.update", change_dashboard),
    ("DELETE", "/api/dashboard/{id:int}", "dashboards.delete", delete_dashboard),
)
