# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The two permission graphs of Metabase: who may open which collection, and who may write queries for which connection.

Both are sparse, as they are since 0.60: what a group may not do is left out. A write overwrites the parts that it names
and is refused with 409 when the revision has moved.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from smos.sandbox.metabase_store import ADMINISTRATORS, ROOT, Refused, flag
from smos.sandbox.provider import Call, Reply

LEVELS = ("no", "query-builder", "query-builder-and-native")  # of the right to write queries, least first
_STALE = (
    "Looks like someone else edited the permissions and your data is out of date. Please fetch new data and try again."
)
_ADMIN = {
    "view-data": "unrestricted",
    "create-queries": LEVELS[-1],
    "download": {"schemas": "full"},
    "data-model": {"schemas": "all"},
    "details": "yes",
}


# --- collections -----------------------------------------------------------------------------------------------------


def access_graph(call: Call) -> Reply:
    """Groups that may open something, with what they may do there; administrators may do everything."""
    groups: dict[str, dict[str, str]] = {str(ADMINISTRATORS): {"root": "write"}}
    live = {row[0] for row in call.db.execute("SELECT id FROM metabase_collections WHERE archived = 0")}
    groups[str(ADMINISTRATORS)].update({str(number): "write" for number in sorted(live)})
    for row in call.db.execute("SELECT group_id, place, level FROM metabase_access ORDER BY 1, 2"):
        if row["place"] == ROOT or row["place"] in live:
            place = "root" if row["place"] == ROOT else str(row["place"])
            groups.setdefault(str(row["group_id"]), {})[place] = row["level"]
    return Reply(200, {"revision": _revision(call, "access"), "groups": groups})


def write_access_graph(call: Call) -> Reply:
    """Overwrite parts of the graph."""
    groups = _groups(call, "access")
    known = _known_groups(call, groups)
    places = {row[0] for row in call.db.execute("SELECT id FROM metabase_collections")}
    for group, levels in known.items():
        for name, level in levels.items():
            if level not in ("read", "write", "none"):
                raise Refused(400, {"errors": {"groups": f"invalid permission {level!r}"}})
            place = ROOT if name == "root" else int(name) if str(name).isdigit() else -1
            if place != ROOT and place not in places:
                raise Refused(404, "Not found.")
            if group == ADMINISTRATORS:
                continue
            if level == "none":
                call.db.execute("DELETE FROM metabase_access WHERE group_id = ? AND place = ?", (group, place))
            else:
                call.db.execute("REPLACE INTO metabase_access VALUES (?, ?, ?)", (group, place, level))
    _moved(call, "access")
    if flag(call, "skip-graph"):
        return Reply(200, {"revision": _revision(call, "access")})
    return access_graph(call)


def for_new_collection(call: Call, collection: int, parent: int | None) -> None:
    """A new collection is open to whom its parent is open to."""
    call.db.execute(
        "INSERT INTO metabase_access SELECT group_id, ?, level FROM metabase_access WHERE place = ?",
        (collection, parent or ROOT),
    )


# --- connections -----------------------------------------------------------------------------------------------------


def data_graph(call: Call) -> Reply:
    """All groups with all connections."""
    groups = [row[0] for row in call.db.execute("SELECT id FROM metabase_groups ORDER BY id")]
    return Reply(200, _graph_of(call, groups))


def data_graph_of_group(call: Call) -> Reply:
    """One group with all connections."""
    return Reply(200, _graph_of(call, [int(call.params["id"])]))


def write_data_graph(call: Call) -> Reply:
    """Overwrite parts of the graph; what the free edition does not have costs 402."""
    groups = _groups(call, "queries")
    known = _known_groups(call, groups)
    databases = {row[0] for row in call.db.execute("SELECT id FROM metabase_databases")}
    for group, wanted in known.items():
        for name, rights in wanted.items():
            if not str(name).isdigit() or int(name) not in databases or not isinstance(rights, dict):
                raise Refused(400, "Cannot parse permissions graph because it is invalid")
            _write_rights(call, group, int(name), rights)
    _moved(call, "queries")
    revision = {"revision": _revision(call, "queries")}
    return Reply(200, revision if flag(call, "skip-graph") else _graph_of(call, known))


