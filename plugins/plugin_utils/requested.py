# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a play was asked for and has not written yet stands before what the registry says."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.inventory_cache import Entry
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

CHANGED = "tenants_changed"  # registered hosts that shall change; they have the variables tenant and tenant_document


def changed_names(task_vars: t.Mapping[str, t.Any]) -> frozenset[str]:
    """The host names of registered tenants that shall change. To ask each host would cost a millisecond a host."""
    return frozenset((task_vars.get("groups") or {}).get(CHANGED) or ())


def document(name: str, task_vars: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The requested document (``{"spec": …}``) of a requested host name."""
    return t.cast("dict[str, t.Any]", plain(task_vars["hostvars"][name]["tenant_document"]))


def merged_tenants(
    names: t.Iterable[str], entries: t.Mapping[str, Entry], task_vars: t.Mapping[str, t.Any]
) -> dict[str, dict[str, t.Any]]:
    """The merged tenants by host name; raises KeyError for a name that is neither registered nor requested."""
    asked = changed_names(task_vars)
    found: dict[str, dict[str, t.Any]] = {}
    for name in names:
        entry = entries.get(name)
        if entry is not None and name not in asked:
            found[name] = entry.merged
            continue
        wish = plain(task_vars["hostvars"][name]["tenant"])
        if entry is not None and entry.rut == wish["id"]:  # what runs have seen is the registry's to say
            seen = entry.merged
            wish.update(status=seen["status"], phase=seen["phase"], environments=seen["environments"])
        found[name] = wish
    return found
