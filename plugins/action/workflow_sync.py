# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Bring n8n's workflows into the specs, or the specs' into n8n; what both sides have changed is told and left alone."""

from __future__ import annotations

import os
import secrets
import typing as t
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.smartercl.smarteros.plugins.filter import n8n as items
from ansible_collections.smartercl.smarteros.plugins.module_utils import tokens, transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import n8n as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError, row
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import n8n_templates
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import (
    inventory_cache,
    vault,
    workflow_sync_copies,
    workflow_sync_files,
    workflow_sync_form,
    workflow_sync_git,
    workflow_sync_plan,
    workflow_sync_push,
    workflow_sync_secrets,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    FAILED,
    INVALID,
    REFUSED,
    UNUSABLE,
    RegistryAction,
    Setting,
    Stop,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.workflow_sync_plan import Pair

LOCK = "workflows"
Row = dict[str, t.Any]


@dataclass
class _Sight:
    """What one look at n8n showed."""

    own: list[workflow_sync_form.Shown]
    copies: Mapping[str, Sequence[api.Workflow]]
    every: Sequence[api.Workflow]

    @property
    def ids(self) -> dict[str, str]:
        """Ids by name, of the names that only one workflow has."""
        return {name: ident for ident, name in names_of(self.every).items()}


class ActionModule(RegistryAction):
    """Reads both sides, compares them with what was in step the last time, and closes what only one side has changed."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "push": {"type": "bool", "default": False},
        "resolve": {"type": "dict", "default": {}},
        "commit": {"type": "bool", "default": True},
        "templates": {"type": "list", "elements": "str", "default": []},
        "odoo_url": {"type": "str", "default": ""},
        "chatwoot_url": {"type": "str", "default": ""},
        "timeout": {"type": "float", "default": 30.0},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        self._args, self._place = args, setting
        run = setting.run or f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        if setting.check_mode:
            return self._compare(task_vars)
        self._lock(run)
        try:
            return self._compare(task_vars)
        finally:
            setting.locks.release(run, [LOCK])

    def _lock(self, run: str) -> None:
        """Two runs that push the same new file would make two workflows. Raises Stop."""
        got = self._place.locks.acquire([LOCK], run, "sync workflows", self._place.pid)
        for holder in got.taken_over.values():
            self.warn(f"the lock of run {holder.run} was left behind by {holder.holder}; taken over")
        for holder in got.refused.values():
            why = f"run {holder.run} of {holder.holder} has been at it for {holder.age_s:.0f} s"
            following = "Wait for that run to end, then run the same command again"
            raise Stop(REFUSED, [row("workflows", why, "lock", following)])

    def _compare(self, task_vars: dict[str, t.Any]) -> Row:
        """Look at both sides, and close what differs."""
        args, setting = self._args, self._place
        self._folder = workflow_sync_files.Folder(setting.root)
        sides = _sides(args["resolve"])
        files, states = self._folder.read(), self._folder.read_states()
        connection = self._account(task_vars)
        self._known = self._secret_values(task_vars, connection)
        self._templates = self._read_templates()
        client = api.connect(connection, transport.Policy(read=args["timeout"], attempts=3))
        sight = self._look(client)
        pairs = workflow_sync_plan.compare(files, sight.own, states.get(setting.environment, {}), sides)
        _mind_sides(sides, pairs, self._folder)
        return self._close(client, sight, pairs, states, sides)

    def _close(
        self,
        client: api.N8n,
        sight: _Sight,
        pairs: Sequence[Pair],
        states: dict[str, workflow_sync_plan.Known],
        sides: Mapping[str, str],
    ) -> Row:
        """Do what there is to do, and tell all of it."""
        push = bool(self._args["push"])
        where = {pair.stem: self._folder.shown(self._folder.file(pair.stem)) for pair in pairs}
        todo = [pair for pair in pairs if _is_due(pair, push)]
        problems = [_conflict(pair, where[pair.stem]) for pair in pairs if pair.state == workflow_sync_plan.CONFLICT]
        if push:
            refused = workflow_sync_push.refusals(todo, where, self._known)
            todo = [pair for pair in todo if pair.stem not in refused]
            problems += refused.values()
        result = self._told(pairs, todo, sight, push)
        result["diff"] = {"prepared": workflow_sync_files.diffs(todo, self._folder, push)}
        if self._place.check_mode:
            done = {pair.stem: _step(pair) for pair in todo if pair.remote is not None and not push}
        elif push:
            done = self._push(client, sight, todo, problems)
            rows = workflow_sync_files.changes([pair for pair in todo if pair.stem in done], self._folder, push)
            result.update(changed=bool(rows), changes=rows)
        else:
            done = self._write(todo)
        known = workflow_sync_plan.known_after(pairs, done, sides)
        self._settle({**states, self._place.environment: known}, pairs, todo, result, problems)
        if problems:
            raise Stop(FAILED, problems, **result)
        return result

    def _told(self, pairs: Sequence[Pair], todo: Sequence[Pair], sight: _Sight, push: bool) -> Row:
        """The result as far as it is known before anything is done."""
        by_state = {state: [pair.stem for pair in pairs if pair.state == state] for state in {p.state for p in pairs}}
        masked = [
            {"file": self._folder.shown(self._folder.file(pair.stem)), "workflow": pair.name, "where": place}
            for pair in pairs
            if pair.remote is not None
            for place in pair.remote.hidden
        ]
        deviating = workflow_sync_copies.deviations(self._items(), sight.every, sight.copies, self._templates)
        for each in masked:
            self.warn(f"{each['workflow']}: {each['where']} looks like a secret and is masked in {each['file']}")
        for each in deviating:
            differs = ", ".join(each["differs"])
            self.warn(f"{each['workflow']} is not as the template {each['template']} says: {differs}")
        rows = workflow_sync_files.changes(todo, self._folder, push)
        return {
            "changed": bool(rows),
            "changes": rows,
            "files": sorted(
                self._folder.shown(self._folder.file(pair.stem)) for pair in pairs if pair.file or pair in todo
            ),
            "due": [pair.stem for pair in todo],
            "states": {state.replace(" ", "_"): stems for state, stems in sorted(by_state.items())},
            "copies": workflow_sync_copies.counted(sight.copies),
            "deviations": deviating,
            "masked": masked,
            "commit": "",
            "message": "",
        }

    def _write(self, todo: Sequence[Pair]) -> dict[str, workflow_sync_plan.Step]:
        """What n8n has into files."""
        done = {}
        for pair in todo:
            if pair.remote is not None:
                text = workflow_sync_form.text_of(pair.remote.document)
                self._folder.write(self._folder.file(pair.stem), text)
                done[pair.stem] = _step(pair)
        return done

    def _push(
        self, client: api.N8n, sight: _Sight, todo: Sequence[Pair], problems: list[dict[str, str]]
    ) -> dict[str, workflow_sync_plan.Step]:
        """Files into n8n. What n8n made of one goes back into the file, so that both are the same afterwards."""
        pushed = workflow_sync_push.push(client, todo, sight.ids, self._known)
        problems += pushed.errors
        if not pushed.ids:
            return {}
        after = {each.workflow.id: each for each in self._look(client).own}
        done = {}
        for pair in todo:
            found = after.get(pushed.ids.get(pair.stem, ""))
            if found is None:
                continue
            done[pair.stem] = workflow_sync_plan.Step(found.workflow.id, found.sum)
            if pair.stem in pushed.whole and pair.file and workflow_sync_form.sum_of(pair.file) != found.sum:
                self._folder.write(self._folder.file(pair.stem), workflow_sync_form.text_of(found.document))
        return done

    def _settle(
        self,
        states: dict[str, workflow_sync_plan.Known],
        pairs: Sequence[Pair],
        todo: Sequence[Pair],
        result: Row,
        problems: list[dict[str, str]],
    ) -> None:
        """Write down what is in step, and commit it with the files that are."""
        path = self._folder.state_path
        text = workflow_sync_plan.state_text(states)
        before = path.read_text(encoding="utf-8") if path.is_file() else workflow_sync_plan.state_text({})
        if text != before:
            if not self._place.check_mode:
                self._folder.write(path, text)
            if not result["changes"]:
                result["changes"].append(_small_change("update", self._folder.shown(path)))
            result["changed"] = True
        if not self._args["commit"]:
            return
        known = states[self._place.environment]
        done = {pair.stem for pair in todo}
        settled = [p.stem for p in pairs if p.stem in known and (p.stem in done or p.state == workflow_sync_plan.SAME)]
        paths = [each for each in (path, *map(self._folder.file, settled)) if each.is_file()]
        try:
            self._commit(paths, todo, result)
        except workflow_sync_git.GitError as exc:
            following = (
                "Repair that, then run the same command again: the files are written, only the commit is missing"
            )
            problems.append(row("commit", str(exc), self._folder.shown(self._folder.path), following))

    def _commit(self, paths: Sequence[Path], todo: Sequence[Pair], result: Row) -> None:
        if not paths:
            return
        git = workflow_sync_git.find(self._place.root)
        if git is None:
            self.warn(f"{self._place.root} is in no git checkout: the files are written, and nothing is committed")
            return
        dirty = [each.path for each in git.changes(*paths)]
        if not dirty and not (self._place.check_mode and result["changes"]):
            return
        result["message"] = workflow_sync_files.message(todo, bool(self._args["push"]), self._place.environment)
        if not result["changes"]:
            result["changes"].append(_small_change("create", "commit of what is in step with n8n"))
            result["changed"] = True
        if self._place.check_mode:
            return
        under_way = git.under_way() or ("" if git.branch else "a detached HEAD")
        if under_way:
            self.warn(f"the checkout has {under_way}: the files are written, and nothing is committed")
            return
        result["commit"] = git.commit(result["message"], [git.top / each for each in dirty])

    def _look(self, client: api.N8n) -> _Sight:
        try:
            every = client.workflows()
        except ApiError as exc:
            raise Stop(UNUSABLE, [exc.as_dict("n8n")]) from None
        own, copies = workflow_sync_copies.split(every, self._templates)
        names = names_of(every)
        return _Sight([workflow_sync_form.shown(each, names, self._known) for each in own], copies, every)

    def _account(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        if transport.REQUESTS_IMPORT_ERROR is not None:
            why = missing_required_lib("requests")
            raise Stop(UNUSABLE, [row("this machine", why, "", "Repair that, then run the same command again")])
        connection = self.connection_of("n8n", self._place, task_vars)
        if tokens.unconfigured(connection) or not connection.get("url"):
            following = "Set N8N_URL and N8N_API_KEY; see docs/tokens.md"
            raise Stop(UNUSABLE, [row("n8n", "its address or its key is not set", "", following)])
        return connection

    def _secret_values(
        self, task_vars: dict[str, t.Any], connection: Mapping[str, t.Any]
    ) -> workflow_sync_secrets.Known:
        """What must not get into a file: the environment's secrets, and the vault's where there is one."""
        values = workflow_sync_secrets.secret_named(dict(os.environ))
        values["n8n_api_key"] = str(connection.get("api_key") or "")
        named = str(self._templar.template(task_vars.get("smos_vault_file", "")) or "")
        if named and Path(named).is_file():
            content = vault.opened(task_vars, self._loader, self._templar.template, named).read()
            values.update(content.values)
            values.update({f"the former {name}": value for name, value in content.previous.items()})
        return workflow_sync_secrets.Known(values)

    def _read_templates(self) -> dict[str, n8n_templates.Template]:
        folder = self._place.root / workflow_sync_files.TEMPLATES
        names = self._args["templates"] or [path.stem for path in folder.glob("*.json")]
        try:
            return n8n_templates.load(str(folder), names)
        except ApiError as exc:
            raise Stop(INVALID, [exc.as_dict("workflow template")]) from None

    def _items(self) -> list[Row]:
        """The tenants of this environment in the form of the module `n8n_workflows`."""
        entries = inventory_cache.load_all(self._place.root, self._place.environment)
        tenants = [each.merged for each in entries if each.lives_here and each.row.valid]
        return items.workflows(tenants, list(self._templates), self._args["odoo_url"], self._args["chatwoot_url"])


def names_of(workflows: Sequence[api.Workflow]) -> dict[str, str]:
    """Names by id, of the names that only one workflow has."""
    count = Counter(each.name for each in workflows if not each.archived)
    return {each.id: each.name for each in workflows if not each.archived and count[each.name] == 1}


def _sides(resolve: Mapping[str, t.Any]) -> dict[str, str]:
    wrong = [name for name, side in resolve.items() if side not in workflow_sync_plan.SIDES]
    if wrong:
        following = "Give NAME=n8n (what n8n has counts) or NAME=file (the file counts)"
        raise Stop(INVALID, [row(f"resolve {name}", "that is no side", "", following) for name in wrong])
    return {str(name): str(side) for name, side in resolve.items()}


def _mind_sides(sides: Mapping[str, str], pairs: Sequence[Pair], folder: workflow_sync_files.Folder) -> None:
    unknown = sorted(set(sides) - {pair.stem for pair in pairs})
    if unknown:
        where, following = folder.shown(folder.path), "Give the name of a file without its ending"
        raise Stop(INVALID, [row(f"resolve {name}", "there is no such workflow", where, following) for name in unknown])


def _is_due(pair: Pair, push: bool) -> bool:
    if push:
        return pair.file is not None and pair.state in (workflow_sync_plan.FILE_AHEAD, workflow_sync_plan.N8N_GONE)
    return pair.remote is not None and pair.state == workflow_sync_plan.N8N_AHEAD


def _conflict(pair: Pair, where: str) -> dict[str, str]:
    following = (
        f"Decide: `smos sync workflows --resolve {pair.stem}=n8n` takes what n8n has, "
        f"`smos sync workflows --push --resolve {pair.stem}=file` what the file has"
    )
    if pair.remote is None:
        following = "Rename one of them in n8n, or delete one there"
    return row(f"workflow {pair.name}", pair.why, where, following)


def _step(pair: Pair) -> workflow_sync_plan.Step:
    remote = t.cast(workflow_sync_form.Shown, pair.remote)
    return workflow_sync_plan.Step(remote.workflow.id, remote.sum)


def _small_change(action: str, what: str) -> Row:
    return {"service": "n8n", "tenant": None, "action": action, "what": what, "before": None, "after": None}
