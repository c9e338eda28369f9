# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Removing what no release needs any more: our secrets, our configs, and images that only older releases of ours used."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import ledger
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.stack_state import OWNER, OWNER_LABEL

IN_USE = (400, 404, 409)  # somebody needs it after all, or it is gone already


def prune(engine: Engine, entries: t.Sequence[ledger.Entry], check: bool = False) -> dict[str, list[str]]:
    """Remove (in check mode: name) what neither a service, nor its former version, nor a kept release refers to (`ledger.kept`)."""
    kept = ledger.needed(entries)
    for each in engine.get("/services"):
        for spec in (each["Spec"], each.get("PreviousSpec") or {}):
            container = (spec.get("TaskTemplate") or {}).get("ContainerSpec") or {}
            kept["images"].add(str(container.get("Image", "")))
            kept["secrets"].update(str(one["SecretName"]) for one in container.get("Secrets") or ())
            kept["configs"].update(str(one["ConfigName"]) for one in container.get("Configs") or ())
    gone: dict[str, list[str]] = {"secrets": [], "configs": [], "images": []}
    for kind in ("secrets", "configs"):
        for each in engine.get(f"/{kind}", label=[f"{OWNER_LABEL}={OWNER}"]):
            name = str(each["Spec"]["Name"])
            if name not in kept[kind] and (check or _removed(engine, f"/{kind}/{each['ID']}")):
                gone[kind].append(name)
    ever = {
        image
        for entry in entries
        for stack in (entry.get("services") or {}).values()
        for image in (stack.get("images") or {}).values()
    }
    for image in sorted(ever - kept["images"]):
        if _there(engine, image) and (check or _removed(engine, f"/images/{image}")):
            gone["images"].append(image)
    return gone


def _there(engine: Engine, image: str) -> bool:
    try:
        engine.get(f"/images/{image}/json")
    except EngineError as exc:
        if exc.status == 404:
            return False
        raise
    return True


def _removed(engine: Engine, path: str) -> bool:
    try:
        engine.delete(path)
    except EngineError as exc:
        if exc.status in IN_USE:
            return False
        raise
    return True
