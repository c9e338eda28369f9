# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How one frontend comes from what it is to what it shall be: project, domain, build, health, promotion, health.

What visitors see changes in one place only, by Vercel's promotion, and after the new build has answered. Where it does not
answer under its own domain afterwards, Vercel's rollback takes production back to what was there.
"""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, reconcile, waiting, web_look
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Change
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.vercel import Dns, Domain, Vercel
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.vercel_deployments import (
    READY,
    UNKNOWN_REF,
    Deployment,
    Deployments,
    Standing,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.vercel_projects import PLAIN, Projects
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import vercel_deployments as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import vercel_projects
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.vercel_deployments import BACK, Todo
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.vercel_domains import needed

LOG_LINES = 12
MOVE_S = 180.0  # for a promotion, which re-points and builds nothing
_BYPASS = "x-vercel-protection-bypass"
Found = t.TypeVar("Found")


@dataclass(frozen=True)
class Way:
    """How long to wait, and how pages are reached. ``address`` has ``{host}`` and ``{path}``; times in seconds."""

    build_s: float = 900.0
    poll_s: float = 5.0
    health_s: float = 60.0
    address: str = "https://{host}{path}"
    bypass: str = field(default="", repr=False)
    sleep: t.Callable[[float], None] = time.sleep

    def patience(self, total: float) -> waiting.Patience:
        """For something that takes up to so many seconds."""
        return waiting.Patience(total, self.poll_s, self.sleep)


@dataclass
class Done:
    """What was done for one frontend, how far it came, and why no further."""

    changes: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    deployment: Deployment | None = None
    rolled_back: bool = False
    error: ApiError | None = None
    following: str = ""


class Unhealthy(ApiError):
    """A page does not answer as it should."""


def apply(client: Deployments, todos: t.Sequence[Todo], way: Way, concurrency: int) -> dict[str, Done]:
    """Close the differences of all frontends at the same time; one's failure spares the others."""
    for todo in todos:
        for each in todo.wish.project.variables:
            if each.type != PLAIN:
                client.http.hide(each.value)  # careless builds print them into their logs
    jobs = {todo.wish.service: _job(client, todo, way) for todo in todos if todo.due}
    done: dict[str, Done] = {}
    for name, answer in reconcile.run_all(jobs, concurrency).items():
        done[name] = Done(error=answer) if isinstance(answer, ApiError) else answer
    return done


def _job(client: Deployments, todo: Todo, way: Way) -> t.Callable[[], Done]:
    return lambda: Steps(client, todo, way).run()


