# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a new tenant may not share with one that is registered."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import INVALID, Stop
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.inventory_cache import Entry
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import ARGUMENT, Mistake, shown
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.rules import UNIQUE, unique_rule, value_at
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tenant import as_argument


def refuse_stand_ins(names: t.Iterable[str], entries: t.Mapping[str, Entry], hostvars: t.Mapping[str, t.Any]) -> None:
    """Raise Stop when another tenant was registered under a requested host name since the request was judged."""
    for name in names:
        if name in entries and "tenant_document" in hostvars[name]:
            spec = plain(hostvars[name]["tenant_document"])["spec"]
            if entries[name].rut != spec["rut"]:
                refuse(spec, [entries[name]])


def claims(spec: t.Mapping[str, t.Any]) -> frozenset[tuple[t.Any, t.Any]]:
    """What a tenant has for itself alone, as pairs of key and value."""
    return frozenset((key, value_at(spec, key)) for key in UNIQUE if value_at(spec, key))


def refuse(spec: t.Mapping[str, t.Any], entries: t.Iterable[Entry]) -> None:
    """Raise Stop for what belongs to a registered tenant, also to one of another environment or with a broken spec."""
    for entry in entries:
        held = (entry.document or {}).get("spec") or {}
        for key in UNIQUE:
            value = value_at(spec, key)
            if value and value_at(held, key) == value:
                found, hint = f"{shown(value)} belongs to tenant {entry.rut}.", f"Choose another {key[-1]}."
                mistake = Mistake(ARGUMENT, 0, f"spec.{'.'.join(key)}", unique_rule(key), found, hint)
                raise Stop(INVALID, [as_argument(mistake).as_error()])
