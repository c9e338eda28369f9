# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Judge the archive of an export as the request for the tenant that it holds."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import (
    archive,
    clashes,
    inventory_cache,
    rules,
    tenant,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import INVALID, RegistryAction, Setting, Stop
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import SpecError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain


class ActionModule(RegistryAction):
    """Gives the tenant's document and merged form; writes nothing. A tenant that is registered keeps its own spec."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {"archive": {"type": "path", "required": True}}

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        del task_vars  # the request is all in the archive
        document = self._document(Path(args["archive"]), setting)
        every = inventory_cache.load_all(setting.root, setting.environment)
        mine = next((entry for entry in every if entry.rut == document["spec"]["rut"]), None)
        if mine is not None and mine.lives_here and mine.document and not mine.mistakes:
            document = mine.document
        elif mine is not None:
            why = "its file in the registry is of another environment, or has mistakes"
            raise Stop(INVALID, [row(f"tenant {mine.rut}", why, str(mine.path), "Repair or move that file first")])
        else:
            clashes.refuse(document["spec"], every)
        merged = tenant.merged(document, setting.specs, setting.environment)
        return {
            "changed": False,
            "tenants": [{"host": document["spec"]["slug"], "document": plain(document), "tenant": merged}],
        }

    @staticmethod
    def _document(path: Path, setting: Setting) -> dict[str, t.Any]:
        """The spec of the archive as that of a tenant who begins a new life in this environment."""
        try:
            spec = archive.read(path).document["spec"]
        except (archive.ArchiveError, ValueError, KeyError) as exc:
            raise Stop(
                INVALID, [row("archive", str(exc), str(path), "Give an archive of `smos tenant export`")]
            ) from exc
        spec = {key: value for key, value in spec.items() if key != "lifecycle"}
        document = {"spec": {**spec, "environments": [setting.environment]}}
        mistakes = rules.judge_tenant(document, setting.specs, setting.environment)
        if mistakes:
            raise SpecError(mistakes)
        return document
