# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Write down what a service answered for each tenant, and take the failed ones out of the rest of the run."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import inventory_cache, status
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import RegistryAction, Setting, plain

RETRY = "Look at the message above, then run the same command again"


class ActionModule(RegistryAction):
    """Sets the fact smos_failed; gives the changes in the form of the command line."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "service": {"type": "str", "required": True},
        "registered": {"type": "list", "elements": "str", "default": []},
        "failure": {"type": "dict"},
        "tenants": {"type": "list", "elements": "str", "default": []},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        rows: dict[str, list[dict[str, t.Any]]] = {}
        for row in self._results(args["registered"], task_vars) or self._all_failed(args, setting, task_vars):
            rows.setdefault(row["tenant"], []).append(row)
        answers = {tenant: status.combined(group) for tenant, group in rows.items()}
        changed = 0 if setting.check_mode else self._write(args["service"], answers, setting)
        failed = [tenant for tenant, answer in answers.items() if answer["state"] == "failed"]
        return {
            "changed": changed > 0,
            "changes": [
                {"service": args["service"], "tenant": tenant, **change}
                for tenant, answer in answers.items()
                for change in answer["changes"]
            ],
            "errors": [answer["error"] for answer in answers.values() if answer["error"]],
            "answers": {
                tenant: _short(answer) for tenant, answer in answers.items() if answer["changes"] or answer["error"]
            },
            "ansible_facts": {"smos_failed": [*(task_vars["ansible_facts"].get("smos_failed") or []), *failed]},
        }

    @staticmethod
    def _results(names: list[str], task_vars: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        """The rows of registered results. They are taken raw: through a template, a thousand rows cost 0.3 s."""
        return [row for name in names for row in plain((task_vars.get(name) or {}).get("results") or [])]

    @staticmethod
    def _all_failed(args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> list[dict[str, t.Any]]:
        """The answers when a service could not be worked with at all: the same failure for every tenant that needs it."""
        if not args["failure"]:
            return []
        gone = set(task_vars["ansible_facts"].get("smos_failed") or [])
        why = str(args["failure"].get("msg") or "it failed without a message")
        errors = args["failure"].get("errors") or [{"what": args["service"], "where": "", "why": why, "next": RETRY}]
        blank = {
            "state": "failed",
            "created": False,
            "ref": {},
            "url": "",
            "message": why,
            "changes": [],
            "error": errors[0],
        }
        tenants = setting.tenants(args["tenants"], task_vars)
        needing = [tenant for tenant in tenants if tenant["services"][args["service"]]["enabled"]]
        return [{"tenant": tenant["id"], **blank} for tenant in needing if tenant["id"] not in gone]

    def _write(self, service: str, answers: dict[str, dict[str, t.Any]], setting: Setting) -> int:
        blocks = []
        for entry in inventory_cache.load_ruts(setting.root, setting.environment, list(answers)).values():
            before = entry.merged["status"]
            after = status.with_service(before, service, answers[entry.rut], setting.run)
            if after != before:
                blocks.append((entry.rut, after))
        if answers and setting.locks.is_due(setting.run, next(iter(answers))):
            setting.locks.renew(setting.run)
        return setting.write(blocks)


def _short(answer: dict[str, t.Any]) -> dict[str, t.Any]:
    return {key: answer[key] for key in ("state", "ref", "url", "message")}
