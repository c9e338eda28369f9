# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Open a run on the zone: what the specs wish, with the machines' real addresses, and the lock; and close it."""

from __future__ import annotations

import json
import secrets
import typing as t
from datetime import datetime

from ansible.errors import AnsibleError

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import rules, zone_addresses, zone_wishes
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    INVALID,
    REFUSED,
    RegistryAction,
    Setting,
    Stop,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import Mistake, SpecError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.schema import key_of
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import located, shown_path
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

LOCK = "zone"
PROVIDER = "cloudflare"
OPENED = "opened"
CLOSED = "closed"


class ActionModule(RegistryAction):
    """Everything that can be told before the provider is asked is told at once, and nothing is changed."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "state": {"type": "str", "choices": [OPENED, CLOSED], "default": OPENED},
        "addresses": {"type": "dict", "default": {}},
        "reason": {"type": "str", "default": "zone"},
        "run": {"type": "str", "default": ""},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        if args["state"] == CLOSED:
            if not setting.check_mode:
                setting.locks.release(args["run"], [LOCK])
            return {"changed": False}
        mistakes = rules.judge_specs(setting.root, setting.environment, tenants=())
        if mistakes:
            raise SpecError(mistakes)
        _mind_provider(str(setting.specs.dns["provider"]))
        records = self._records(setting, args["addresses"], task_vars)
        zone = str(self._templar.template(task_vars.get("cloudflare_zone", "")) or setting.specs.dns["zone"])
        run = args["run"] or setting.run or f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        if not setting.check_mode:
            self._lock(run, args["reason"], setting)
        return {
            "changed": False,
            "run": run,
            "zone": zone,
            "settings": dict(setting.specs.dns["settings"]),
            "records": json.dumps(records),
            "count": len(records),
        }

    def _records(
        self, setting: Setting, said: t.Mapping[str, t.Any], task_vars: t.Mapping[str, t.Any]
    ) -> list[dict[str, t.Any]]:
        """What the module takes. Raises SpecError that names each record whose machine has no address."""
        names = list((task_vars.get("groups") or {}).get(zone_addresses.GROUP) or ())
        machines = zone_addresses.Machines(names, self._reader(task_vars), said)
        services = {str(service["id"]): service for service in setting.specs.services}
        wishes = zone_wishes.of_specs(setting.specs.dns, services, machines.address_of)
        path = setting.root / str(setting.specs.index["files"]["infra"]["dns"])
        file = shown_path(path, setting.root)
        if wishes.lacking:
            rule = "A record that leads to a machine needs the machine's public address."
            following = (
                "Set smos_public_address (smos_public_address6 for AAAA) of the host in group vps of the inventory, "
                "or zone_addresses"
            )
            found = []
            for place, record, machine, version in wishes.lacking:
                why = machines.why_not(machine, version)
                message = f"{record['type']} {record['name']} has no address for {machine}: {why}."
                found.append((place, Mistake("", 0, key_of(place), rule, message, following)))
            raise SpecError(located(found, path, file))
        return zone_wishes.items(wishes, file, key_of)

    def _reader(self, task_vars: t.Mapping[str, t.Any]) -> zone_addresses.Read:
        hostvars = task_vars.get("hostvars") or {}

        def read(host: str, name: str) -> t.Any:
            try:
                known = hostvars[host]
                return plain(known[name]) if name in known else None
            except AnsibleError as exc:
                raise zone_addresses.NoValue(f"{name} of {host} has no value: {exc}") from exc

        return read

    def _lock(self, run: str, reason: str, setting: Setting) -> None:
        """Two runs at once would undo each other's changes. Raises Stop."""
        got = setting.locks.acquire([LOCK], run, reason, setting.pid)
        for holder in got.taken_over.values():
            self.warn(f"the lock of run {holder.run} was left behind by {holder.holder}; taken over")
        for holder in got.refused.values():
            why = f"run {holder.run} of {holder.holder} has been at it for {holder.age_s:.0f} s"
            raise Stop(REFUSED, [row(LOCK, why, "lock", "Wait for that run to end, then run the same command again")])


def _mind_provider(name: str) -> None:
    if name != PROVIDER:
        why = f"the zone's provider is {name}, and records are made at {PROVIDER} only"
        raise Stop(INVALID, [row("zone", why, "infra/dns.yml: provider", "Make the records there by hand")])
