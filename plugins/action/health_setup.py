# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Make what a machine needs to watch itself and its tenants, from the specs, and hand it to the module of the same name."""

from __future__ import annotations

import base64
import typing as t
import zlib

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import (
    alert_config,
    alert_units,
    backup_program,
    documents,
    health_config,
    inventory_cache,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import UNUSABLE, RegistryAction, Setting, Stop

MODULE = "smartercl.smarteros.health_setup"
SANDBOX = "sandbox"  # its tenants have names that exist nowhere


class ActionModule(RegistryAction):
    """One module call on the machine."""

    _requires_connection = True
    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {}

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        del args  # it has none
        try:
            program, watch = (
                base64.b64encode(zlib.compress(backup_program.pack(program=name))).decode()
                for name in (health_config.PROGRAM_MODULE, alert_units.PROGRAM_MODULE)
            )
        except backup_program.PackError as exc:
            raise Stop(UNUSABLE, [row("health", str(exc), "", "Install SmarterOS anew on this computer")]) from exc
        infra = setting.specs.index["files"]["infra"]
        monitoring, backup, vps = (
            documents.load(setting.root / infra[name]) for name in ("monitoring", "backup", "vps")
        )
        made = health_config.document(
            setting.environment,
            vps["timezone"],
            setting.specs.health_questions,
            self._tenants(setting),
            monitoring,
            backup["objectives"]["rpo_h"],
        )
        told = alert_config.of_task(monitoring["alerts"], task_vars, self._templar.template)
        given = {
            "config": health_config.text({**made, "alerts": told.section}),
            "secrets": told.files,
            "program": program,
            "watch_program": watch,
            "units": {
                **health_config.units(monitoring["checks"]["every_s"]),
                **alert_units.units(monitoring["alerts"]["collector_silent_min"]),
            },
        }
        result: dict[str, t.Any] = self._execute_module(module_name=MODULE, module_args=given, task_vars=task_vars)
        result.pop("invocation", None)
        return result

    def _tenants(self, setting: Setting) -> list[dict[str, t.Any]]:
        if setting.environment == SANDBOX:
            return []
        entries = inventory_cache.load_all(setting.root, setting.environment)
        return [each.merged for each in entries if each.lives_here and each.row.valid]