def for_new_database(call: Call, database: int) -> None:
    """Each group gets the least that it has with any other connection; everything where there is no other."""
    others = int(call.db.execute("SELECT COUNT(*) FROM metabase_databases WHERE id <> ?", (database,)).fetchone()[0])
    if not others:
        groups = "SELECT id, ?, ? FROM metabase_groups WHERE id <> ?"
        call.db.execute(f"INSERT INTO metabase_queries {groups}", (database, LEVELS[-1], ADMINISTRATORS))
        return
    least = "CASE MIN(CASE level WHEN 'query-builder' THEN 1 ELSE 2 END) WHEN 1 THEN ? ELSE ? END"
    call.db.execute(
        f"INSERT INTO metabase_queries SELECT group_id, ?, {least} FROM metabase_queries"
        " WHERE database_id <> ? GROUP BY group_id HAVING COUNT(*) = ?",
        (database, LEVELS[1], LEVELS[2], database, others),
    )


def _graph_of(call: Call, groups: Iterable[int]) -> dict[str, Any]:
    databases = [row[0] for row in call.db.execute("SELECT id FROM metabase_databases ORDER BY id")]
    found: dict[str, dict[str, Any]] = {}
    for group in groups:
        if group == ADMINISTRATORS:
            found[str(group)] = {str(each): _ADMIN for each in databases}
            continue
        sql = "SELECT database_id, level FROM metabase_queries WHERE group_id = ?"
        levels = {row[0]: row[1] for row in call.db.execute(sql, (group,))}
        found[str(group)] = {
            str(each): {
                "view-data": "unrestricted",
                **({"create-queries": levels[each]} if each in levels else {}),
            }
            for each in databases
        }
    return {"revision": _revision(call, "queries"), "groups": found}


def _write_rights(call: Call, group: int, database: int, rights: dict[str, Any]) -> None:
    if rights.get("view-data", "unrestricted") != "unrestricted":
        raise Refused(
            402,
            "The view data permissions functionality is only enabled if you have a premium token with the"
            " advanced-permissions feature.",
        )
    level = rights.get("create-queries")
    if level is None:
        return
    if level not in LEVELS:
        raise Refused(400, "Cannot parse permissions graph because it is invalid")
    if level == LEVELS[0]:
        sql = "DELETE FROM metabase_queries WHERE group_id = ? AND database_id = ?"
        call.db.execute(sql, (group, database))
    else:
        call.db.execute("REPLACE INTO metabase_queries VALUES (?, ?, ?)", (group, database, level))


# --- both ------------------------------------------------------------------------------------------------------------


def _groups(call: Call, graph: str) -> dict[str, Any]:
    body = call.body
    if not isinstance(body, dict) or not isinstance(body.get("groups"), dict):
        raise Refused(400, {"errors": {"groups": "value must be a map."}})
    if not flag(call, "force") and body.get("revision") != _revision(call, graph):
        raise Refused(409, _STALE)
    groups: dict[str, Any] = body["groups"]
    return groups


def _known_groups(call: Call, groups: dict[str, Any]) -> dict[int, dict[str, Any]]:
    there = {row[0] for row in call.db.execute("SELECT id FROM metabase_groups")}
    found: dict[int, dict[str, Any]] = {}
    for name, wanted in groups.items():
        if not str(name).isdigit() or int(name) not in there or not isinstance(wanted, dict):
            raise Refused(400, {"errors": {"groups": f"invalid group {name!r}"}})
        found[int(name)] = wanted
    return found


def _revision(call: Call, graph: str) -> int:
    row = call.db.execute("SELECT revision FROM metabase_revisions WHERE graph = ?", (graph,)).fetchone()
    return int(row[0])


def _moved(call: Call, graph: str) -> None:
    call.db.execute("UPDATE metabase_revisions SET revision = revision + 1 WHERE graph = ?", (graph,))
