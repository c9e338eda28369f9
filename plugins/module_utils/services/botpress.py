# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Bots of tenants: what is wished against what Botpress holds, and how the difference is closed."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import REACHED, Change, Result
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import botpress as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.botpress import Botpress, BotState
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.botpress_archive import pack, unpack
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.botpress_templates import (
    CONFIG,
    Bot,
    Template,
    dumped,
    render,
)

CREATE, REPLACE, SECURE, CONFIGURE, DELETE = "create", "replace", "secure", "configure", "delete"


@dataclass(frozen=True)
class Goal:
    """What shall become of one tenant. ``wish`` only when present; ``limit``: bots that its plan allows, None any."""

    tenant: str
    state: str  # present | suspended | absent | disabled
    bot: str = ""
    wish: Bot | None = None
    limit: int | None = None
    message: str = ""


@dataclass(frozen=True)
class Step:
    """One thing to do with one bot, and how it is reported."""

    kind: str
    bot: str
    change: Change
    settings: t.Mapping[str, t.Any] = field(default_factory=dict)


@dataclass
class Todo:
    """What one tenant needs; with an ``error`` nothing of it is touched. ``own``: how many bots bear its mark."""

    goal: Goal
    steps: list[Step] = field(default_factory=list)
    own: int = 0
    fresh: bool = False
    error: ApiError | None = None
    message: str = ""


def goals_of(
    items: t.Iterable[t.Mapping[str, t.Any]], templates: t.Mapping[str, Template]
) -> tuple[list[Goal], dict[str, ApiError]]:
    """The module's items as goals, and by tenant why an item cannot be one."""
    goals: list[Goal] = []
    bad: dict[str, ApiError] = {}
    for item in items:
        tenant, bot, state = item["tenant"], item.get("slug") or "", item["state"]
        wish = None
        try:
            if state == "present":  # the others go by the mark alone, so they work when a value is missing
                values = {**(item.get("values") or {}), "name": item.get("name") or ""}
                wish = render(templates[item["template"]], tenant, bot, values)
        except ApiError as exc:
            bad[tenant] = exc
        goals.append(Goal(tenant, state, bot, wish, item.get("limit"), item.get("reason") or ""))
    return goals, bad


def plan(goals: t.Sequence[Goal], bots: t.Mapping[str, BotState], bad: t.Mapping[str, ApiError]) -> dict[str, Todo]:
    """What every tenant needs, by tenant. Pure."""
    owned: dict[str, list[BotState]] = {}
    for bot in bots.values():
        if bot.tenant:
            owned.setdefault(bot.tenant, []).append(bot)
    todos: dict[str, Todo] = {}
    for goal in goals:
        own = sorted(owned.get(goal.tenant, ()), key=lambda bot: bot.id)
        todo = todos[goal.tenant] = Todo(goal, own=len(own), error=bad.get(goal.tenant))
        if todo.error is not None or goal.state == "disabled":
            continue
        if goal.state == "suspended":
            todo.steps = [_suspended(bot) for bot in own if not bot.disabled]
        elif goal.state == "absent":
            todo.steps = [_deleted(bot) for bot in own]
        elif goal.wish is not None:
            _plan_present(todo, goal.wish, bots.get(goal.bot), own)
    return todos


def foretell(todos: t.Mapping[str, Todo], url: str) -> list[Result]:
    """The results of a check mode run."""
    rows = []
    for todo in todos.values():
        row = _blank(todo, url)
        if todo.error is not None:
            row.fail("bot", todo.error)
        else:
            row.changes = [step.change for step in todo.steps]
            row.created = todo.fresh
        rows.append(row)
    return rows


def apply(client: Botpress, todos: t.Mapping[str, Todo], concurrency: int, url: str) -> list[Result]:
    """Carry out the plan, tenant beside tenant; a tenant's first failure ends that tenant only."""
    work = {tenant: _job(client, todo, url) for tenant, todo in todos.items()}
    rows: list[Result] = []
    for tenant, answer in reconcile.run_all(work, concurrency).items():
        if isinstance(answer, ApiError):  # a job keeps its errors; whatever came past it fails its tenant
            row = _blank(todos[tenant], url)
            row.fail("bot", answer)
            answer = row
        rows.append(answer)
    return rows


def warn(client: Botpress, todos: t.Mapping[str, Todo], rows: t.Sequence[Result]) -> None:
    """Try converse without a token on one bot that is on, and tell every tenant when it answers."""
    ready = {row.tenant: row for row in rows if row.error is None and row.state == "ready"}
    bot = next((todo.goal.bot for tenant, todo in todos.items() if tenant in ready), "")
    try:
        is_open = bool(bot) and client.is_open(bot)
    except ApiError:
        return  # the bots are as they should be; `check` tells what is the matter with the service
    for row in ready.values() if is_open else ():
        row.message = "; ".join(filter(None, (row.message, api.OPEN)))


def settings_of(bot: Bot) -> dict[str, t.Any]:
    """The settings that every run brings back without an import, as the studio's form takes them."""
    return {
        "name": bot.name,
        "description": bot.description,
        "disabled": False,
        "private": False,
        "defaultLanguage": bot.language,
        "languages": [bot.language],
    }


