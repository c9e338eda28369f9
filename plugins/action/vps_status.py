# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Tell the module of the same name what to ask, from the catalogue, and add what the registry says of the tenants."""

from __future__ import annotations

import collections
import json
import typing as t
from collections.abc import Mapping

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import documents, inventory_cache
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import RegistryAction, Setting
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

MODULE = "smartercl.smarteros.vps_status"
STAND_IN = "stand-in"


class ActionModule(RegistryAction):
    """One module call on the machine; the registry is read here."""

    _requires_connection = True
    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "questions": {"type": "dict"},
        "timeout": {"type": "float", "default": 2.0},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        given = {**args, "questions": args["questions"] or setting.specs.health_questions}
        result: dict[str, t.Any] = self._execute_module(module_name=MODULE, module_args=given, task_vars=task_vars)
        if "status" in result:
            _name_stand_ins(
                result["status"]["services"], self._templar.template(task_vars.get("smos_own_images") or {})
            )
            rows = inventory_cache.list_rows(setting.root, setting.environment)
            result["status"]["tenants"] = dict(collections.Counter(row.phase for row in rows if row.lives_here))
            _add_objective(result["status"]["backups"], setting)
        return result


def _add_objective(backups: dict[str, t.Any], setting: Setting) -> None:
    """Beside the age of the newest backup, how old it may become; nothing where the machine takes none."""
    if backups:
        spec = documents.load(setting.root / setting.specs.index["files"]["infra"]["backup"])
        backups["rpo_h"] = spec["objectives"]["rpo_h"]


def _name_stand_ins(services: Mapping[str, dict[str, t.Any]], images: t.Any) -> None:
    """What is no real product is called so; the sandbox writes beside each image of its own what it is."""
    known = json.loads(images or "{}") if isinstance(images, str) else plain(images)
    for name, service in services.items():
        image = known.get(name)
        if isinstance(image, Mapping) and image.get("kind") == STAND_IN:
            service["message"] = "; ".join(text for text in (STAND_IN, service["message"]) if text)
