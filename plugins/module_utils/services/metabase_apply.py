# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Carries out what ``metabase`` planned, in an order that never leaves a tenant's things open to others.

A new connection takes from each group the least that the group may do with any other, a new group may write queries for
none of the connections that are there, and a new collection is open to whom the top one is open to. So: everybody is
locked out of the top collection, the very first connection is closed to all before there is a second, groups come after
connections, and access is given at the end, for all tenants of the call in one write.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass
from functools import partial

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, errors, owner
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.metabase import (
    CLOSED,
    NONE,
    READ,
    ROOT,
    DataGraph,
    Metabase,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.reconcile import run_all
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import metabase as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import metabase_dashboards as content
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.metabase import (
    ABSENT,
    PRESENT,
    Observed,
    Reader,
    Task,
)


@dataclass
class _Done:
    """The ids of a tenant's part, as they come to be; 0 is not there."""

    collection: int = 0
    group: int = 0
    database: int = 0
    error: ApiError | None = None
    started: bool = False


def _found(task: Task) -> _Done:
    collection, group, database = (each.id if each else 0 for each in (task.collection, task.group, task.database))
    return _Done(collection, group, database)


class Run:
    """One call of the module, for all its tenants."""

    def __init__(
        self,
        client: Metabase,
        tasks: t.Mapping[str, Task],
        seen: Observed,
        specs: t.Sequence[content.DashboardSpec],
        reader: Reader | None,
        concurrency: int,
    ) -> None:
        self._client, self._tasks, self._seen = client, tasks, seen
        self._specs, self._reader, self._concurrency = specs, reader, concurrency
        self._done = {rut: _found(task) for rut, task in tasks.items()}

    def carry_out(self) -> list[bulk.Result]:
        """Do what the plan says; each tenant's result says what was done, also when it stopped midway."""
        todo = {rut: task for rut, task in self._tasks.items() if task.changes and task.error is None}
        leaving = {rut: task for rut, task in todo.items() if task.wish.state == ABSENT}
        staying = {rut: task for rut, task in todo.items() if rut not in leaving}
        self._lock_the_top(staying)
        self._connections({rut: task for rut, task in staying.items() if task.connect})
        self._each({r: k for r, k in staying.items() if k.wish.state == PRESENT}, self._group_and_collection)
        self._give_access(staying)
        self._close_queries(staying)
        self._fill(staying)
        self._each(leaving, self._remove)
        return [self._result(task) for task in self._tasks.values()]

    # --- steps

    def _lock_the_top(self, tasks: t.Mapping[str, Task]) -> None:
        everybody = self._seen.everybody if tasks else 0
        if not tasks or self._seen.access.get(everybody, {}).get(ROOT, NONE) == NONE:
            return
        if not any(task.wish.state == PRESENT for task in tasks.values()):
            return
        self._all(tasks, lambda: self._client.change_access(self._seen.revision, {everybody: {ROOT: NONE}}))

    def _connections(self, tasks: t.Mapping[str, Task]) -> None:
        new = [rut for rut, task in tasks.items() if task.database is None and self._done[rut].error is None]
        if new and not any(owner.holder_of(each.name) for each in self._seen.databases):
            first = {new[0]: tasks[new[0]]}
            self._each(first, self._connect)
            self._all(first, lambda: self._close_first(self._done[new[0]].database))
            tasks = {rut: task for rut, task in tasks.items() if rut not in first}
        self._each(tasks, self._connect)

    def _close_first(self, database: int) -> None:
        if not database:
            return
        ours = [group.id for group in self._seen.groups if owner.holder_of(group.name)]
        revision = self._client.queries(self._seen.everybody).revision
        self._client.close_queries(revision, {group: [database] for group in (self._seen.everybody, *ours)})

    def _connect(self, task: Task, done: _Done) -> None:
        wish, reader = task.wish, t.cast(Reader, self._reader)
        password = reader.password(wish.tenant)
        self._client.http.hide(password)
        details = {**reader.details(wish), "password": password}
        note = {"caveats": reader.note(wish.tenant)}
        if done.database:
            self._client.change_database(done.database, {"name": wish.marked, "details": details, **note})
            return
        done.database = self._client.create_database(wish.marked, details, wish.tenant)
        done.started = True
        self._client.change_database(done.database, note)  # Metabase takes no caveats when a connection is made

    def _group_and_collection(self, task: Task, done: _Done) -> None:
        wish = task.wish
        if not done.group:
            done.group = self._client.create_group(wish.marked)
        elif task.group is not None and task.group.name != wish.marked:
            self._client.rename_group(done.group, wish.marked)
        done.started = True
        if not done.collection:
            done.collection = self._client.create_collection(wish.collection, owner.mark(wish.tenant), wish.tenant)
        elif task.collection is not None and (task.trashed or task.collection.name != wish.collection):
            self._client.change_collection(done.collection, archived=False, name=wish.collection)

    def _give_access(self, tasks: t.Mapping[str, Task]) -> None:
        """All that changes in the collection graph, in one write."""
        graph: dict[int, dict[str, str]] = {}
        concerned = {}
        for rut, task in tasks.items():
            done = self._done[rut]
            if done.error is not None:
                continue
            levels = {group: dict(places) for group, places in task.levels.items()}
            fresh = task.collection is None or task.trashed or task.group is None
            if task.wish.state == PRESENT and fresh:
                for place in task.tree or {done.collection}:
                    levels.setdefault(self._seen.everybody, {})[str(place)] = NONE
                    levels.setdefault(done.group, {})[str(place)] = READ
            for group, places in levels.items():
                graph.setdefault(group, {}).update(places)
                concerned[rut] = task
        if graph:
            # Our own lock of the top collection has moved the revision: the client reads it again when it is refused
            self._all(concerned, lambda: self._client.change_access(self._seen.revision, graph))

    def _close_queries(self, tasks: t.Mapping[str, Task]) -> None:
        """Nobody writes queries for tenants' connections; new ones are looked at, since releases differ."""
        made = {
            rut: self._done[rut].database
            for rut, task in tasks.items()
            if task.database is None and self._done[rut].database
        }
        opened = {
            rut: task
            for rut, task in tasks.items()
            if task.databases_open or (task.database and self._open_to_all(self._seen.queries, task.database.id))
        }
        if not made and not opened:
            return
        concerned = {rut: task for rut, task in tasks.items() if rut in made or rut in opened}
        self._all(concerned, lambda: self._close(made, opened))

    def _close(self, made: t.Mapping[str, int], opened: t.Mapping[str, Task]) -> None:
        everybody = self._seen.everybody
        graph = self._client.queries(everybody)
        numbers = {*made.values(), *(task.database.id for task in opened.values() if task.database is not None)}
        closing: dict[int, list[int]] = {}
        to_all = sorted(number for number in numbers if self._open_to_all(graph, number))
        if to_all:
            closing[everybody] = to_all
        for task in opened.values():
            if task.group is not None and task.databases_open:
                closing[task.group.id] = list(task.databases_open)
        if closing:
            self._client.close_queries(graph.revision, closing)

    @staticmethod
    def _open_to_all(graph: DataGraph, database: int) -> bool:
        return bool(graph.queries.get(database, CLOSED) != CLOSED)

    def _fill(self, tasks: t.Mapping[str, Task]) -> None:
        """Questions and dashboards. What came back from the trash with its collection is looked at only now."""
        back = {rut: task for rut, task in tasks.items() if task.trashed and self._done[rut].error is None}
        plans = {rut: task.dashboards for rut, task in tasks.items() if rut not in back}
        if back and self._reader is not None:
            numbers = {self._done[rut].collection for rut in back}
            found: dict[int, content.Content] = {}
            self._all(back, lambda: found.update(service.content_of(self._client, numbers)))
            for rut, task in back.items():
                done = self._done[rut]
                has = found.get(done.collection, content.Content())
                plans[rut] = content.plan(self._specs, rut, task.wish.collection, done.database, has)
        wanted = {rut: tasks[rut] for rut, each in plans.items() if each.changes}
        self._each(wanted, lambda task, done: self._dashboards(task, done, plans[task.wish.tenant]))

    def _dashboards(self, task: Task, done: _Done, plan: content.Plan) -> None:
        if plan.in_the_way:
            raise ApiError(plan.in_the_way, errors.CONFLICT)
        for work in plan.works:
            self._dashboard(task.wish.tenant, done, work)
        for dashboard in plan.spare_dashboards:
            self._client.archive_dashboard(dashboard.id)
        for card in plan.spare_cards:
            self._client.archive_card(card.id)

    def _dashboard(self, tenant: str, done: _Done, work: content.Work) -> None:
        """First its questions, then the dashboard; the fingerprint comes last, with the layout."""
        ids = dict(work.cards)
        for card in work.spec.cards:
            if card.name not in work.rewrite:
                continue
            body = content.card_body(card, tenant, done.collection, done.database)
            if ids[card.name]:
                self._client.change_card(ids[card.name], body)
            else:
                ids[card.name] = self._client.create_card(body)
            done.started = True
        number = work.found.id if work.found else 0
        if not number:
            body = {"name": work.spec.name, "description": content.unfinished(work.spec, tenant)}
            number = self._client.create_dashboard({**body, "collection_id": done.collection})
        values = {"name": work.spec.name, "description": content.description_of(work.spec, tenant)}
        self._client.change_dashboard(number, values, content.places_of(work.spec, ids))

    def _remove(self, _task: Task, done: _Done) -> None:
        """Access goes first, then what is in the collection, the collection itself, and the connection."""
        if done.group:
            self._client.delete_group(done.group)
            done.started = True
        for dashboard in self._seen.content.get(done.collection, content.Content()).dashboards:
            self._client.delete_dashboard(dashboard.id)
        if done.database:
            self._client.delete_database(done.database)  # with its questions
            done.started = True
        if done.collection:
            self._client.delete_collection(done.collection)

    # --- inside

    def _each(self, tasks: t.Mapping[str, Task], job: t.Callable[[Task, _Done], None]) -> None:
        """Do the job for each of these tenants that has not failed yet."""
        work = {rut: partial(job, task, self._done[rut]) for rut, task in tasks.items() if not self._done[rut].error}
        for rut, outcome in run_all(work, self._concurrency).items():
            if isinstance(outcome, ApiError):
                self._done[rut].error = outcome
            else:
                self._done[rut].started = True

    def _all(self, tasks: t.Mapping[str, Task], job: t.Callable[[], None]) -> None:
        """Do one job for these tenants together; they fail together."""
        try:
            job()
        except ApiError as exc:
            for rut in tasks:
                self._done[rut].error = self._done[rut].error or exc
        else:
            for rut in tasks:
                self._done[rut].started = True

    def _result(self, task: Task) -> bulk.Result:
        result, done = service.predicted(task), self._done[task.wish.tenant]
        if task.error is not None:
            return result
        if result.state != bulk.ABSENT:
            result.ref = service.ref_of(done.collection, done.group, done.database)
            result.url = f"{self._client.http.base_url}/collection/{done.collection}" if done.collection else ""
        if done.error is not None:
            if not done.started:
                result.changes, result.created = [], False
            result.fail(f"reports of {task.wish.collection}", done.error)
        return result
