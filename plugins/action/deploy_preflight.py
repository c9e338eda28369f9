# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Judge a deploy before anything is touched: what will change, and every reason not to begin, all at once."""

from __future__ import annotations

import difflib
import json
import socket
import time
import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.smartercl.smarteros.plugins.module_utils import ledger, verdicts
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import (
    deploy_plan,
    deploy_safety,
    documents,
    locks,
    releases,
    rollback_plan,
    tokens,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    REFUSED,
    UNUSABLE,
    RegistryAction,
    Setting,
    Stop,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

SANDBOX = "sandbox"
TOKEN_PATIENCE_S = 5.0


class ActionModule(RegistryAction):
    """Sets smos_visit (services to deploy, in order), smos_backup (those to back up first), smos_live, smos_before, smos_settled
    (the ledger's records) and smos_lock (how to take the lock); fails with all errors.
    """

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "look": {"type": "dict", "required": True},
        "services": {"type": "list", "elements": "str", "default": []},
        "least_disk_gb": {"type": "float", "default": 10.0},
        "least_cpus": {"type": "int", "default": 2},
        "address": {"type": "str", "default": ""},
        "named": {"type": "str", "default": ""},
        "acknowledged": {"type": "list", "elements": "str", "default": []},
        "backup": {"type": "bool"},
        "rollback": {"type": "bool", "default": False},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        look = args["look"]
        stacks = json.loads(plain(task_vars["smos_opened"]["stacks"]))
        wanted = [_wanted(each) for each in stacks.values()]
        named = args["services"]
        live = _live(look["stacks"])
        meant = [each for each in wanted if not named or each.service in named]
        visited = deploy_plan.visits(meant, live)
        if look["adopted"]:
            visited = [each for each in visited if each.service != "dokploy"]
            self.warn(
                "a Dokploy of its own installer runs on the machine: it is left as it is, and none is deployed beside it"
            )
        safety = self._safety(args, setting, task_vars, visited, live)
        wrong = [*self._wrong(args, setting, task_vars, wanted, visited, live), *self._hazards(args, safety, task_vars)]
        wrong += self._tokens(setting, task_vars, [stacks[each.service]["plan"]["tokens"] for each in visited])
        told = deploy_plan.changes(visited, live)
        foretold = {"changes": told} if setting.check_mode and not args["rollback"] else {}
        if wrong:
            known = {"previous": _previous(look), **foretold}
            raise Stop(min(code for code, _error in wrong), [error for _code, error in wrong], **known)
        result: dict[str, t.Any] = {
            "changed": bool(told) and setting.check_mode and not args["rollback"],
            "plan": told,
            "release": str(task_vars["ansible_facts"]["smos_release"]),
            "previous": _previous(look),
            "services": {each.service: _told(each, live.get(each.service)) for each in meant},
            "memory": deploy_plan.table(wanted),
            "ansible_facts": {
                "smos_live": live,
                "smos_visit": [{"service": each.service, "role": each.role} for each in visited],
                "smos_backup": safety.to_back_up(),
                "smos_lock": _holder(look["lock"], setting.pid),
                "smos_before": safety.before,
                "smos_settled": rollback_plan.settled(
                    safety.before,
                    _records(stacks, [each.service for each in meant], setting, task_vars),
                    {each.service for each in visited},
                ),
            },
        }
        result.update(foretold)
        if self._play_context.diff or self._task.diff:
            result["diff"] = _diffs(visited, stacks, look)
        return result

    def _wrong(
        self,
        args: Mapping[str, t.Any],
        setting: Setting,
        task_vars: Mapping[str, t.Any],
        wanted: Sequence[deploy_plan.Wanted],
        visited: Sequence[deploy_plan.Wanted],
        live: Mapping[str, t.Any],
    ) -> list[deploy_plan.Found]:
        look, images = args["look"], plain(task_vars["ansible_facts"]["smos_images"])
        host = documents.load(setting.root / setting.specs.index["files"]["infra"]["vps"])
        needs = {
            name: entry.get("depends_on", ())
            for name, entry in plain(task_vars["ansible_facts"]["smos_catalogue"]).items()
        }
        wrong = [
            *deploy_plan.machine(look, args["least_disk_gb"], args["least_cpus"]),
            *deploy_plan.budget(wanted, look["host"], float(host["memory_overcommit"])),
            *deploy_plan.engine_and_traefik(look, images),
            *deploy_plan.missing(args["services"], wanted, needs, live),
            *_locked(look["lock"], setting.run or str(task_vars["ansible_facts"].get("smos_run", ""))),
        ]
        if setting.environment != SANDBOX:
            components = {
                name: ref for name, ref in images.items() if any(ref in each.images.values() for each in wanted)
            }
            wrong += deploy_plan.unpinned(components)
            wrong += _unresolved([name for each in visited for name in each.hosts], args["address"], setting)
        return wrong

    def _tokens(
        self, setting: Setting, task_vars: dict[str, t.Any], given: Sequence[Mapping[str, str]]
    ) -> list[deploy_plan.Found]:
        """Tokens that a service is about to be deployed with and that its provider does not take."""
        known, asked = tokens.testable(setting.specs), []
        for provider, token in ((name, value) for each in given for name, value in each.items()):
            connection = tokens.connection_of(known[provider], task_vars, self._templar.template)
            names = tokens.names_of(known[provider], task_vars)
            asked.append(verdicts.Asked(provider, {**connection, "token": token}, names))
        said = verdicts.judge(asked, TOKEN_PATIENCE_S)
        for provider, verdict in said.items():
            if verdict.state == verdicts.UNREACHABLE:
                self.warn(f"{provider} could not be asked whether its token is valid: {verdict.message}")
        return deploy_plan.useless(said)

    @staticmethod
    def _safety(
        args: Mapping[str, t.Any],
        setting: Setting,
        task_vars: Mapping[str, t.Any],
        visited: Sequence[deploy_plan.Wanted],
        live: Mapping[str, t.Any],
    ) -> deploy_safety.Safety:
        """What a deploy must mind of the data that are there."""
        policy = setting.specs.environments.get(setting.environment, {}).get("backup_before_deploy", True)
        catalogue = plain(task_vars["ansible_facts"]["smos_catalogue"])
        return deploy_safety.Safety(
            specs=setting.specs,
            release=str(task_vars["ansible_facts"]["smos_release"]),
            entries=args["look"]["releases"],
            visited={each.service: each.images for each in visited},
            live=live,
            kept=[name for name, entry in catalogue.items() if entry.get("backup")],
            backup=args["backup"],
            policy=bool(policy),
        )

    @staticmethod
    def _hazards(
        args: Mapping[str, t.Any], safety: deploy_safety.Safety, task_vars: Mapping[str, t.Any]
    ) -> list[deploy_plan.Found]:
        """What stands against going from what runs to the release that is wanted; a rollback has a plan of its own."""
        if args["rollback"]:
            return []
        found = safety.hazards(task_vars.get("smos_backup_age_h"), args["acknowledged"])
        named = args["named"].removeprefix("v") == safety.release
        look = args["look"]
        found += rollback_plan.forbidden(
            look["releases"], safety.release, named, args["acknowledged"], look.get("restoring", "")
        )
        return [(REFUSED, error) for error in found]


def _previous(look: Mapping[str, t.Any]) -> str:
    """The release that runs; empty where none was ever deployed."""
    return str((ledger.current(look["releases"]) or {}).get("release", ""))


def _told(wanted: deploy_plan.Wanted, now: Mapping[str, t.Any] | None) -> dict[str, t.Any]:
    image = next(iter(wanted.images.values()))
    return {"state": now["state"] if now else "absent", "image": image, "changed": False, "rolled_back": False}


def _wanted(stack: Mapping[str, t.Any]) -> deploy_plan.Wanted:
    plan = stack["plan"]
    memory = {name: (pair[0], pair[1]) for name, pair in plan["memory"].items()}
    return deploy_plan.Wanted(
        plan["service"], plan["role"], stack["config"], plan["images"], memory, tuple(plan["hosts"])
    )


def _live(stacks: Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {name: dict(each) for name, each in stacks.items()}


def _holder(there: Mapping[str, t.Any] | None, pid: int) -> dict[str, t.Any]:
    """What to take the lock with: who we are, and whose lock may be taken over because its process is gone."""
    mine = locks.holder("", "deploy", pid)
    dead = there is not None and _is_dead(there)
    return {"holder": mine, "take_over": str(there["run"]) if dead and there else ""}


def _is_dead(there: Mapping[str, t.Any]) -> bool:
    return locks.Holder.from_json(json.dumps(dict(there)).encode()).is_dead()


def _locked(there: Mapping[str, t.Any] | None, run: str) -> list[deploy_plan.Found]:
    if (
        there is None
        or there.get("run") == run
        or float(there.get("expires_at") or 0) <= time.time()
        or _is_dead(there)
    ):
        return []
    age = time.time() - float(there.get("taken_at") or 0)
    why = f"run {there.get('run')} of {there.get('holder')} ({there.get('reason')}) holds the lock for {age:.0f} s"
    return [(REFUSED, row("the machine", why, "lock", "Wait for it; see `smos history`"))]


def _records(
    stacks: Mapping[str, t.Any], meant: Sequence[str], setting: Setting, task_vars: Mapping[str, t.Any]
) -> dict[str, dict[str, t.Any]]:
    """What the ledger will say of these services, but for their data."""
    release = str(task_vars["ansible_facts"]["smos_release"])
    images = plain(task_vars["ansible_facts"]["smos_images"])
    parts = releases.by_service(releases.load(setting.specs, release), images)
    return {
        name: {
            "config": stacks[name]["config"],
            "images": stacks[name]["plan"]["images"],
            "secrets": sorted(stacks[name]["secrets"]),
            "configs": sorted(stacks[name]["configs"]),
            "release": release,
            "components": parts.get(name, {}),
        }
        for name in meant
    }


def _unresolved(hosts: Sequence[str], address: str, setting: Setting) -> list[deploy_plan.Found]:
    """Names that do not lead here. Where Cloudflare stands in front, a name leads to Cloudflare: then it need only lead somewhere."""
    zone = setting.specs.zone
    proxied = {f"{each['name']}.{zone}" for each in setting.specs.dns["records"] if each.get("proxied")}
    found = []
    for name in dict.fromkeys(hosts):
        try:
            addresses = {str(each[4][0]) for each in socket.getaddrinfo(name, 443, type=socket.SOCK_STREAM)}
        except OSError:
            why = "the name does not resolve"
            found.append(
                row(name, why, "DNS", f"Make the record: A {name} {address} (`smos deploy all` does), and wait for it")
            )
            continue
        if name not in proxied and address and address not in addresses:
            why = f"the name leads to {', '.join(sorted(addresses))}, and this machine is {address}"
            found.append(row(name, why, "DNS", f"Correct the record: A {name} {address}"))
    return [(UNUSABLE, each) for each in found]


def _diffs(
    visited: Sequence[deploy_plan.Wanted], stacks: Mapping[str, t.Any], look: Mapping[str, t.Any]
) -> list[dict[str, str]]:
    """Stack files and configs as they are and as they will be; both hold no secret, only names with its hash."""
    diffs = []
    for each in visited:
        old, new = look["files"].get(each.service, ""), _shown(json.loads(stacks[each.service]["compose"]))
        before = _shown(json.loads(old)) if old else ""
        parts = [_difference(f"{each.service}/stack.yml", before, new)]
        named = {name.rpartition("_")[0]: text for name, text in look["configs"].items()}
        for name, text in stacks[each.service]["configs"].items():
            parts.append(_difference(name.rpartition("_")[0], named.get(name.rpartition("_")[0], ""), text))
        diffs += [{"prepared": part} for part in parts if part]
    return diffs


def _shown(document: Mapping[str, t.Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _difference(name: str, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(True), after.splitlines(True), f"before: {name}", f"after: {name}", n=2
    )
    return "".join(lines)
