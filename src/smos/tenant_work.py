"""What commands on tenants have in common: reading the result, and showing it to a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from gettext import gettext as _
from typing import Any

from smos import tenants, work
from smos.outcome import Failure, Outcome
from smos.settings import Settings


def result_for(identifier: str, settings: Settings) -> dict[str, Any]:
    """`{"tenant": …}` as the registry has it now; empty when it is not registered."""
    project = work.project_for(settings)
    try:
        entry = tenants.found(identifier, project.specs_dir, settings.env)
    except Failure:
        return {}
    return {"tenant": tenants.shown(entry.merged)} if entry.merged else {}


def results_for(slugs: list[str], settings: Settings) -> dict[str, Any]:
    """`{"tenants": […]}` as the registry has them now: these, or all."""
    rows = tenants.listed(work.project_for(settings).specs_dir, settings.env)
    return {"tenants": [row for row in rows if not slugs or row["slug"] in slugs]}


def show(outcome: Outcome) -> None:
    """Print a tenant, or the changes that a check predicts."""
    if outcome.errors and not outcome.result.get("changes", True):
        return  # that nothing would change is only known when all went well
    if "changes" in outcome.result:
        show_changes(outcome.result["changes"])
        return
    if "tenant" in outcome.result:
        show_tenant(outcome.result["tenant"])
    if "tenants" in outcome.result:
        show_counts(outcome.result["tenants"])
    if not outcome.errors:
        print(_("changed") if outcome.changed else _("nothing to change"))


def show_tenant(tenant: Mapping[str, Any]) -> None:
    """Print one tenant with its services."""
    print(f"{tenant['name']} ({tenant['id']})  {tenant['domain']}  {_('plan')} {tenant['plan']}  {tenant['phase']}")
    if tenant.get("reason"):
        print(f"  {tenant['reason']}")
    for name, service in tenant["services"].items():
        told = "  ".join(text for text in (service["url"], service["message"]) if text)
        print(f"  {name:<12} {service['state']:<10} {told}".rstrip())
    usage = [
        _("{name} {count} of {allowed}").format(name=name, count=count, allowed=_allowed(tenant, name))
        for name, count in (tenant.get("usage") or {}).items()
    ]
    if usage:
        print("  " + _("in use: {usage}").format(usage=", ".join(usage)))


def _allowed(tenant: Mapping[str, Any], limit: str) -> str:
    allowed = (tenant.get("limits") or {}).get(limit)
    return _("unlimited") if allowed is None else str(allowed)


def show_counts(rows: list[Mapping[str, Any]]) -> None:
    """Print how many tenants are in which phase."""
    phases = Counter(row["phase"] for row in rows)
    counts = ", ".join(f"{count} {phase}" for phase, count in phases.items())
    print(_("{count} tenants: {phases}").format(count=len(rows), phases=counts or _("none")))


def show_changes(changes: list[Mapping[str, Any]]) -> None:
    """Print predicted changes, one a line."""
    for change in changes:
        tenant = f"{change['tenant']}  " if change.get("tenant") else ""
        why = f"  [{change['cause']}; {change['owner']}]" if change.get("cause") else ""
        print(f"{change['action']:<7} {change['service']:<12} {tenant}{change['what']}{why}")
    print(_("{count} changes pending").format(count=len(changes)) if changes else _("nothing to change"))
