# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Plan a rollback before anything is touched: what goes back, which data that needs, and every reason not to begin."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import deploy_safety, releases, rollback_plan
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import REFUSED, RegistryAction, Setting, Stop
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

SERVER = "postgresql_postgresql"  # unless a service says otherwise


class ActionModule(RegistryAction):
    """Sets smos_visit, smos_settled, smos_backup, smos_restore and smos_restored anew; fails where the rollback is refused."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "look": {"type": "dict", "required": True},
        "changes": {"type": "list", "elements": "dict", "default": []},
        "backups": {"type": "list", "elements": "dict", "default": []},
        "with_data": {"type": "bool", "default": False},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        facts, now = plain(task_vars["ansible_facts"]), time.time()
        opened, roles = facts["smos_rollback"], {name: each["role"] for name, each in facts["smos_catalogue"].items()}
        order = [each["service"] for each in facts["smos_visit"]]
        data = _data(args, setting, facts, order)
        half = args["look"].get("restoring", "")
        made = rollback_plan.plan(opened["release"], opened["previous"], order, data, args["with_data"], now, half)
        told = {**rollback_plan.told(made, now), "backup": opened["backup"] or None}
        if made.refused:
            raise Stop(REFUSED, made.refused, plan=told)
        restored = [name for group in made.restore for name in group["services"]]
        kept = [name for name, entry in facts["smos_catalogue"].items() if entry.get("backup")]
        changes = rollback_plan.rows(made, args["changes"], now)
        return {
            "changed": bool(changes) and setting.check_mode,
            "plan": told,
            **({"changes": changes} if setting.check_mode else {}),
            "ansible_facts": {
                "smos_visit": [{"service": name, "role": roles[name]} for name in made.visited],
                "smos_settled": rollback_plan.settled(
                    facts["smos_before"], _wanted(facts, opened["release"]), set(made.visited), restored
                ),
                "smos_backup": []
                if opened["backup"]
                else [name for name in made.visited if name in kept and name in facts["smos_live"]],
                "smos_restore": list(made.restore),
                "smos_restored": restored,
                "smos_servers": sorted({SERVER, *_servers(facts["smos_catalogue"])}),
            },
        }


def _data(
    args: Mapping[str, t.Any], setting: Setting, facts: Mapping[str, t.Any], order: Sequence[str]
) -> list[rollback_plan.Data]:
    """Which services' data lie on the other side of a migration, and the backups that would take them back."""
    entries = args["look"]["releases"]
    safety = deploy_safety.Safety(setting.specs, facts["smos_release"], entries, {}, {}, ())

    def crossed(data: Mapping[str, str], wanted: Mapping[str, str]) -> list[releases.Crossing]:
        return releases.crossed(data, wanted, setting.specs)

    def find(service: str, wanted: Mapping[str, str]) -> list[str]:
        return rollback_plan.fitting(entries, args["backups"], service, wanted, crossed, safety.versions)

    return rollback_plan.data_of(facts["smos_before"], _wanted(facts, facts["smos_release"]), order, find, crossed)


def _servers(catalogue: Mapping[str, t.Any]) -> list[str]:
    """Swarm services that hold databases, and take part in a restore."""
    return [str(entry["backup"]["server"]) for entry in catalogue.values() if (entry.get("backup") or {}).get("server")]


def _wanted(facts: Mapping[str, t.Any], release: str) -> dict[str, dict[str, t.Any]]:
    """The records of the services as the release has them."""
    return {name: dict(each) for name, each in facts["smos_settled"].items() if each.get("release") == release}
