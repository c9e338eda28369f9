"""Tenants as the command line shows them, read from the registry without starting Ansible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import identify, inventory_cache, limits
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import SpecError
from smos import exitcodes
from smos.outcome import Failure, failure


@contextmanager
def sound_specs() -> Iterator[None]:
    """Turn broken specs into a Failure that names every mistake."""
    try:
        yield
    except SpecError as exc:
        raise Failure(exitcodes.INVALID, *(mistake.as_error() for mistake in exc.mistakes)) from None


def shown(merged: Mapping[str, Any]) -> dict[str, Any]:
    """A merged tenant in the form of the contract."""
    return {
        "id": merged["id"],
        "rut": merged["rut"],
        "name": merged["name"],
        "slug": merged["slug"],
        "domain": merged["domain"],
        "plan": merged["plan"],
        "phase": merged["phase"],
        "reason": merged["status"].get("reason", ""),
        "services": {name: _service(wish, merged, name) for name, wish in merged["services"].items()},
        "limits": merged["limits"],
        "usage": limits.together(seen.get("usage") or {} for seen in (merged["status"].get("services") or {}).values()),
    }


def listed(specs: Path, env: str) -> list[dict[str, Any]]:
    """The environment's tenants in the form of `tenant list`; a file that no run would touch has the phase `invalid`."""
    with sound_specs():
        rows = inventory_cache.list_rows(specs, env)
    return [
        {
            "id": row.id,
            "name": row.name,
            "slug": row.slug,
            "domain": row.domain,
            "plan": row.plan,
            "phase": row.phase if row.valid else "invalid",
            "created_at": row.created_at,
        }
        for row in rows
    ]


def _service(wish: Mapping[str, Any], merged: Mapping[str, Any], name: str) -> dict[str, Any]:
    seen = (merged["status"].get("services") or {}).get(name) or {}
    not_seen = "absent" if merged["wish"] in ("deleted", "purged") else "pending"
    state = seen.get("state", not_seen) if wish["enabled"] else "disabled"
    return {"state": state, "ref": seen.get("ref", {}), "url": seen.get("url", ""), "message": seen.get("message", "")}


def found(identifier: str, specs: Path, env: str) -> inventory_cache.Entry:
    """The registry's entry for a RUT in any usual spelling, or a slug. Raises Failure when there is none that is sound."""
    try:
        with sound_specs():
            return identify.tenants(specs, env, [identifier])[0]
    except identify.NoSuchTenant as exc:
        registry = str(specs / "tenants" / "registry")
        raise failure(exitcodes.INVALID, f"tenant {identifier}", str(exc), registry, "See `smos tenant list`") from None
