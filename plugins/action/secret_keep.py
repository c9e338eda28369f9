# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Keep in the vault what a service has made and shows only once."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import kept_secrets, vault
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import RegistryAction, Setting


class ActionModule(RegistryAction):
    """Writes only what is another value than the one that is kept; empty ones are left out."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "secrets": {"type": "dict", "required": True, "no_log": True},
        "file": {"type": "path"},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        given = {str(name): str(value) for name, value in args["secrets"].items() if value}
        kept_secrets.check(given, setting)
        if not given:
            return {"changed": False, "kept": []}
        opened = vault.opened(task_vars, self._loader, self._templar.template, args["file"])
        differing = kept_secrets.keep(given, opened, setting)
        return {"changed": bool(differing), "kept": differing}