def _plan_present(todo: Todo, wish: Bot, found: BotState | None, own: t.Sequence[BotState]) -> None:
    limit = todo.goal.limit
    others = [bot.id for bot in own if bot.id != wish.id]
    if found is not None and found.tenant != wish.tenant:
        owner = f"belongs to {found.tenant}" if found.tenant else "does not bear the tenant's mark"
        todo.error = ApiError(f"a bot {wish.id!r} exists and {owner}", errors.CONFLICT)
    elif limit is not None and len(others) + 1 > limit:
        there = f"; there are: {', '.join(bot.id for bot in own)}" if own else ""
        why = f"the plan allows {limit} bots and {len(others) + 1} are wished{there}"
        if found is None:
            todo.error = ApiError(why, errors.CONFLICT)
        todo.message = why
    if todo.error is not None:
        return
    if found is None:
        todo.fresh = not own
        todo.steps = [Step(CREATE, wish.id, Change("create", f"bot {wish.id}", after=_shown(wish)))]
    else:
        todo.steps = _updates(wish, found)


def _shown(wish: Bot) -> dict[str, t.Any]:
    settings = settings_of(wish)
    return {"template": wish.template, "content": wish.content, "converse_closed": True, **settings}


def _updates(wish: Bot, found: BotState) -> list[Step]:
    was = {
        "template": found.ours.get("template", ""),
        "content": found.ours.get("content", ""),
        "converse_closed": found.secured,
        "name": found.name,
        "description": found.description,
        "disabled": found.disabled,
        "private": found.private,
        "defaultLanguage": found.language,
        "languages": list(found.languages),
    }
    now = _shown(wish)
    differs = [key for key in was if was[key] != now[key]]
    if not differs:
        return []
    change = Change("update", f"bot {wish.id}", {k: was[k] for k in differs}, {k: now[k] for k in differs})
    if "content" in differs or "template" in differs:
        return [Step(REPLACE, wish.id, change)]
    if "converse_closed" in differs:
        return [Step(SECURE, wish.id, change)]
    return [Step(CONFIGURE, wish.id, change, settings_of(wish))]


def _suspended(bot: BotState) -> Step:
    languages = list(bot.languages[:1]) or [bot.language]
    settings = {"disabled": True, "defaultLanguage": bot.language, "languages": languages}
    return Step(CONFIGURE, bot.id, Change("update", f"bot {bot.id}", {"disabled": False}, {"disabled": True}), settings)


def _deleted(bot: BotState) -> Step:
    return Step(DELETE, bot.id, Change("delete", f"bot {bot.id}", before={"name": bot.name, "disabled": bot.disabled}))


def _job(client: Botpress, todo: Todo, url: str) -> t.Callable[[], Result]:
    def job() -> Result:
        row = _blank(todo, url)
        what = "bot"
        try:
            if todo.error is not None:
                raise todo.error
            for step in todo.steps:
                what = f"bot {step.bot}"
                _carry_out(client, step, todo.goal.wish)
                row.changes.append(step.change)
        except ApiError as exc:
            row.fail(what, exc)
        row.created = todo.fresh and bool(row.changes)
        return row

    return job


def _carry_out(client: Botpress, step: Step, wish: Bot | None) -> None:
    if step.kind == DELETE:
        client.delete(step.bot)
    elif step.kind == CONFIGURE:
        client.configure(step.bot, step.settings)
    elif wish is None:
        raise AssertionError("only a wish is imported")
    elif step.kind == CREATE:
        # The fingerprint lies in the archive itself: a run that dies here is understood by the next one
        client.create(step.bot, pack(wish.archive_files()), lambda bot: bot.ours.get("content") == wish.content)
    elif step.kind == REPLACE:
        client.replace(step.bot, pack(wish.archive_files()))
    else:
        client.replace(step.bot, pack(_secured(unpack(client.export(step.bot)), wish)))


def _secured(files: t.Mapping[str, bytes], wish: Bot) -> dict[str, bytes]:
    """A bot as it is, with the settings of ours brought back: no form of Botpress has the one that closes converse."""
    own = json.loads(wish.archive_files()[CONFIG])
    try:
        settings = json.loads(files.get(CONFIG, b""))
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise ApiError(f"the exported bot has no readable {CONFIG}")
    converse = settings.get("converse")
    talk = converse if isinstance(converse, dict) else {}
    kept = {**settings, **{key: own[key] for key in (*settings_of(wish), "id", "smarteros")}}
    kept["converse"] = {**talk, **own["converse"]}
    return {**files, CONFIG: dumped(kept).encode()}


def _blank(todo: Todo, url: str) -> Result:
    goal = todo.goal
    row = Result(goal.tenant, REACHED[goal.state], message=todo.message or goal.message)
    if goal.state == "present":
        row.ref = {"bot_id": goal.bot}
        row.url = f"{url.rstrip('/')}/api/v1/bots/{goal.bot}"
    count = todo.own + any(step.kind == CREATE for step in todo.steps)
    if goal.state in ("present", "suspended"):
        row.usage = {"bots": count}
    return row
