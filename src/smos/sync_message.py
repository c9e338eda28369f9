# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a commit of the specs says, from what changed: `type(scope): text`. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

LONGEST = 72  # characters of the first line
TENANTS = "tenants"
_SCOPES = {"smos-version.yml": "release", "decision-tree.yml": "decisions"}
_AREAS = ("tenants", "infra", "services", "workflows", "bots", "dashboards", "database", "messages", "schemas")
_VERBS = {"create": "add", "update": "update", "delete": "remove"}
_STATES = {"suspended": "suspend", "deleted": "delete", "purged": "purge"}


class Edit(NamedTuple):
    """A file that changed. ``path`` is below the specs; ``before`` and ``after`` are a tenant's `spec`, where it is one's file."""

    path: str
    action: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


class Told(NamedTuple):
    """An edit in words: `feat`, `tenants`, `add`, `acme (pro)`."""

    kind: str
    scope: str
    verb: str
    what: str


def message(edits: Sequence[Edit]) -> str:
    """The commit's message: one line, and a body that lists the files where there are several."""
    told = [_told(edit) for edit in edits]
    subject = _subject(told)
    if len(edits) == 1:
        return subject
    return f"{subject}\n\n" + "\n".join(f"- {_VERBS[edit.action]} {edit.path}" for edit in edits)


def is_tenant(path: str) -> bool:
    """Whether a file below the specs is a tenant's."""
    parts = PurePosixPath(path).parts
    return parts[:2] == (TENANTS, "registry") and len(parts) == 3 and path.endswith(".yml")


def _told(edit: Edit) -> Told:
    if is_tenant(edit.path) and (edit.before or edit.after):
        return _of_tenant(edit)
    parts = PurePosixPath(edit.path).parts
    scope = _SCOPES.get(edit.path) or (parts[0] if parts[0] in _AREAS and len(parts) > 1 else "specs")
    inside = "/".join(parts[1:]) if scope == parts[0] else edit.path
    what = str(PurePosixPath(inside).with_suffix("")) if inside.endswith((".yml", ".yaml", ".json")) else inside
    return Told("feat" if edit.action == "create" else "chore", scope, _VERBS[edit.action], what)


def _of_tenant(edit: Edit) -> Told:
    before, after = edit.before or {}, edit.after or {}
    slug = str((after or before).get("slug") or PurePosixPath(edit.path).stem)
    if not before:
        return Told("feat", TENANTS, "add", f"{slug} ({after['plan']})" if after.get("plan") else slug)
    if not after:
        return Told("chore", TENANTS, "remove", slug)
    if before == after:
        return Told("chore", TENANTS, "record", f"the state of {slug}")
    if before.get("plan") != after.get("plan"):
        return Told("feat", TENANTS, "move", f"{slug} from {before.get('plan')} to {after.get('plan')}")
    was, now = (_states(each) for each in (before, after))
    if was != now:
        states = [state for env, state in now.items() if was.get(env) != state]
        return Told("chore", TENANTS, _STATES.get(states[0], "change") if states else "resume", slug)
    return Told("chore", TENANTS, "update", slug)


def _states(spec: Mapping[str, Any]) -> dict[str, str]:
    """The states that differ from active, by environment."""
    lifecycle = spec.get("lifecycle")
    rows = lifecycle.items() if isinstance(lifecycle, Mapping) else ()
    return {str(env): str(one.get("state")) for env, one in rows if isinstance(one, Mapping)}


def _subject(told: Sequence[Told]) -> str:
    scopes = list(dict.fromkeys(each.scope for each in told))
    verbs = list(dict.fromkeys(each.verb for each in told))
    kind = "feat" if any(each.kind == "feat" for each in told) else "chore"
    if len(scopes) > 1:
        return _short(f"chore(specs): change {_listed(scopes)}", f"chore(specs): change {len(told)} files")
    if len(verbs) == 1:
        whole = f"{kind}({scopes[0]}): {verbs[0]} {', '.join(each.what for each in told)}"
        return _short(whole, f"{kind}({scopes[0]}): {verbs[0]} {_count(told)}")
    counts = Counter(each.verb for each in told)
    return f"{kind}({scopes[0]}): " + ", ".join(f"{verb} {counts[verb]}" for verb in verbs)


def _count(told: Sequence[Told]) -> str:
    if len(told) == 1:  # a name that is longer than a line
        return "a tenant" if told[0].scope == TENANTS else "a file"
    if told[0].verb == "record":
        return f"the state of {len(told)} tenants"
    return f"{len(told)} {'tenants' if told[0].scope == TENANTS else 'files'}"


def _short(whole: str, otherwise: str) -> str:
    return whole if len(whole) <= LONGEST else otherwise


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
