# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The base of the actions that make a fresh service ours: the key that it makes goes into the vault, and into no result.

A result with a secret in it needs ``no_log``, and that hides why a task failed, and what it changed, as well.
"""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import kept_secrets, vault
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import RegistryAction, Setting, Stop


class OwnerAction(RegistryAction):
    """Runs ``module``, and keeps what its result calls ``made`` under the name that the option ``keep`` gives."""

    _requires_connection = True
    module: t.ClassVar[str]
    made: t.ClassVar[str] = "api_key"

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name. Raises Stop where the vault does not take it."""
        name = args["keep"]
        if name:
            kept_secrets.check([name], setting)
        result: dict[str, t.Any] = self._execute_module(
            module_name=self.module, module_args={**args, "keep": ""}, task_vars=task_vars
        )
        value = result.pop(self.made, "") if name else ""
        if value:
            opened = vault.opened(task_vars, self._loader, self._templar.template, None)
            result["kept"] = self._kept({name: value}, opened, setting, result)
            result["changed"] = bool(result.get("changed")) or bool(result["kept"])
        return result

    @staticmethod
    def _kept(
        given: t.Mapping[str, str], opened: vault.Vault, setting: Setting, result: t.Mapping[str, t.Any]
    ) -> list[str]:
        try:
            return kept_secrets.keep(given, opened, setting)
        except Stop as exc:
            # The service has a key that nobody knows; the next run makes another
            exc.facts["changes"] = result.get("changes", [])
            raise
