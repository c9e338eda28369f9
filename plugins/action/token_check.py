# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Fills in whom to ask from the service catalogue, then carries out the module of the same name in this process."""

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.modules import token_check
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import specs, tokens
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import INVALID, UNUSABLE, Stop
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.bulk_action import BulkAction
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.schema import LibraryMissing


class ActionModule(BulkAction):
    """Found by Ansible by the name of this file."""

    module: t.ClassVar[t.Any] = token_check

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Called by Ansible."""
        if self._task.args.get("providers") is None:
            try:
                self._task.args["providers"] = self._providers(task_vars or {})
            except Stop as stop:
                return {"failed": True, "msg": str(stop), "exit_code": stop.exit_code, "errors": stop.errors}
        return super().run(tmp, task_vars)

    def _providers(self, variables: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        def value(name: str) -> str:
            return str(self._templar.template(variables.get(name, "")))

        _valid, args = self.validate_argument_spec(argument_spec=token_check.OPTIONS)
        try:
            loaded = specs.load(Path(value("smos_specs")).resolve())
            return tokens.providers(loaded, value("smos_environment"), args["only"], variables, self._templar.template)
        except specs.SpecError as exc:
            raise Stop(INVALID, [mistake.as_error() for mistake in exc.mistakes]) from None
        except LibraryMissing as exc:
            raise Stop(UNUSABLE, [_row("this machine", str(exc), "Repair that, then run it again")]) from None
        except tokens.UnknownProvider as exc:
            why = "the catalogue has no such service with a connection that can be asked"
            raise Stop(INVALID, [_row(f"provider {exc}", why, f"Choose among: {', '.join(exc.known)}")]) from None


def _row(what: str, why: str, following: str) -> dict[str, str]:
    return {"what": what, "where": "", "why": why, "next": following}
