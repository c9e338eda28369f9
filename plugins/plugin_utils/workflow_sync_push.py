# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Files into n8n: what is there is overwritten, what is missing is made, nothing is ever deleted."""

from __future__ import annotations

import graphlib
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.n8n import (
    API,
    OUR_TAG,
    PAGE,
    RESTING_TAG,
    N8n,
    Workflow,
    node_id,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError, row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.workflow_sync_form import (
    Document,
    others_in,
    with_ids,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.workflow_sync_plan import Pair
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.workflow_sync_secrets import (
    Known,
    filled,
    holds_mask,
)

Credentials = Mapping[tuple[str, str], str]
"""Ids of n8n's credentials by type and name; those whose name is there twice are left out."""
Row = dict[str, str]

Made = t.TypeVar("Made")


@dataclass
class Pushed:
    """What a push came to: the ids of what was touched, by file; which of them are as the file says; and rows for the rest."""

    ids: dict[str, str] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    errors: list[Row] = field(default_factory=list)


def refusals(pairs: Sequence[Pair], where: Mapping[str, str], known: Known) -> dict[str, Row]:
    """Why a file may not, or cannot, be applied, by file. Pure. ``where``: the file's path in messages."""
    found: dict[str, Row] = {}
    for pair in pairs:
        if pair.file is None:
            continue
        what = f"workflow {pair.name}"
        if not pair.is_ours:
            following = f"Add the tag {OUR_TAG} to it in n8n, or to the file's tags, then run the same command again"
            found[pair.stem] = row(what, f"it does not bear our mark, the tag {OUR_TAG}", where[pair.stem], following)
            continue
        if pair.remote is None and not pair.file["nodes"]:
            why, following = "it has no nodes, and n8n makes no such workflow", "Give it nodes, or remove the file"
            found[pair.stem] = row(what, why, where[pair.stem], following)
            continue
        try:
            _with_secrets(pair.file, pair.remote.workflow if pair.remote else None, known)
        except LookupError as exc:
            why = f"{exc.args[0]} was masked, and n8n has nothing there that it stands for"
            following = (
                "Put the secret into a credential of n8n and use that in the node, or write it there in n8n's editor"
            )
            found[pair.stem] = row(what, why, where[pair.stem], following)
    return found


def push(client: N8n, pairs: Sequence[Pair], ids: Mapping[str, str], known: Known) -> Pushed:
    """Apply these files. ``ids``: of all workflows that n8n has, by name. A failure spares the other files."""
    job = _Push(client, dict(ids), known)
    rows = _in_order([pair for pair in pairs if pair.file is not None])
    try:
        job.prepare(rows)
    except ApiError as exc:
        job.done.errors.append(exc.as_dict("n8n"))
        return job.done
    made = [(pair, job.attempt(pair, partial(job.content, pair))) for pair in rows]
    for pair, found in made:
        if found is not None:
            job.attempt(pair, partial(job.rest, pair, found))
    return job.done


class _Push:
    """One push: what it knows of n8n, and what it came to."""

    def __init__(self, client: N8n, ids: dict[str, str], known: Known) -> None:
        self.done = Pushed()
        self._client = client
        self._ids = ids
        self._known = known
        self._credentials: Credentials = {}
        self._tags: dict[str, str] = {}
        self._coming: set[str] = set()

    def prepare(self, pairs: Sequence[Pair]) -> None:
        """Read what is needed besides the workflows. Raises ApiError."""
        if any(node.get("credentials") for pair in pairs for node in (pair.file or {})["nodes"]):
            self._credentials = _credentials(self._client)
        self._tags = self._client.tags() if pairs else {}
        self._coming = {pair.name for pair in pairs} - set(self._ids)

    def attempt(self, pair: Pair, do: t.Callable[[], Made]) -> Made | None:
        """Do it; what goes wrong becomes a row of this file, and nothing is given."""
        what = f"workflow {pair.name}"
        try:
            return do()
        except ApiError as exc:
            self.done.errors.append(exc.as_dict(what))
        except LookupError as exc:
            why = f"it refers to the workflow {exc.args[0]!r}, which n8n has not"
            self.done.errors.append(row(what, why, "", "Give that one a file too, or choose another one in the node"))
        return None

    def content(self, pair: Pair) -> Workflow:
        """The workflow with the file's content. Raises ApiError and LookupError."""
        document, found = _file_of(pair), pair.remote.workflow if pair.remote else None
        if found is None:  # those that it refers to may be made after it: they get their ids in `rest`
            ids = {**dict.fromkeys(self._coming, ""), **self._ids}
            found = self._client.create(body_of(document, None, ids, self._credentials, self._known))
        elif not self._waits(document):
            self._client.update(found, body_of(document, found, self._ids, self._credentials, self._known))
        self.done.ids[pair.stem] = self._ids[pair.name] = found.id
        return found

    def _waits(self, document: Document) -> bool:
        """Whether it refers to a workflow that is still to be made."""
        return bool(others_in(document) & (self._coming - set(self._ids)))

    def rest(self, pair: Pair, found: Workflow) -> None:
        """References to what was made meanwhile, tags, and whether it is active. Raises ApiError and LookupError."""
        document = _file_of(pair)
        if others_in(document) & self._coming:
            self._client.update(found, body_of(document, found, self._ids, self._credentials, self._known))
        self._tag(found, document["tags"])
        missing = self._missing_credentials(pair, document)
        self.done.errors += missing
        _activate(self._client, found, document)
        if not missing:
            self.done.whole.add(pair.stem)

    def _tag(self, found: Workflow, wished: Sequence[str]) -> None:
        """The file's tags, and the one that says that its tenant rests."""
        rests = {RESTING_TAG} & set(found.tags)
        if set(found.tags) - rests == set(wished):
            return
        for name in wished:
            self._tags[name] = self._tags.get(name) or self._client.create_tag(name)
        self._client.set_tags(found, [*(self._tags[name] for name in wished), *(found.tags[name] for name in rests)])

    def _missing_credentials(self, pair: Pair, document: Document) -> list[Row]:
        """A row for each credential that n8n does not have: the nodes are there without them."""
        nodes = pair.remote.workflow.nodes if pair.remote else ()
        old = {node.get("name"): node.get("credentials") or {} for node in nodes}
        found = []
        for node in document["nodes"]:
            wished = node.get("credentials") or {}
            chosen = _chosen(wished, old.get(node["name"], {}), self._credentials)
            for kind in sorted(set(wished) - set(chosen)):
                why = f"n8n shows no single credential {_name_of(wished[kind])!r} of the type {kind} for the node {node['name']!r}"
                following = f"Make it in n8n, or choose one in the node and take that over: --resolve {pair.stem}=n8n"
                found.append(row(f"workflow {pair.name}", why, "", following))
        return found


def _file_of(pair: Pair) -> Document:
    return pair.file if pair.file is not None else {}


def body_of(
    document: Document, found: Workflow | None, ids: Mapping[str, str], credentials: Credentials, known: Known
) -> Document:
    """What is sent to make or overwrite a workflow. Raises LookupError for a reference or a secret that n8n has not."""
    whole = _with_secrets(document, found, known)
    old = {(node.get("name"), node.get("type")): node for node in found.nodes} if found else {}
    nodes = []
    for node in with_ids(whole["nodes"], ids):
        was = old.get((node["name"], node["type"]), {})
        given = _chosen(node.get("credentials") or {}, was.get("credentials") or {}, credentials)
        ident = str(was.get("id") or node_id(str(document["name"]), node["name"]))
        made = {**node, "id": ident, "position": node.get("position") or was.get("position") or [0, 0]}
        made.pop("credentials", None)
        nodes.append({**made, **({"credentials": given} if given else {})})
    settings = with_ids(whole["settings"], ids)
    return {"name": whole["name"], "nodes": nodes, "connections": whole["connections"], "settings": settings}


def _with_secrets(document: Document, found: Workflow | None, known: Known) -> Document:
    """The file's workflow with the secrets that n8n has in the places that are masked. Raises LookupError."""
    if not holds_mask(document["nodes"]):
        return document
    old = {(node.get("name"), node.get("type")): node for node in found.nodes} if found else {}
    nodes = []
    for node in document["nodes"]:
        was = old.get((node["name"], node["type"]), {})
        made = dict(node)
        for key in ("parameters", "notes"):
            if not holds_mask(node.get(key)):
                continue
            try:
                made[key] = filled({key: node[key]}, {key: was.get(key)}, known)[key]
            except LookupError as exc:
                raise LookupError(f"node {node['name']}: {str(exc.args[0]).removeprefix('parameters.')}") from None
        nodes.append(made)
    return {**document, "nodes": nodes}


def _chosen(wished: Document, was: t.Any, credentials: Credentials) -> Document:
    """The credentials of a node with their ids: as the node has them already, or as n8n knows them by type and name."""
    made: Document = {}
    for kind, each in wished.items():
        name = _name_of(each)
        old = was.get(kind) if isinstance(was, dict) else None
        if isinstance(old, dict) and old.get("name") == name:
            made[kind] = dict(old)
        elif (kind, name) in credentials:
            made[kind] = {"id": credentials[kind, name], "name": name}
    return made


def _name_of(credential: t.Any) -> str:
    return str(credential.get("name", "") if isinstance(credential, dict) else credential)


def _activate(client: N8n, found: Workflow, document: Document) -> None:
    if RESTING_TAG in found.tags or found.active == document["active"]:
        return  # a resting one wakes with its tenant
    try:
        client.switch(found, bool(document["active"]))
    except ApiError as exc:
        if exc.kind not in (errors.CONFLICT, errors.INVALID):
            raise
        why = f"its content is there, and it cannot be activated: {exc.message}"
        raise ApiError(why, errors.INVALID, exc.status, exc.code, exc.where) from None


def _credentials(client: N8n) -> Credentials:
    """What n8n lists; 1.x and narrow keys list nothing, then only what a node has already can stay."""
    found: dict[tuple[str, str], list[str]] = {}
    cursor = ""
    pages = client.http.pages(f"{API}/credentials")
    while True:
        pages.turn(cursor or None)
        query = {"limit": PAGE, **({"cursor": cursor} if cursor else {})}
        try:
            body = client.http.request("GET", f"{API}/credentials", params=query).body
        except ApiError as exc:
            if exc.kind in (errors.MISSING, errors.REFUSED) or exc.status == 405:
                return {}
            raise
        rows = body.get("data") if isinstance(body, dict) else None
        for each in rows if isinstance(rows, list) else ():
            if isinstance(each, dict) and each.get("id"):
                found.setdefault((str(each.get("type")), str(each.get("name"))), []).append(str(each["id"]))
        cursor = str((body.get("nextCursor") if isinstance(body, dict) else "") or "")
        if not cursor:
            return {key: ids[0] for key, ids in found.items() if len(ids) == 1}


def _in_order(pairs: Sequence[Pair]) -> list[Pair]:
    """Those that others refer to come first; where they refer to each other, by name."""
    by_name = {pair.name: pair for pair in pairs}
    needs = {name: (others_in(pair.file or {}) & set(by_name)) - {name} for name, pair in sorted(by_name.items())}
    try:
        order = list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError:
        order = sorted(by_name)
    first = [by_name[name] for name in order]
    return first + [pair for pair in pairs if pair not in first]
