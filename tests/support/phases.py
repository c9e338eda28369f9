"""What the providers hold of a tenant in each phase of its life, as a second opinion without our clients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from support.providers import COMPLETE, Inventory

_SUSPENDED = {**COMPLETE, "odoo user": 0, "n8n active workflow": 0, "shopify webhook": 0, "supabase reader": 0}
HELD: Mapping[str, Mapping[str, int]] = {
    "active": COMPLETE,
    "suspended": _SUSPENDED,
    "deleted": {**_SUSPENDED, "cloudflare record": 0},
    "purged": {"odoo company": 1},  # Odoo keeps a company that had a chart of accounts; it is archived
}
"""By phase: kind → count. What is not named is not there."""
# A message whose fate is unknown is not sent again (Meta has no key that would make it harmless): sent once, or not at all.
AT_MOST = {"welcome message": 1}


def off(inventory: Inventory, phases: Mapping[str, str]) -> list[str]:
    """Everything that is not as it should be when these tenants (by RUT) are in these phases; empty when all is well."""
    found = [
        f"{rut} should not be there: {dict(kinds)}" for rut, kinds in inventory.tenants.items() if rut not in phases
    ]
    for rut, phase in phases.items():
        kinds = inventory.tenants.get(rut, Counter[str]())
        for kind in sorted({*COMPLETE, *kinds} - {*AT_MOST}):
            held, wanted = kinds.get(kind, 0), HELD[phase].get(kind, 0)
            found += [] if held == wanted else [f"{rut} ({phase}): {held} instead of {wanted} {kind}"]
        found += [f"{rut}: more than {most} {kind}" for kind, most in AT_MOST.items() if kinds.get(kind, 0) > most]
    found += [f"belongs to nobody: {each}" for each in inventory.nameless]
    found += [f"{count} {what} instead of 1" for what, count in inventory.shared.items() if phases and count != 1]
    return found
