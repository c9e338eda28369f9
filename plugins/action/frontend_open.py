# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Open a deploy of the frontends: which release, which refs, the values of their variables, and the lock; and close it."""

from __future__ import annotations

import json
import secrets
import typing as t
from collections.abc import Mapping
from datetime import datetime

from ansible.errors import AnsibleError

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import frontends, releases, tokens, vault
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    INVALID,
    REFUSED,
    UNUSABLE,
    RegistryAction,
    Setting,
    Stop,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import Reader, SpecError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

LOCK = "frontends"
OPENED = "opened"
CLOSED = "closed"
SERVICE = "vercel"


class ActionModule(RegistryAction):
    """Everything that can be told before Vercel is asked is told at once, and nothing is changed."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "state": {"type": "str", "choices": [OPENED, CLOSED], "default": OPENED},
        "services": {"type": "list", "elements": "str", "default": []},
        "release": {"type": "str", "default": ""},
        "reason": {"type": "str", "default": "deploy frontend"},
        "values": {"type": "bool", "default": True},
        "run": {"type": "str", "default": ""},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        if args["state"] == CLOSED:
            if not setting.check_mode:
                setting.locks.release(args["run"], [LOCK])
            return {"changed": False}
        self._vars = task_vars
        document = _registry(setting)
        release = self._release(args["release"], setting)
        meant, wrong = frontends.chosen(document, release, args["services"])
        if wrong:
            raise Stop(INVALID, wrong)
        if not args["values"]:
            meant = {name: {**each, "environment": {}} for name, each in meant.items()}
        made, lacking = frontends.items(meant, release, setting.specs, self._variable, self._secret)
        lacking = [*self._account(setting), *lacking] if made else []
        if lacking:
            raise Stop(UNUSABLE, lacking)
        run = args["run"] or setting.run or f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        if not setting.check_mode:
            self._lock(run, args["reason"], setting)
        return {
            "changed": False,
            "run": run,
            "release": release.version,
            "count": len(made),
            "frontends": json.dumps(made),
            "build_timeout": float(document["build_timeout_s"]),
            "health_timeout": float(document["health_timeout_s"]),
            "_ansible_no_log": True,  # there are secrets among the variables
        }

    def _release(self, version: str, setting: Setting) -> releases.Release:
        try:
            release = releases.load(setting.root, version or None)
        except releases.UnknownRelease as exc:
            raise Stop(INVALID, [row("release", str(exc), "specs/smos-version.yml", "See `smos releases`")]) from exc
        if not release.frontends:
            self.warn(f"release {release.version} names no refs of frontends: there is nothing to deploy")
        return release

    def _account(self, setting: Setting) -> list[dict[str, str]]:
        """What is lacking to reach Vercel."""
        entry: dict[str, t.Any] = {"connection": (), **(setting.specs.service(SERVICE) or {}), "id": SERVICE}
        known = tokens.connection_of(entry, self._vars, self._templar.template)
        names = tokens.names_of(entry, self._vars)
        missing = [name for name in ("url", "token") if not known.get(name)]
        following = "Set it in the environment or its file; see docs/tokens.md"
        return [row("Vercel", f"{names.get(name) or f'vercel_{name}'} is not set", "", following) for name in missing]

    def _variable(self, name: str) -> str:
        """A variable of the inventory as a text."""
        if name not in self._vars:
            return ""
        try:
            value = plain(self._templar.template(self._vars[name]))
        except AnsibleError as exc:
            following = "Correct the variable in the inventory"
            raise Stop(UNUSABLE, [row(name, f"it has no value: {exc}", "inventory", following)]) from exc
        return "" if value is None or isinstance(value, (bool, Mapping, list)) else str(value)

    def _secret(self, name: str) -> str:
        """A secret out of the vault."""
        try:
            opened = vault.opened(self._vars, self._loader, self._templar.template, None)
            return str(opened.read().values.get(name) or "")
        except vault.VaultError as exc:
            raise Stop(UNUSABLE, [row("vault", str(exc), "", "See docs/secrets.md")]) from exc

    def _lock(self, run: str, reason: str, setting: Setting) -> None:
        """Two runs at once would build everything twice. Raises Stop."""
        got = setting.locks.acquire([LOCK], run, reason, setting.pid)
        for holder in got.taken_over.values():
            self.warn(f"the lock of run {holder.run} was left behind by {holder.holder}; taken over")
        for holder in got.refused.values():
            why = f"run {holder.run} of {holder.holder} has been at it for {holder.age_s:.0f} s"
            raise Stop(REFUSED, [row(LOCK, why, "lock", "Wait for that run to end, then run the same command again")])


def _registry(setting: Setting) -> dict[str, t.Any]:
    """The document of the frontends. Raises SpecError."""
    reader = Reader(setting.root)
    reader.take(["frontends"])
    if reader.mistakes:
        raise SpecError(reader.mistakes)
    found: dict[str, t.Any] = reader.documents["frontends"]
    return found
