# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Make, judge and rotate the secrets of an environment. No value ever leaves the vault through this action."""

from __future__ import annotations

import contextlib
import typing as t
from collections.abc import Callable, Iterator

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import secret_jobs, vault
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    INVALID,
    UNUSABLE,
    RegistryAction,
    Setting,
    Stop,
)

JOBS = ("init", "check", "rotate", "back", "settle", "set")
Row = dict[str, t.Any]


class ActionModule(RegistryAction):
    """One job on the vault; sets the fact smos_secret_services where a deploy has to follow."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "job": {"type": "str", "default": "check", "choices": list(JOBS)},
        "name": {"type": "str", "default": ""},
        "variable": {"type": "str", "default": "secret_value"},
        "services": {"type": "list", "elements": "str"},
        "without": {"type": "list", "elements": "str", "default": []},
        "file": {"type": "path"},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        known = secret_jobs.catalogue(setting.root)
        opened = vault.opened(task_vars, self._loader, self._templar.template, args["file"])
        self._known, self._args = known, args
        self._given = str(task_vars.get(args["variable"], "")) if args["job"] == "set" else ""
        job: Callable[[vault.Vault, Setting], Row] = getattr(self, f"_{args['job']}")
        return {"file": str(opened.path), **job(opened, setting)}

    def _init(self, opened: vault.Vault, setting: Setting) -> Row:
        with _content(opened, setting) as content:
            made = secret_jobs.fill(content, self._known)
            rows = secret_jobs.judge(content, self._known, self._services())
        return {"changed": bool(made), "changes": [self._change("create", name) for name in made], "rows": rows}

    def _check(self, opened: vault.Vault, _setting: Setting) -> Row:
        rows = secret_jobs.judge(opened.read(), self._known, self._services())
        bad = [each for each in rows if each["state"] in secret_jobs.BAD]
        if bad:
            raise Stop(UNUSABLE, secret_jobs.errors(bad, str(opened.path)), file=str(opened.path), rows=rows)
        return {"changed": False, "rows": rows}

    def _rotate(self, opened: vault.Vault, setting: Setting) -> Row:
        with _content(opened, setting) as content:
            begun = secret_jobs.begin(content, self._known, self._args["name"])
        return {**self._told(begun), **self._following_deploy()}

    def _back(self, opened: vault.Vault, setting: Setting) -> Row:
        secret_jobs.rotatable(self._known, self._args["name"])
        with _content(opened, setting) as content:
            done = secret_jobs.take_back(content, self._args["name"])
        return {**self._told(done), **self._following_deploy()}

    def _settle(self, opened: vault.Vault, setting: Setting) -> Row:
        with _content(opened, setting) as content:
            done = secret_jobs.settle(content, self._args["name"])
        return {"changed": done, "changes": []}

    def _set(self, opened: vault.Vault, setting: Setting) -> Row:
        if not self._given:
            following = f"Set the variable {self._args['variable']} in a private file: -e @FILE"
            raise Stop(INVALID, [row(self._args["name"], "no value was given", "", following)])
        with _content(opened, setting) as content:
            changed = secret_jobs.keep(content, self._known, self._args["name"], self._given)
        return self._told(changed)

    def _told(self, changed: bool) -> Row:
        return {"changed": changed, "changes": [self._change("update", self._args["name"])] if changed else []}

    def _change(self, action: str, name: str) -> Row:
        service = self._known.secrets[name]["service"]
        what = f"secret {name}"
        return {"service": service, "tenant": None, "action": action, "what": what, "before": None, "after": None}

    def _following_deploy(self) -> Row:
        """The services that a deploy has to visit, and the fact by which the next play finds them."""
        every = secret_jobs.users(self._known.secrets[self._args["name"]])
        services = [each for each in every if each not in self._args["without"]]
        return {"services": services, "ansible_facts": {"smos_secret_services": services}}

    def _services(self) -> list[str] | None:
        given: list[str] | None = self._args["services"]
        return None if given is None else [each for each in given if each not in self._args["without"]]


@contextlib.contextmanager
def _content(opened: vault.Vault, setting: Setting) -> Iterator[vault.Content]:
    """The vault's content to change; in check mode what is changed is forgotten."""
    if setting.check_mode:
        if not opened.exists:
            opened.password_of_new()  # the run would fail without one, so does its foretelling
        yield opened.read()
        return
    with opened.changing() as content:
        yield content
