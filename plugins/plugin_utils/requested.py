# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a play was asked for and has not written yet stands before what the registry says."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import drift
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.inventory_cache import Entry
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

CHANGED = "tenants_changed"  # registered hosts that shall change; they have the variables tenant and tenant_document


def changed_names(task_vars: t.Mapping[str, t.Any]) -> frozenset[str]:
    """The host names of registered tenants that shall change. To ask each host would cost a millisecond a host."""
    return frozenset((task_vars.get("groups") or {}).get(CHANGED) or ())


def document(name: str, task_vars: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The requested document (``{"spec": …}``) of a requested host name."""
    return t.cast("dict[str, t.Any]", plain(task_vars["hostvars"][name]["tenant_document"]))


def outdated(
    names: t.Iterable[str], entries: t.Mapping[str, Entry], task_vars: t.Mapping[str, t.Any]
) -> dict[str, str]:
    """By host name, why a request cannot be carried out any more: another run changed the tenant since it was judged.

    ``entries`` are the registry's, read under the tenants' locks.
    """
    asked, found = changed_names(task_vars), {}
    for name in names:
        entry = entries.get(name)
        if entry is None and (name in asked or "tenant_document" not in task_vars["hostvars"][name]):
            found[name] = "it has left the registry since this run began"
        elif entry is not None and name in asked:
            spec = t.cast("dict[str, t.Any]", entry.document)["spec"]
            judged = plain(task_vars["hostvars"][name]["tenant_judged"])
            if judged != drift.digest(spec) and document(name, task_vars)["spec"] != spec:
                found[name] = "another run has changed its spec since this one began"
    return found


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
