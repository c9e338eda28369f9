# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Keep in the vault what a service has made and shows only once."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import secret_jobs, vault
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import INVALID, RegistryAction, Setting, Stop


class ActionModule(RegistryAction):
    """Writes only what is another value than the one that is kept; empty ones are left out."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "secrets": {"type": "dict", "required": True, "no_log": True},
        "file": {"type": "path"},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        given = {str(name): str(value) for name, value in args["secrets"].items() if value}
        _check(given, secret_jobs.catalogue(setting.root))
        if not given:
            return {"changed": False, "kept": []}
        opened = vault.opened(task_vars, self._loader, self._templar.template, args["file"])
        before = opened.read()
        differing = [name for name, value in given.items() if before.values.get(name) != value]
        if differing and not setting.check_mode:
            with opened.changing() as content:
                for name in differing:
                    content.put(name, given[name])
        return {"changed": bool(differing), "kept": differing}


def _check(given: t.Mapping[str, str], known: secret_jobs.Catalogue) -> None:
    """Only what services make is kept so: a name that is meant to be ours would be lost here."""
    for name in given:
        if secret_jobs.named(known, name)["kind"] != secret_jobs.MADE:
            following = f"Names of kind {secret_jobs.MADE} are kept; see specs/secrets.yml"
            raise Stop(INVALID, [row(name, "this secret is not made by a service", "specs/secrets.yml", following)])
