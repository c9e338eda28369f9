# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What accounts elsewhere hold and have no backup of their own for, as text files: one or two for each account.

The same state gives the same bytes, so that an unchanged account adds nothing to a backup. What is in them:

* Cloudflare: the zone, every record as Cloudflare gives it, and the settings that the token may read.
* Vercel: the project's settings, its domains, and its environment variables. Of those only plain ones have their value:
  an encrypted one is never asked for in clear, a sensitive one cannot be.
* Shopify: the subscriptions and our metafields of the tenants' stores.
* n8n: every workflow in a list, as `n8n import:workflow` takes it. Secrets that somebody wrote into a node are in it, as they
  are in the dump of n8n's database beside it; credentials never are.
* Supabase: a dump through the database's address, or the rows of our tables through the data API.
* The registry: the files of the tenants, and the commit that the specs are at.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import typing as t
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import quote

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, reconcile, tokens
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import (
    cloudflare,
    n8n,
    shopify,
    supabase,
    vercel,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.supabase_http import MISSING_TABLE
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.exports.supabase import TABLES
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import supabase_dump

CLOUDFLARE, N8N, REGISTRY, SHOPIFY, SUPABASE, VERCEL = "cloudflare", "n8n", "registry", "shopify", "supabase", "vercel"
SETTINGS = (  # of a zone; asked for one by one, which is the only way that is left
    *("ssl", "always_use_https", "min_tls_version", "tls_1_3", "http3", "http2", "0rtt", "websockets"),
    *("automatic_https_rewrites", "opportunistic_encryption", "ipv6", "early_hints", "always_online"),
)
ZONE = ("id", "name", "status", "paused", "type", "name_servers", "account", "plan")
# Of a project. What else Vercel tells holds secrets (hooks, bypass tokens) or what the next deployment makes anew.
PROJECT = (
    *("id", "name", "framework", "buildCommand", "devCommand", "installCommand", "outputDirectory", "rootDirectory"),
    *("nodeVersion", "serverlessFunctionRegion", "publicSource", "autoAssignCustomDomains", "ssoProtection", "paused"),
    *("directoryListing", "gitForkProtection", "commandForIgnoringBuildStep", "sourceFilesOutsideRootDirectory"),
)
LINK = ("type", "org", "repo", "repoId", "owner", "slug", "projectNamespace", "projectName", "productionBranch")
VARIABLE = ("key", "type", "target", "gitBranch", "comment", "customEnvironmentIds")
_PLAIN = ("plain", "system")
_GIT_S = 10.0

Json = t.Mapping[str, t.Any]
Connection = t.Mapping[str, t.Any]
Collector = t.Callable[[], "Export"]


@dataclass
class Export:
    """The files of one account. ``problems`` make the backup of it a partial one; ``notes`` are only worth knowing."""

    files: dict[str, str] = field(default_factory=dict, repr=False)
    problems: list[ApiError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class Taken:
    """The files of all accounts by name, and what became of each account."""

    files: dict[str, str] = field(default_factory=dict, repr=False)
    accounts: list[str] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def configured(connections: t.Mapping[str, Connection]) -> list[str]:
    """The accounts of which more than an address is set; of the others nobody expects anything."""
    return [name for name, connection in connections.items() if not tokens.unconfigured(connection)]


def taken(collectors: t.Mapping[str, Collector], limit: float) -> Taken:
    """What all of them gave, each in a thread. One that hangs is given up on after ``limit`` seconds."""
    found = Taken()
    for name, outcome in _at_once(collectors, limit).items():
        if isinstance(outcome, ApiError):
            outcome = Export(problems=[outcome])
        found.files.update(outcome.files)
        found.accounts += [name] if outcome.files else []
        found.errors += [exc.as_dict(f"export of {name}") for exc in outcome.problems]
        found.notes += [f"{name}: {note}" for note in outcome.notes]
    found.files = dict(sorted(found.files.items()))
    return found


def _at_once(collectors: t.Mapping[str, Collector], limit: float) -> dict[str, Export | ApiError]:
    found: dict[str, Export | ApiError] = {}

    def run(name: str, collect: Collector) -> None:
        try:
            found[name] = collect()
        except ApiError as exc:
            found[name] = exc
        except Exception as exc:  # noqa: BLE001 - one account spares the others; the text of an unknown exception may hold a secret
            found[name] = ApiError(f"what answers there is not understood ({type(exc).__name__})", errors.INVALID)

    threads = [
        threading.Thread(target=run, args=pair, name=f"export-{pair[0]}", daemon=True) for pair in collectors.items()
    ]
    for thread in threads:
        thread.start()
    ends = time.monotonic() + limit
    for thread in threads:
        thread.join(max(0.0, ends - time.monotonic()))
    too_late = ApiError(f"no complete answer within {limit:g} s", errors.UNREACHABLE)
    return {name: found.get(name, too_late) for name in collectors}


def as_text(content: t.Any) -> str:
    """Data as JSON that is the same for the same data."""
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


# --- Cloudflare


def of_cloudflare(connection: Connection, policy: Policy) -> Export:
    """The zone with all records and the settings that may be read. Raises ApiError."""
    client = cloudflare.connect(connection, policy)
    zone = client.zone_id()
    about = _result(client, f"/zones/{zone}", {})
    settings, note = _zone_settings(client, zone)
    content = {
        "zone": {key: about[key] for key in ZONE if key in about},
        "records": sorted(_raw_records(client, zone), key=lambda each: tuple(str(each.get(key)) for key in _RECORD)),
        "settings": settings,
    }
    return Export({f"cloudflare-{client.zone}.json": as_text(content)}, notes=[note] if note else [])


_RECORD = ("name", "type", "content", "id")


def _raw_records(client: cloudflare.Cloudflare, zone: str) -> list[Json]:
    """Every record with all that Cloudflare says of it: priority, data, comment and tags belong to it, too."""
    path = f"/zones/{zone}/dns_records"
    guard = client.http.pages(path)
    found: dict[str, Json] = {}
    page = 1
    while True:
        guard.turn()
        body = client.http.request("GET", path, params={"page": page, "per_page": cloudflare.PAGE}).body
        rows = [each for each in body["result"] if isinstance(each, dict)]
        found.update({str(each["id"]): each for each in rows})
        pages = (body.get("result_info") or {}).get("total_pages") or 1
        if not rows or page >= int(pages):
            return list(found.values())
        page += 1


def _zone_settings(client: cloudflare.Cloudflare, zone: str) -> tuple[dict[str, t.Any], str]:
    """The settings by id, and why they are left out. A token for records need not read them: that is no failure."""
    found: dict[str, t.Any] = {}
    for name in SETTINGS:
        try:
            found[name] = _result(client, f"/zones/{zone}/settings/{name}", {}).get("value")
        except ApiError as exc:
            if exc.kind == errors.REFUSED:
                return (
                    {},
                    "the token may not read the zone's settings (Zone: Zone Settings Read); the records are there",
                )
            if exc.kind not in (errors.MISSING, errors.INVALID):
                raise
    return found, ""


def _result(client: cloudflare.Cloudflare, path: str, params: Json) -> Json:
    body = client.http.request("GET", path, params=params).body
    found = body.get("result") if isinstance(body, dict) else None
    if not isinstance(found, dict):
        raise ApiError("Cloudflare's answer has no result", where=f"GET {client.http.base_url}{path}")
    return found


# --- Vercel


def of_vercel(connection: Connection, policy: Policy) -> Export:
    """The project, its domains and its variables. Raises ApiError."""
    client = vercel.connect(connection, policy)
    if not client.project:
        return Export(notes=["no project is named (vercel_project): there is nothing to take along"])
    path = f"/v9/projects/{quote(client.project, safe='')}"
    project = vercel.object_of(client.http.request("GET", path).body, path)
    link = project.get("link")
    content = {
        "project": {key: project[key] for key in PROJECT if key in project},
        "link": {key: link[key] for key in LINK if key in link} if isinstance(link, dict) else None,
        "domains": {name: _own_fields(each) for name, each in sorted(client.domains().items())},
        "variables": _variables(client),
    }
    return Export({f"vercel-{project.get('name') or client.project}.json": as_text(content)})


def _variables(client: vercel.Vercel) -> list[Json]:
    path = f"/v10/projects/{quote(client.project, safe='')}/env"
    rows = vercel.rows_of(vercel.object_of(client.http.request("GET", path).body, path), "envs", path)
    found = []
    for each in rows:
        kept = {key: each[key] for key in VARIABLE if each.get(key) not in (None, "", [])}
        if each.get("type") in _PLAIN and "value" in each:
            kept["value"] = each["value"]
        found.append(kept)
    return sorted(found, key=lambda each: json.dumps(each, sort_keys=True))


def _own_fields(domain: vercel.Domain) -> Json:
    """A domain without its challenges, whose values hold only until it moves."""
    return {each.name: getattr(domain, each.name) for each in fields(domain) if each.name not in ("name", "challenges")}


# --- Shopify


def of_shopify(connection: Connection, tenants: t.Iterable[Json], policy: Policy) -> Export:
    """The subscriptions and our metafields of each store. A store that cannot be read spares the others."""
    client = shopify.connect(connection, policy)
    stores = {client.access.store_of(each): str(each["slug"]) for each in tenants}
    jobs = {store: _store_reader(client, store, slug) for store, slug in stores.items() if store}
    found = Export()
    content: dict[str, t.Any] = {}
    for store, outcome in sorted(reconcile.run_all(jobs, shopify.STORES_AT_ONCE).items()):
        if isinstance(outcome, ApiError):
            why = f"{store}: {outcome.message}"
            found.problems.append(ApiError(why, outcome.kind, outcome.status, outcome.code, outcome.where))
        else:
            content[store] = outcome
    if content:
        found.files["shopify-stores.json"] = as_text(content)
    return found


def _store_reader(client: shopify.Shopify, store: str, slug: str) -> t.Callable[[], Json]:
    return lambda: client.with_store(store, slug, _store)


def _store(opened: shopify.Store) -> Json:
    facts, webhooks = opened.webhooks()
    rows = [{each.name: getattr(one, each.name) for each in fields(one)} for one in webhooks]
    return {
        "shop": {key: getattr(facts, key) for key in ("id", "name", "domain", "plan", "currency")},
        "metafields": {key: {"type": each.type, "value": each.value} for key, each in facts.metafields.items()},
        "webhooks": sorted(rows, key=lambda each: (each["topic"], each["uri"], each["id"])),
    }


# --- n8n


def of_n8n(connection: Connection, policy: Policy) -> Export:
    """Every workflow, archived ones too, sorted by id. Raises ApiError."""
    rows = sorted(n8n.connect(connection, policy).workflows(), key=lambda each: each.id)
    found = [
        {
            "id": each.id,
            "name": each.name,
            "active": each.active,
            "isArchived": each.archived,
            "nodes": each.nodes,
            "connections": each.connections,
            "settings": each.settings,
            "tags": [{"id": ident, "name": name} for name, ident in sorted(each.tags.items())],
        }
        for each in rows
    ]
    return Export({"n8n-workflows.json": as_text(found)} if found else {})


# --- Supabase


def of_supabase(connection: Connection, policy: Policy, limit: float) -> Export:
    """A dump where the database's address is known, else (and where no `pg_dump` is here) the rows of our tables."""
    url = str(connection.get("database_url") or "")
    if url and not supabase_dump.missing():
        return Export({"supabase.sql": supabase_dump.dump(url, limit)})
    rest = "the rows of our tables are taken through the data API; people's accounts, files and other tables are not"
    found = Export(notes=[] if url else [f"no database address is set (supabase_database_url): {rest}"])
    if url:
        why = f"there is no {supabase_dump.TOOL} on this machine: {rest}. Install PostgreSQL's client programs"
        found.problems.append(ApiError(why, errors.INVALID, where="database"))
    if connection.get("url") and connection.get("secret_key"):
        found.files["supabase-rows.json"] = as_text(_rows(supabase.connect(connection, policy)))
    return found


def _rows(client: supabase.Supabase) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for table, (_column, key) in TABLES.items():
        try:
            rows = client.rows(table, key)
        except ApiError as exc:
            if exc.code not in MISSING_TABLE:
                raise
            continue
        found[table] = sorted(rows, key=lambda each: tuple(str(each.get(name)) for name in key))
    return found


# --- the registry


def of_registry(root: Path, tenants: Path) -> Export:
    """The files of the tenants, and where the specs stand. Raises ApiError where one cannot be read."""
    commit, changed = _git(root)
    content: dict[str, t.Any] = {"commit": commit, "uncommitted": changed, "files": {}}
    for path in sorted(tenants.parent.rglob("*.yml")):
        if path.is_symlink() or not path.is_file():
            continue
        try:
            content["files"][str(path.relative_to(root))] = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise ApiError(f"{path.name} cannot be read ({type(exc).__name__})", where=str(path)) from None
    return Export({"tenants.json": as_text(content)})


def _git(root: Path) -> tuple[str, list[str]]:
    """The commit of the specs, and which of them differ from it; empty where they are under no version control."""
    commit = _asked(root, "rev-parse", "HEAD")
    changed = _asked(root, "status", "--porcelain", "--untracked-files=all", "--", ".") if commit else ""
    return commit.strip(), sorted(line for line in changed.splitlines() if line)


def _asked(root: Path, *words: str) -> str:
    line = ["git", "-C", str(root), *words]
    variables = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        done = subprocess.run(line, env=variables, capture_output=True, text=True, timeout=_GIT_S, check=False)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return done.stdout if done.returncode == 0 else ""
