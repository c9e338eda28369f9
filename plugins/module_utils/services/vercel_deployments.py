# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Frontends on Vercel: what is wished against what a team has. ``vercel_deploy_steps.py`` closes the difference.

What runs is written down where it runs: each deployment of ours bears, as its meta data, our mark, the ref, the release,
and a hash of the settings and variables that it was built with. A project bears our mark as a variable. Neither of them
is looked for by name alone, so that what a person deploys by hand is seen and never taken for ours.
"""

from __future__ import annotations

import hashlib
import json
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Change
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.vercel import Domain, Vercel, normal_name
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.vercel_deployments import (
    READY,
    ROLLING,
    STAGED,
    UNDER_WAY,
    Deployment,
    Deployments,
    Standing,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.vercel_projects import Projects, Variable
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import vercel_projects

DEPLOYED, BACK = "deployed", "back"
MARK = "SMARTEROS_FRONTEND"  # variable of a project: whose it is
META, META_REF, META_RELEASE, META_CONFIG = "smarteros", "smarterosRef", "smarterosRelease", "smarterosConfig"
_BY_GIT = ("githubCommitRef", "gitlabCommitRef", "bitbucketCommitRef")  # of deployments that are not ours
BUILD, WAIT, MOVE = "a new build", "the build that is under way", "the build that is there"


@dataclass(frozen=True)
class Wish:
    """What one frontend shall be. ``mark`` is ``<environment>/<service>``; ``config`` the hash of what it is built with."""

    service: str
    project: vercel_projects.Wish
    ref: str
    domain: str
    mark: str
    release: str = ""
    path: str = "/"
    adopt: bool = False
    config: str = ""

    @property
    def meta(self) -> dict[str, str]:
        """What a deployment of it bears."""
        return {META: self.mark, META_REF: self.ref, META_RELEASE: self.release, META_CONFIG: self.config}

    def is_in(self, deployment: Deployment) -> bool:
        """Whether that is this ref, built with these settings and variables."""
        return all(deployment.meta.get(key) == self.meta[key] for key in (META, META_REF, META_CONFIG))


@dataclass(frozen=True)
class Seen:
    """What was found of one frontend. ``other`` is a deployment that has what is wished, and is not shown (yet)."""

    standing: Standing | None = None
    variables: tuple[Variable, ...] = ()
    domain: Domain | None = None
    live: Deployment | None = None
    other: Deployment | None = None


@dataclass
class Todo:
    """What one frontend needs. ``how`` is empty where what runs is what is wished."""

    wish: Wish
    seen: Seen
    state: str = DEPLOYED
    project: vercel_projects.Todo | None = None
    hold: bool = False
    add: Domain | None = None
    straighten: Domain | None = None  # a domain that leads elsewhere
    how: str = ""
    refusal: str = ""

    @property
    def due(self) -> bool:
        """Whether there is anything to do: a difference, or a domain that Vercel may have a proof for by now."""
        domain = self.seen.domain
        unproven = self.state == DEPLOYED and domain is not None and not domain.verified
        return bool(changes(self)) or (unproven and not self.refusal)


def wish_of(item: t.Mapping[str, t.Any], environment: str, release: str) -> Wish:
    """An item of the module as a wish. Raises ApiError where it cannot be one."""
    mark = f"{environment}/{item['service']}"
    marking = {"key": MARK, "value": mark, "type": "plain", "targets": ["production", "preview"]}
    project = vercel_projects.wish_of(
        {**item, "name": item["project"], "environment": [*(item.get("environment") or []), marking], "prune": True}
    )
    domain, path = normal_name(item["domain"]), item.get("path") or "/"
    wish = Wish(item["service"], project, item["ref"], domain, mark, release, path, bool(item.get("adopt")))
    return replace(wish, config=_config(project))


def read(client: Deployments, wishes: t.Sequence[Wish], state: str, concurrency: int) -> dict[str, Seen | ApiError]:
    """Look at all frontends at the same time; by service what was seen, or why nothing could be."""
    return reconcile.run_all({wish.service: _reader(client, wish, state) for wish in wishes}, concurrency)


def plan(wish: Wish, seen: Seen, state: str) -> Todo:
    """What a frontend needs, or why it is not touched. Pure."""
    todo = Todo(wish, seen, state, refusal=_refusal(wish, seen, state))
    if todo.refusal:
        return todo
    if state == BACK:
        todo.how = "" if seen.other is None else MOVE
        return todo
    project = seen.standing.project if seen.standing else None
    todo.project = vercel_projects.plan(wish.project, project, seen.variables)
    todo.hold = seen.standing is not None and not seen.standing.holds
    if seen.domain is None:
        todo.add = Domain(wish.domain)
    elif seen.domain.redirect or seen.domain.branch:
        todo.straighten = Domain(wish.domain, verified=seen.domain.verified, challenges=seen.domain.challenges)
    if seen.live is None or not wish.is_in(seen.live):
        todo.how = BUILD if seen.other is None else WAIT if seen.other.state in UNDER_WAY else MOVE
    return todo


def changes(todo: Todo) -> list[Change]:
    """The frontend's differences, in the order in which they are closed; never a value of a variable."""
    if todo.refusal:
        return []
    return [*settings_changes(todo), *deployment_changes(todo)]