class Steps:
    """The steps of one frontend, one after the other; after a failure the rest is left."""

    def __init__(self, client: Deployments, todo: Todo, way: Way) -> None:
        self._client, self._todo, self._way = client, todo, way
        self._wish = todo.wish
        self._done = Done()
        self._reachable = True  # whether the domain leads to Vercel, so that asking it makes sense

    def run(self) -> Done:
        """Take them."""
        try:
            if self._todo.state == BACK:
                self._back()
            else:
                self._forth()
        except ApiError as exc:
            self._done.error = exc
        return self._done

    # --- forth ---

    def _forth(self) -> None:
        standing = self._settings()
        domain = self._domain(standing)
        if not self._todo.how:
            return
        deployment = self._built(standing)
        self._look_before(deployment)
        self._move(standing, deployment, domain, back=False)
        self._done.changes += service.deployment_changes(self._todo)
        self._look_after(standing)

    def _settings(self) -> Standing:
        """Project and variables; gives the project as it is then."""
        name, seen, project = self._wish.project.name, self._todo.seen, self._todo.project
        if project is not None:
            failure = vercel_projects.apply(Projects(self._client.http), {name: project}, 1).get(name)
            if failure is not None:
                raise failure
            self._done.changes += vercel_projects.changes(project)
        standing = seen.standing
        if standing is None or (project is not None and project.relink):
            standing = self._client.standing(name)
            if standing is None:
                raise ApiError(f"project {name} was made and is not there", errors.MISSING)
        if not standing.holds:
            self._client.hold(standing.project.id)
            self._done.changes += [each for each in service.settings_changes(self._todo) if "assigned" in each.what]
        return standing

    def _domain(self, standing: Standing) -> Domain:
        """The domain on the project, and what its DNS lacks as a note: others make records."""
        vercel, todo = Vercel(self._client.http, standing.project.id), self._todo
        domain = todo.seen.domain
        if todo.add is not None:
            domain = vercel.add(todo.add)
        elif todo.straighten is not None:
            domain = vercel.change(todo.straighten)
        if todo.add is not None or todo.straighten is not None:
            what = f"Vercel domain {self._wish.domain}"
            self._done.changes += [each for each in service.settings_changes(todo) if each.what == what]
        if domain is None:
            raise ApiError(f"{self._wish.domain} is on no project", errors.MISSING)
        if not domain.verified:
            domain = vercel.verify(domain.name) or domain
        self._note_domain(domain, vercel.dns(domain.name))
        return domain

    def _note_domain(self, domain: Domain, dns: Dns) -> None:
        self._reachable = domain.verified and dns.right
        lacking = [str(each) for each in domain.challenges] if not domain.verified else []
        lacking += [] if dns.right else [needed(domain, dns)]
        if not self._reachable:
            state = "does not lead to Vercel" if domain.verified else "is not verified"
            records = f"; missing in DNS: {'; '.join(lacking)}" if lacking else ""
            self._done.notes.append(f"{domain.name} {state}{records}")

    def _built(self, standing: Standing) -> Deployment:
        """The deployment with what is wished, once its build has ended well."""
        deployment = self._todo.seen.other or self._begun(standing)
        self._done.deployment = deployment
        if not deployment.ended:
            deployment = self._awaited(deployment)
        self._done.deployment = deployment
        if deployment.state == READY:
            return deployment
        self._done.log = self._log(deployment)
        self._done.following = (
            f"Mend it in the repository, let the release name the new ref; whole log: {_page(deployment)}"
        )
        last = "".join(f"\n      {line}" for line in self._done.log)
        why = deployment.why or f"it ended as {deployment.state}"
        raise ApiError(f"the build of {self._wish.ref} failed: {why}{'; its last lines:' if last else ''}{last}")

    def _begun(self, standing: Standing) -> Deployment:
        wish = self._wish

        def find() -> Deployment | None:
            return self._client.find(standing.project.id, lambda each: wish.is_in(each) and not each.ended)

        try:
            return self._client.create(standing, wish.ref, wish.meta, find)
        except ApiError as exc:
            if exc.code != UNKNOWN_REF:
                raise
            self._done.following = (
                "Correct the ref in specs/smos-version.yml, or let Vercel's application see the repository"
            )
            why = f"Vercel finds no {wish.ref} in {wish.project.git}: {exc.message}"
            raise ApiError(why, errors.INVALID, exc.status, exc.code, exc.where) from None

    def _awaited(self, deployment: Deployment) -> Deployment:
        def look() -> Deployment:
            found = self._client.deployment(deployment.id)
            if found is None:
                raise ApiError(f"deployment {deployment.id} was deleted while it was built", errors.MISSING)
            return found

        try:
            return waiting.until(
                look, lambda each: each.ended, self._way.patience(self._way.build_s), f"the build of {self._wish.ref}"
            )
        except ApiError as exc:
            if exc.kind == errors.UNANSWERED:
                page = _page(deployment)
                self._done.following = f"It goes on at Vercel ({page}); the same command again waits for it"
            raise

    def _log(self, deployment: Deployment) -> list[str]:
        try:
            return self._client.log(deployment.id, LOG_LINES)
        except ApiError as exc:
            self._done.notes.append(f"the log of the build cannot be read: {exc.message}")
            return []

    # --- health ---

    def _look_before(self, deployment: Deployment) -> None:
        """The new build under its own address, before anybody is led to it."""
        page = self._ask(deployment.url)
        if page.protected:
            words = "Vercel asks for a sign-in before the promotion; set vercel_bypass to have it looked at"
            self._done.notes.append(f"{deployment.url}: {words}")
        elif not page.well:
            self._done.following = f"Nobody was led to it. Look at {_page(deployment)}; what ran before still runs"
            raise Unhealthy(f"the new build does not answer: {page.why} (https://{deployment.url}{self._wish.path})")

    def _look_after(self, standing: Standing) -> None:
        """The domain after the promotion; where it does not answer, back to what was there."""
        if not self._reachable:
            self._done.notes.append(f"whether https://{self._wish.domain} answers was not looked at")
            return
        page = self._ask(self._wish.domain)
        if page.well or page.protected:
            return
        why = f"https://{self._wish.domain}{self._wish.path} does not answer after the promotion: {page.why}"
        before = self._todo.seen.live
        if before is None:
            self._done.following = "There was nothing before it to go back to; look at the domain and the build"
            raise Unhealthy(why)
        self._move(standing, before, self._todo.seen.domain, back=True)
        self._done.rolled_back = True
        gone = service.deployment_changes(self._todo)
        self._done.changes = [each for each in self._done.changes if each not in gone]
        self._done.following = f"Production is back at {service.ref_of(before)}; mend the new one and deploy again"
        raise Unhealthy(why)

    def _ask(self, host: str) -> web_look.Page:
        headers = {_BYPASS: self._way.bypass} if self._way.bypass else {}
        url = self._way.address.format(host=host, path=self._wish.path)
        return web_look.wait(url, self._way.health_s, headers, self._way.sleep)

    # --- production ---

    def _back(self) -> None:
        """By Vercel's own call, to what was in production before."""
        standing, other = self._todo.seen.standing, self._todo.seen.other
        if standing is None or other is None:
            return
        self._done.deployment = other
        self._move(standing, other, self._todo.seen.domain, back=True)
        self._done.changes += service.deployment_changes(self._todo)
        domain = self._todo.seen.domain
        if domain is not None:
            self._note_domain(domain, Vercel(self._client.http, standing.project.id).dns(domain.name))
        page = self._ask(self._wish.domain) if self._reachable else web_look.Page(200)
        if not page.well and not page.protected:
            raise Unhealthy(f"https://{self._wish.domain}{self._wish.path} does not answer: {page.why}")

    def _move(self, standing: Standing, to: Deployment, domain: Domain | None, *, back: bool) -> None:
        """Have production show a deployment, and wait until it does."""
        project = standing.project.id
        self._settled(project)  # a move that is under way would be answered by 409
        if back:
            self._client.rollback(project, to.id, f"SmarterOS: {self._wish.mark}")
        else:
            self._client.promote(project, to.id)
        after = self._settled(project, to.id)
        if after.move is not None and after.move.to == to.id and not after.move.good:
            raise ApiError(f"Vercel's {after.move.kind} ended as {after.move.state}", errors.CONFLICT)
        if domain is not None and domain.verified:
            self._until(
                lambda: self._client.live(domain.name),
                lambda live: live is not None and live.id == to.id,
                f"what {domain.name} shows",
            )

    def _settled(self, project: str, to: str = "") -> Standing:
        """The project once its last move is over, and with ``to`` once that was the one to this deployment."""

        def look() -> Standing:
            found = self._client.standing(project)
            if found is None:
                raise ApiError(f"project {project} is gone", errors.MISSING)
            return found

        def ended(found: Standing) -> bool:
            if found.move is None:
                return not to
            return found.move.ended and (not to or found.move.to == to)

        return self._until(look, ended, "the promotion")

    def _until(self, look: t.Callable[[], Found], ended: t.Callable[[Found], bool], what: str) -> Found:
        return waiting.until(look, ended, self._way.patience(MOVE_S), what)


def _page(deployment: Deployment) -> str:
    return deployment.inspector or f"https://{deployment.url}"
