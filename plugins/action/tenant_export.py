# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Write the archive of each tenant that is about to be deleted, or of all when that is the job."""

from __future__ import annotations

import json
import typing as t
from functools import partial
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils import lifecycle, reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import NEXT_STEP, ApiError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import archive, portable, status
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import RegistryAction, Setting

AT_ONCE = 4  # tenants; each asks all of its services at the same time
Row = dict[str, t.Any]


class ActionModule(RegistryAction):
    """A tenant whose export fails is left out of the rest of the run, so that nothing is taken from it."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "tenants": {"type": "list", "elements": "str", "required": True},
        "folder": {"type": "path", "required": True},
        "every": {"type": "bool", "default": False},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        facts = task_vars["ansible_facts"]
        gone = list(facts.get("smos_failed") or [])
        tenants = [each for each in setting.tenants(args["tenants"], task_vars) if each["id"] not in gone]
        chosen = {each["id"]: each for each in tenants if args["every"] or _has_to_be_kept(each)}
        if setting.check_mode or not chosen:
            return {"changed": False, "exports": {}, "errors": []}
        services = list(facts.get("smos_services") or [])
        connections = {name: self.connection_of(name, setting, task_vars) for name in services}
        documents = {entry.rut: entry.document for entry in setting.entries(args["tenants"]).values()}
        jobs = {
            rut: partial(_exported, each, documents[rut], services, connections, Path(args["folder"]), setting)
            for rut, each in chosen.items()
        }
        outcomes = reconcile.run_all(jobs, AT_ONCE)
        exports = {rut: outcome for rut, outcome in outcomes.items() if not isinstance(outcome, ApiError)}
        failed = {rut: _error(chosen[rut], one) for rut, one in outcomes.items() if isinstance(one, ApiError)}
        return self._result(exports, failed, gone, facts)

    @staticmethod
    def _result(exports: Row, failed: dict[str, dict[str, str]], gone: list[str], facts: t.Any) -> Row:
        taken = {**(facts.get("smos_taken") or {}), **{rut: error["why"] for rut, error in failed.items()}}
        return {
            "changed": bool(exports),
            "exports": exports,
            "errors": list(failed.values()),
            "ansible_facts": {"smos_failed": [*gone, *failed], "smos_taken": taken},
        }


def _exported(
    tenant: Row, document: Row, services: list[str], connections: portable.Connections, folder: Path, setting: Setting
) -> Row:
    """Write the archive of one tenant, and note in its file where it is as soon as it is there. Raises ApiError."""
    there = portable.held(tenant, services)
    files = portable.collected(tenant, there, connections)
    files[archive.DOCUMENT] = json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
    at = status.now()
    about = {"tenant": tenant["id"], "environment": setting.environment, "run": setting.run, "at": at}
    path = folder / f"{tenant['slug']}-{setting.run}.tar.gz"
    try:
        export = {**archive.write(path, {**about, "services": there}, files), "at": at}
    except archive.ArchiveError as exc:
        raise ApiError(str(exc)) from exc
    setting.write([(tenant["id"], status.with_export(tenant["status"], export))])
    return export


def _has_to_be_kept(tenant: Row) -> bool:
    """Whether a tenant is about to lose something that no archive holds yet."""
    if tenant["wish"] not in (lifecycle.DELETED, lifecycle.PURGED):
        return False
    export = tenant["status"].get("export") or {}
    is_of_before = export.get("at", "") < tenant["wish_since"]  # of an earlier deletion, say
    return is_of_before or not archive.is_whole(export)


def _error(tenant: Row, exc: ApiError) -> dict[str, str]:
    what = f"export of tenant {tenant['slug']} ({tenant['id']})"
    return {
        **exc.as_dict(what),
        "why": f"{exc.message}; nothing was taken from the tenant",
        "next": NEXT_STEP[exc.kind],
    }
