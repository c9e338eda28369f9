# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Make the calls that roles ordered, all services at the same time, and write down each one's answers as it comes."""

from __future__ import annotations

import importlib
import json
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.smartercl.smarteros.plugins.module_utils import lifecycle, lifeline
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import recording
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import RegistryAction, Setting
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.bulk_action import ORDER, carried_out
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

MODULES = "ansible_collections.smartercl.smarteros.plugins.modules"
Order = dict[str, t.Any]


class ActionModule(RegistryAction):
    """The calls of one service are made in their order, each in this process; services do not wait for each other."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "tenants": {"type": "list", "elements": "str", "required": True},
        "keep_on": {"type": "bool", "default": False},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        lifeline.hold()
        gone = task_vars["ansible_facts"].get("smos_failed") or []
        self._record, self._writing = recording.Record(), threading.Lock()
        self._steps: list[dict[str, t.Any]] = []
        ordered = plain(task_vars["ansible_facts"].get("smos_ordered") or [])
        jobs = {order["service"]: self._orders(order["registered"], task_vars) for order in ordered}
        self._wished = {each["id"]: each for each in setting.tenants(args["tenants"], task_vars)}
        concerned = {service: lifecycle.concerned(self._wished.values(), service) - set(gone) for service in jobs}
        with ThreadPoolExecutor(max_workers=max(len(jobs), 1)) as pool:
            working = [
                pool.submit(self._work_on, service, orders, concerned[service], setting)
                for service, orders in jobs.items()
            ]
        for each in working:
            each.result()
        self._record.in_order(list(jobs))
        result = {**self._record.as_result(gone, args["keep_on"]), "steps": self._steps}
        result["ansible_facts"]["smos_ordered"] = []
        return result

    def _work_on(self, service: str, orders: list[Order], concerned: set[str], setting: Setting) -> None:
        rows: list[dict[str, t.Any]] = []
        failed: set[str] = set()
        since = time.monotonic()
        for order in orders:
            answer = _called(order["module"], _without(failed, order["arguments"]), setting.check_mode)
            if answer.get("failed"):
                rows += recording.all_failed(service, answer, sorted(concerned - failed))
                break
            found = plain(answer.get("results") or [])
            rows += [row for row in found if row["tenant"] not in failed]
            failed |= {row["tenant"] for row in found if row["state"] == "failed"}
        with self._writing:
            self._record.take(service, rows, setting, self._wished)
        step = {"service": service, "seconds": round(time.monotonic() - since, 3)}
        step["changes"] = sum(len(row.get("changes") or []) for row in rows)
        step["errors"] = sum(bool(row.get("error")) for row in rows)
        self._steps.append(step)

    @staticmethod
    def _orders(names: list[str], task_vars: dict[str, t.Any]) -> list[Order]:
        return [json.loads(task_vars[name][ORDER]) for name in names if ORDER in (task_vars.get(name) or {})]


def _without(failed: set[str], arguments: Order) -> Order:
    """The arguments of a call without the items of tenants that an earlier call of the service failed for."""
    return {name: _spared(value, failed) if failed else value for name, value in arguments.items()}


def _spared(value: t.Any, failed: set[str]) -> t.Any:
    if not isinstance(value, list):
        return value
    return [item for item in value if not isinstance(item, dict) or item.get("tenant") not in failed]


def _called(name: str, arguments: Order, check_mode: bool) -> dict[str, t.Any]:
    """The result of a call. A defect of one service must not take the answers of the others with it."""
    try:
        module = importlib.import_module(f"{MODULES}.{name}")
        return carried_out(t.cast(t.Any, module), arguments, check_mode)
    except Exception as exc:  # noqa: BLE001 - see above; the text of an unknown exception may hold a secret
        return {"failed": True, "msg": f"{name} ended in a defect of its own ({type(exc).__name__})"}
