# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Make what a machine needs to back itself up, from specs and vault, and hand it to the module of the same name."""

from __future__ import annotations

import base64
import json
import typing as t
import zlib

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import (
    backup_config,
    backup_program,
    backup_units,
    documents,
    notice_channels,
    releases,
    vault,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    INVALID,
    UNUSABLE,
    RegistryAction,
    Setting,
    Stop,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

MODULE = "smartercl.smarteros.backup_setup"


class ActionModule(RegistryAction):
    """One module call on the machine. No secret is in the result."""

    _requires_connection = True
    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "password": {"type": "str", "required": True, "no_log": True},
        "services": {"type": "list", "elements": "str"},
        "release": {"type": "str", "default": ""},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        spec = documents.load(setting.root / setting.specs.index["files"]["infra"]["backup"])
        opened = vault.opened(task_vars, self._loader, self._templar.template)
        secrets = {**opened.read().values, backup_config.PASSWORD: args["password"]}
        lacking = backup_config.missing(spec, secrets)
        if lacking:
            following = "`smos secrets init` makes what we can make; give the others with `smos secrets set NAME`"
            raise Stop(UNUSABLE, [row(name, "it is not in the vault", str(opened.path), following) for name in lacking])
        try:
            given = self._made(args, spec, secrets, setting, task_vars)
        except backup_config.ConfigError as exc:
            raise Stop(INVALID, [row("backups", str(exc), "", "Correct it, then run the same command again")]) from exc
        except backup_program.PackError as exc:
            raise Stop(UNUSABLE, [row("backups", str(exc), "", "Install SmarterOS anew on this computer")]) from exc
        result: dict[str, t.Any] = self._execute_module(module_name=MODULE, module_args=given, task_vars=task_vars)
        result.pop("invocation", None)
        return result

    def _made(
        self,
        args: dict[str, t.Any],
        spec: dict[str, t.Any],
        secrets: dict[str, str],
        setting: Setting,
        task_vars: dict[str, t.Any],
    ) -> dict[str, t.Any]:
        carried = args["services"]
        about = backup_config.About(
            environment=setting.environment,
            zone=setting.specs.zone,
            release=args["release"] or releases.load(setting.specs).version,
            services=[each["id"] for each in setting.specs.machine_services] if carried is None else carried,
            stacks=_stacks(task_vars),
        )
        tells, template = spec["notify_on_failure"], self._templar.template
        told = notice_channels.of_task(task_vars, template) if tells else notice_channels.Channels()
        made = backup_config.document(about, setting.specs.machine_services, spec, secrets, told.notices)
        return {
            "config": backup_config.text(made),
            "secrets": {**backup_config.secret_files(spec, secrets), **told.files},
            "program": base64.b64encode(zlib.compress(backup_program.pack())).decode(),
            "units": backup_units.units(spec),
        }


def _stacks(task_vars: dict[str, t.Any]) -> dict[str, list[str]]:
    """The Swarm services of each stack, as deploy_open rendered them in this play; nothing outside of a deploy."""
    stacks = json.loads(plain((task_vars.get("smos_opened") or {}).get("stacks") or "{}"))
    return {
        name: sorted(f"{name}_{container}" for container in json.loads(stack["compose"])["services"])
        for name, stack in stacks.items()
    }
