# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A machine's firewall and its snapshot: what is wished against what Hostinger has, and how the difference is closed."""

from __future__ import annotations

import datetime
import typing as t
from collections import Counter
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Change
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.hostinger import (
    ANY,
    Firewall,
    Hostinger,
    Machine,
    Rule,
    Snapshot,
    normal_rule,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.single import Outcome
from ansible_collections.smartercl.smarteros.plugins.module_utils.waiting import Patience

# --- firewall ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FirewallTodo:
    """What brings a firewall and its machine to the wish. ``stale``: machines that do not have its rules yet."""

    name: str
    rules: tuple[Rule, ...]
    machine: Machine | None
    create: bool = False
    replace: bool = False
    activate: bool = False
    stale: tuple[Machine, ...] = ()
    changes: tuple[Change, ...] = ()


def wished_rules(items: t.Iterable[t.Mapping[str, t.Any]]) -> tuple[Rule, ...]:
    """The rules of a module's items in one spelling and order, each once. Raises ApiError for one that is none."""
    rules = {rule.key: rule for rule in (normal_rule(i["protocol"], str(i["port"]), i["source"]) for i in items)}
    # What lets us in comes first, should a provider ever apply them one by one
    return tuple(sorted(rules.values(), key=lambda rule: (not lets_in(rule, 22), rule.key)))


def lets_in(rule: Rule, port: int) -> bool:
    """Whether a rule opens this TCP port, for whomever."""
    if rule.action != "accept" or rule.protocol not in ("TCP", ANY):
        return False
    first, _colon, last = rule.port.partition(":")
    return rule.port == ANY or int(first) <= port <= int(last or first)


def plan_firewall(
    name: str,
    rules: t.Sequence[Rule],
    machine: Machine | None,
    firewalls: t.Sequence[Firewall],
    machines: t.Sequence[Machine],
) -> FirewallTodo:
    """Compare; pure. ``machine`` None: only the firewall itself. Raises ApiError where the name is there twice."""
    named = [each for each in firewalls if each.name == name]
    if len(named) > 1:
        raise ApiError(f"there are {len(named)} firewalls named {name}: rename or delete one by hand", errors.CONFLICT)
    there = named[0] if named else None
    differing = _rule_changes(name, rules, there.rules if there else ())
    users = [each for each in machines if there and each.firewall == there.id]
    activate = machine is not None and (there is None or machine.firewall != there.id)
    changes = [] if there else [Change("create", f"firewall {name}", None, {"name": name})]
    changes += differing
    if machine is not None and activate:
        other = next((each.name for each in firewalls if each.id == machine.firewall), None)
        before = {"firewall": other or machine.firewall}
        changes.append(Change("update", f"firewall of machine {machine.hostname}", before, {"firewall": name}))
    unsynced = there is not None and not there.synced and not differing and bool(users)
    if unsynced:
        changes.append(Change("update", f"rules of {name} on its machines", {"synced": False}, {"synced": True}))
    stale = tuple(users) if differing or unsynced else ()
    return FirewallTodo(name, tuple(rules), machine, there is None, bool(differing), activate, stale, tuple(changes))


def apply_firewall(client: Hostinger, todo: FirewallTodo, patience: Patience, outcome: Outcome) -> None:
    """Carry it out and wait for every real end; may be called again after having died anywhere.

    All rules are there before the firewall becomes active: it drops whatever it does not let in.
    """
    firewall = client.create_firewall(todo.name) if todo.create else client.firewall(todo.name)
    if firewall is None:
        raise ApiError(f"firewall {todo.name} is gone", errors.MISSING)
    if todo.replace:
        client.replace_rules(firewall, todo.rules)
        firewall = _with_rules(client, todo)
    outcome.done = sum(change.what.startswith(("firewall " + todo.name, "rule ")) for change in todo.changes)
    if todo.machine is not None and todo.activate:
        machine = client.unlocked(todo.machine, patience)
        client.carried_out(machine, client.activate(firewall, machine), patience)
        outcome.done += 1
    machines = {machine.id: machine for machine in todo.stale}
    if todo.machine is not None and (todo.activate or todo.replace):
        machines[todo.machine.id] = todo.machine
    for each in machines.values():
        machine = client.unlocked(each, patience)
        client.carried_out(machine, client.sync(firewall, machine), patience)
    _proven(client, todo)
    outcome.done = len(todo.changes)


def _rule_changes(name: str, rules: t.Sequence[Rule], actual: t.Sequence[Rule]) -> list[Change]:
    """The rules to add and to remove; a rule that is there twice is removed once."""
    have, want = Counter(rule.key for rule in actual), {rule.key: rule for rule in rules}
    changes = [Change("create", f"rule {key} in {name}", None, _shown(want[key])) for key in want if key not in have]
    known = {rule.key: rule for rule in actual}
    for key, count in sorted(have.items()):
        if key not in want or count > 1:
            changes.append(Change("delete", f"rule {key} in {name}", _shown(known[key]), None))
    return changes


def _shown(rule: Rule) -> dict[str, str]:
    return {"protocol": rule.protocol, "port": rule.port, "source": rule.source, "action": rule.action}


def _with_rules(client: Hostinger, todo: FirewallTodo) -> Firewall:
    """The firewall as it is now; raises ApiError unless it has exactly the wished rules: never activate another one."""
    firewall = client.firewall(todo.name)
    if firewall is None or _rule_changes(todo.name, todo.rules, firewall.rules):
        raise ApiError(f"firewall {todo.name} does not have the rules that were sent", errors.SERVER)
    return firewall


def _proven(client: Hostinger, todo: FirewallTodo) -> None:
    """The end as a reader sees it: active, and no machine without its rules."""
    firewall = _with_rules(client, todo)
    if todo.machine is None:
        return
    now = client.machine(str(todo.machine.id))
    if now.firewall != firewall.id:
        raise ApiError(f"machine {now.hostname} does not have {todo.name} as its active firewall", errors.SERVER)
    if not firewall.synced:
        raise ApiError(f"machine {now.hostname} still does not have the present rules of {todo.name}", errors.SERVER)


# --- snapshot ------------------------------------------------------------------------------------------------------------


@dataclass
class SnapshotTodo:
    """What brings a machine's snapshot to the wish."""

    machine: Machine
    before: Snapshot | None
    create: bool = False
    delete: bool = False
    changes: list[Change] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def plan_snapshot(
    machine: Machine, there: Snapshot | None, state: str, max_age_min: int, replace: bool, now: datetime.datetime
) -> SnapshotTodo:
    """Compare; pure. A snapshot not older than ``max_age_min`` minutes will do.

    Raises ApiError ``conflict`` where only a replacement would do and that is not allowed: a machine has one snapshot.
    """
    todo = SnapshotTodo(machine, there)
    what = f"snapshot of machine {machine.hostname}"
    if state == "absent":
        if there is not None:
            todo.delete = True
            todo.changes.append(Change("delete", what, {"created_at": there.created_at}, None))
        return todo
    if there is None:
        todo.create = True
        todo.changes.append(Change("create", what, None, {"kept": "the newest only"}))
    elif _age_min(there, now) > max_age_min:
        if not replace:
            why = f"the snapshot of {there.created_at or 'an unknown time'} would be replaced: a machine has only one"
            raise ApiError(f"{why}. Allow it with `replace: true`", errors.CONFLICT)
        todo.create = True
        before = {"created_at": there.created_at}
        todo.changes.append(Change("update", what, before, {"replaces": there.created_at, "kept": "the newest only"}))
        todo.warnings.append(
            f"{what}: the new one replaces that of {there.created_at or 'an unknown time'}; a machine has only one"
        )
    return todo


def apply_snapshot(client: Hostinger, todo: SnapshotTodo, patience: Patience, outcome: Outcome) -> Snapshot | None:
    """Make or delete it, wait for the real end, and give what is there then."""
    if todo.delete:
        client.carried_out(todo.machine, client.delete_snapshot(todo.machine), patience)
    if todo.create:
        _create(client, todo, patience)
    there = client.snapshot(todo.machine)
    if todo.create and (there is None or there == todo.before):
        raise ApiError(
            f"machine {todo.machine.hostname} has no new snapshot although the action succeeded", errors.SERVER
        )
    if todo.delete and there is not None:
        raise ApiError(f"machine {todo.machine.hostname} still has its snapshot", errors.SERVER)
    outcome.done = len(todo.changes)
    return there


def _create(client: Hostinger, todo: SnapshotTodo, patience: Patience) -> None:
    """Make it; where the answer is lost, see whether it was begun before asking for it a second time."""
    for last in (False, True):
        try:
            client.carried_out(todo.machine, client.create_snapshot(todo.machine), patience)
            return
        except ApiError as exc:
            if exc.kind != errors.UNANSWERED or last:
                raise
        client.unlocked(todo.machine, patience)  # busy with it, if it was begun
        if client.snapshot(todo.machine) not in (None, todo.before):
            return


def _age_min(snapshot: Snapshot, now: datetime.datetime) -> float:
    """Minutes since it was made; endless when that cannot be told."""
    try:
        made = datetime.datetime.fromisoformat(snapshot.created_at.replace("Z", "+00:00"))
    except ValueError:
        return float("inf")
    if made.tzinfo is None:
        made = made.replace(tzinfo=datetime.timezone.utc)
    return (now - made).total_seconds() / 60
