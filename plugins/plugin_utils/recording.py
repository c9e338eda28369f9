# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Writing down what a service answered for tenants, and telling it: the same whether services ran alone or together."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import mark
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import drift, inventory_cache, status
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import Setting

RETRY = "Look at the message above, then run the same command again"
Row = dict[str, t.Any]


@dataclass
class Record:
    """What was written and what is to be told; ``answers`` by service and tenant, ``failed`` are tenants."""

    changed: bool = False
    changes: list[Row] = field(default_factory=list)
    errors: list[Row] = field(default_factory=list)
    answers: dict[str, dict[str, Row]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def take(self, service: str, rows: t.Iterable[Row], setting: Setting, wished: t.Mapping[str, Row]) -> None:
        """Write the rows of one service into the tenants' files (not in check mode), and keep what is to be told.

        ``wished`` are merged tenants by id, where a check knows a wish that the registry does not hold yet.
        """
        groups: dict[str, list[Row]] = {}
        for row in rows:
            groups.setdefault(row["tenant"], []).append(row)
        answers = {tenant: status.combined(group) for tenant, group in groups.items()}
        entries = inventory_cache.load_ruts(setting.root, setting.environment, list(answers))
        differing = {rut: entry.merged for rut, entry in entries.items() if answers[rut]["changes"]}
        causes = {rut: _cause(service, wished.get(rut, merged)) for rut, merged in differing.items()}
        if not setting.check_mode:
            self.changed = _write(service, answers, entries, setting) > 0 or self.changed
        for tenant, answer in answers.items():
            told = {"service": service, "tenant": tenant, **(causes.get(tenant) or _unregistered(tenant))}
            self.changes += [{**told, **change} for change in answer["changes"]]
            self.errors += [answer["error"]] if answer["error"] else []
            if answer["changes"] or answer["error"]:
                self.answers.setdefault(service, {})[tenant] = _short(answer)
            if answer["state"] == "failed" and tenant not in self.failed:
                self.failed.append(tenant)

    def in_order(self, services: t.Sequence[str]) -> None:
        """Tell the changes in the order of the services, whichever of them was faster."""
        self.changes.sort(key=lambda change: services.index(change["service"]))

    def as_result(self, failed_before: t.Iterable[str], keep_on: bool) -> Row:
        """The result of an action; sets the fact smos_failed. With ``keep_on`` the tenants that failed now stay in the run."""
        failed = list(dict.fromkeys([*failed_before, *(() if keep_on else self.failed)]))
        return {
            "changed": self.changed,
            "changes": self.changes,
            "errors": self.errors,
            "answers": self.answers,
            "ansible_facts": {"smos_failed": failed},
        }


def all_failed(service: str, failure: t.Mapping[str, t.Any], concerned: t.Iterable[str]) -> list[Row]:
    """The answers when a service could not be worked with at all: the same failure for every tenant that needs it."""
    why = str(failure.get("msg") or "it failed without a message")
    errors = failure.get("errors") or [{"what": service, "where": "", "why": why, "next": RETRY}]
    return [{"tenant": tenant, "state": "failed", "message": why, "error": errors[0]} for tenant in concerned]


def _cause(service: str, merged: Row) -> Row:
    """Why the service differed from the specs, and whose it is."""
    return {"cause": drift.cause(merged, service), "owner": drift.owner(merged, service)}


def _unregistered(tenant: str) -> Row:
    """The same for a tenant that the registry does not know yet: that is so in check mode only."""
    return {"cause": drift.FIRST, "owner": mark(tenant)}


def _write(
    service: str, answers: dict[str, Row], entries: t.Mapping[str, inventory_cache.Entry], setting: Setting
) -> int:
    blocks = []
    for rut, entry in entries.items():
        before = entry.merged["status"]
        after = status.with_service(before, service, answers[rut], setting.run)
        if after != before:
            blocks.append((rut, after))
    if answers and setting.locks.is_due(setting.run, next(iter(answers))):
        setting.locks.renew(setting.run)
    return setting.write(blocks)


def _short(answer: Row) -> Row:
    return {key: answer[key] for key in ("state", "ref", "url", "message")}