def settings_changes(todo: Todo) -> list[Change]:
    """What changes before anything is built: project, variables, domain."""
    name, domain = todo.wish.project.name, todo.wish.domain
    rows = vercel_projects.changes(todo.project) if todo.project is not None else []
    if todo.hold:
        what = f"Vercel project {name}, domains assigned without a promotion"
        rows.append(Change("update", what, {"automatic": True}, {"automatic": False}))
    if todo.add is not None:
        rows.append(Change("create", f"Vercel domain {domain}", after={"project": name}))
    if todo.straighten is not None and todo.seen.domain is not None:
        was = todo.seen.domain.redirect or todo.seen.domain.branch
        rows.append(Change("update", f"Vercel domain {domain}", {"leads to": was}, {"leads to": "production"}))
    return rows


def deployment_changes(todo: Todo) -> list[Change]:
    """What changes for visitors."""
    if not todo.how:
        return []
    wish, live = todo.wish, todo.seen.live
    how = "Vercel's rollback" if todo.state == BACK else todo.how
    after = {"ref": wish.ref, "release": wish.release, "settings": wish.config, "by": how}
    if todo.state == BACK and todo.seen.other is not None:
        after["settings"] = todo.seen.other.meta.get(META_CONFIG, "")
    if live is None:
        return [Change("create", f"frontend {wish.service}", after=after)]
    before = {"ref": ref_of(live), "release": release_of(live), "settings": live.meta.get(META_CONFIG, "")}
    return [Change("update", f"frontend {wish.service}", before, after)]


def ref_of(deployment: Deployment | None) -> str:
    """The ref that a deployment was built from; of one that is not ours, what its host says."""
    meta = deployment.meta if deployment is not None else {}
    return meta.get(META_REF) or next((meta[key] for key in _BY_GIT if meta.get(key)), "unknown" if deployment else "")


def release_of(deployment: Deployment | None) -> str:
    """The release with which a deployment came; empty where it is not ours."""
    return deployment.meta.get(META_RELEASE, "") if deployment is not None else ""


def _config(project: vercel_projects.Wish) -> str:
    """Twelve digits that tell whether a build has these settings and variables; no value can be guessed from them."""
    known = {
        "settings": dict(project.settings),
        "git": project.git,
        "variables": sorted([each.key, each.type, list(each.targets), each.comment] for each in project.variables),
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:12]


def _refusal(wish: Wish, seen: Seen, state: str) -> str:
    """Why this project is not ours to change, or not now."""
    standing, name = seen.standing, wish.project.name
    if standing is None:
        return f"there is no project {name}: nothing of it was ever deployed" if state == BACK else ""
    mark = next((each.value for each in seen.variables if each.key == MARK), "")
    if mark and mark != wish.mark:
        return f"project {name} bears the mark of {mark}"
    if not mark and not wish.adopt:
        return f"project {name} exists and does not bear our mark"
    if standing.rolling or (seen.live is not None and seen.live.substate == ROLLING):
        return f"project {name} has a rolling release: promotions mean something else there"
    if standing.project.paused:
        return f"project {name} is paused and serves nothing"
    if state == BACK and seen.other is None and not _is_back(wish, seen.live):
        return f"no deployment of {wish.ref} that was ever in production is left in project {name}"
    return ""


def _is_back(wish: Wish, live: Deployment | None) -> bool:
    return live is not None and live.meta.get(META) == wish.mark and live.meta.get(META_REF) == wish.ref


def _reader(client: Deployments, wish: Wish, state: str) -> t.Callable[[], Seen]:
    return lambda: _look(client, wish, state)


def _look(client: Deployments, wish: Wish, state: str) -> Seen:
    """Everything that is to be known of one frontend, with as few questions as it takes."""
    standing = client.standing(wish.project.name)
    if standing is None:
        return Seen()
    ident = standing.project.id
    seen = Seen(standing, tuple(Projects(client.http).variables(ident)), Vercel(client.http, ident).domain(wish.domain))
    if seen.domain is not None:
        seen = replace(seen, live=_live(client, wish.domain) or _moved_to(client, standing, seen.domain))
    if state == BACK:
        return seen if _is_back(wish, seen.live) else replace(seen, other=client.find(ident, _was_live(wish)))
    if seen.live is not None and wish.is_in(seen.live):
        return seen
    return replace(seen, other=client.find(ident, _can_serve(wish)))


def _live(client: Deployments, domain: str) -> Deployment | None:
    try:
        return client.live(domain)
    except ApiError as exc:
        if exc.kind != errors.REFUSED:
            raise
        why = f"{domain} shows something that this token may not see: {exc.message}"
        raise ApiError(why, exc.kind, exc.status, exc.code, exc.where) from None


def _moved_to(client: Deployments, standing: Standing, domain: Domain) -> Deployment | None:
    """Where production went last, for a domain that shows nothing because it is not verified yet."""
    move = standing.move
    return client.deployment(move.to) if not domain.verified and move is not None and move.good else None


def _can_serve(wish: Wish) -> t.Callable[[Deployment], bool]:
    return lambda each: wish.is_in(each) and (each.state == READY or each.state in UNDER_WAY)


def _was_live(wish: Wish) -> t.Callable[[Deployment], bool]:
    return lambda each: _is_back(wish, each) and each.state == READY and each.substate != STAGED
