# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Vercel's REST API: the domains of one project, and what a token is good for.

Every endpoint has a version of its own, and every call names the team: without it Vercel looks into another account,
where all is absent rather than forbidden.
"""

from __future__ import annotations

import datetime
import re
import typing as t
from dataclasses import dataclass
from urllib.parse import quote

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Http, Policy

URL = "https://api.vercel.com"
PAGE = 100  # what Vercel allows at most
TEMPORARY = 307  # the redirect that no browser remembers
# Codes of our own for the two refusals that concern the token itself; Vercel answers 403 "forbidden" to both
INVALID_TOKEN, MISSING_TOKEN = "invalid_token", "missing_token"
_BAD_TOKEN = frozenset({INVALID_TOKEN, MISSING_TOKEN})
_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])")
_OUT_OF_REACH = frozenset({errors.UNREACHABLE, errors.SERVER, errors.UNANSWERED, errors.THROTTLED})

Body = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Challenge:
    """A DNS record that proves whose a domain is; the value changes whenever the domain moves."""

    type: str
    name: str
    value: str

    def __str__(self) -> str:
        return f'{self.type} {self.name} "{self.value}"'


@dataclass(frozen=True)
class Domain:
    """A domain of a project. ``redirect`` is the host that it leads to, with ``status``; empty and 0 for none.

    ``branch`` is the Git branch or own environment that it shows instead of production. ``verified`` speaks of
    ownership only: whether DNS leads to Vercel is another matter (:class:`Dns`). ``apex`` says that the name is the
    top of its zone, where no CNAME can stand.
    """

    name: str
    redirect: str = ""
    status: int = 0
    branch: str = ""
    verified: bool = True
    challenges: tuple[Challenge, ...] = ()
    apex: bool = False


@dataclass(frozen=True)
class Dns:
    """Whether a domain's DNS leads to Vercel, and the records that would: (type, value), the best first."""

    right: bool
    wanted: tuple[tuple[str, str], ...] = ()


class VercelHttp(Http):
    """The common HTTP policy with Vercel's error envelope, and the team in every call but those about the user."""

    def __init__(self, base_url: str, token: str, team: str = "", policy: Policy | None = None) -> None:
        super().__init__(base_url, {"Authorization": f"Bearer {token}"}, secrets=(token,), policy=policy)
        self._team = {"teamId" if team.startswith("team_") else "slug": team} if team else {}

    def request(
        self,
        method: str,
        path: str,
        params: t.Mapping[str, t.Any] | None = None,
        json: t.Any = None,
        headers: t.Mapping[str, str] | None = None,
        repeat: bool | None = None,
    ) -> Answer:
        """See :meth:`Http.request`; with the team."""
        team = {} if "/user" in path else self._team
        return super().request(method, path, {**team, **(params or {})} or None, json, headers, repeat)

    def error(self, answer: Answer, where: str) -> ApiError:
        """Vercel's own code and words, and the id under which Vercel finds the request."""
        plain = super().error(answer, where)
        found = answer.body.get("error") if isinstance(answer.body, dict) else None
        if not isinstance(found, dict):
            return plain
        code = _code(found)
        trace = [f"Vercel error {found.get('code', '?')}"]
        trace += [f"request {answer.headers['x-vercel-id']}"] if answer.headers.get("x-vercel-id") else []
        words = f"{self.shown(found.get('message') or 'no reason given')} ({', '.join(trace)})"
        return ApiError(self.shown(words), plain.kind, answer.status, code, where)


class Vercel:
    """One project and its domains. Raises ApiError; never holds the token itself."""

    def __init__(self, http: VercelHttp, project: str, team: str = "") -> None:
        self.http = http
        self.project = project
        self.team = team

    # --- domains ---

    def domains(self) -> dict[str, Domain]:
        """Every domain of the project by its name; reads all pages."""
        path = f"/v9/projects/{_quoted(self.project)}/domains"
        guard = self.http.pages(path)
        found: dict[str, Domain] = {}
        until: int | None = None
        while True:
            guard.turn(until)
            params = {"limit": PAGE, **({} if until is None else {"until": until})}
            body = self.get(path, params)
            found.update({each.name: each for each in (domain_of(row) for row in rows_of(body, "domains", path))})
            until = _next(body)
            if until is None:
                return found

    def domain(self, name: str) -> Domain | None:
        """One domain of the project; None where the project has no such domain."""
        try:
            return domain_of(self.get(self._path("v9", name)))
        except ApiError as exc:
            if exc.kind == errors.MISSING:
                return None
            raise

    def add(self, wish: Domain) -> Domain:
        """Add a domain to the project, or give it as it is when the project has it already.

        Raises ApiError ``conflict`` when another project or account holds it.
        """
        body: dict[str, t.Any] = {"name": wish.name}
        if wish.redirect:
            body.update(redirect=wish.redirect, redirectStatusCode=wish.status or TEMPORARY)
        try:
            made = self.http.create(
                f"/v10/projects/{_quoted(self.project)}/domains", body, lambda: self.domain(wish.name)
            )
        except ApiError as exc:
            # 400 where it is on this project, 400 or 409 where it is on another one: only a look tells them apart
            if exc.kind not in (errors.CONFLICT, errors.INVALID):
                raise
            there = self.domain(wish.name)
            if there is not None:
                return there
            raise self._held_elsewhere(wish.name, exc) from None
        return made if isinstance(made, Domain) else domain_of(made)

    def change(self, wish: Domain) -> Domain:
        """Bring redirect and branch of a domain to the wish."""
        redirect, status = (wish.redirect, wish.status or TEMPORARY) if wish.redirect else (None, None)
        body = {"redirect": redirect, "redirectStatusCode": status, "gitBranch": wish.branch or None}
        return domain_of(self._send("PATCH", self._path("v9", wish.name), body))

    def remove(self, name: str) -> None:
        """Take a domain from the project; one that is gone already is fine."""
        try:
            self.http.request("DELETE", self._path("v9", name), json={"removeRedirects": False})
        except ApiError as exc:
            if exc.kind != errors.MISSING:
                raise

    def verify(self, name: str) -> Domain | None:
        """Have Vercel look for the proof of ownership; the domain when it is verified now, None while it is not."""
        try:
            # Harmless to repeat: a verified domain stays so
            answer = self.http.request("POST", f"{self._path('v9', name)}/verify", repeat=True)
        except ApiError as exc:
            if exc.kind in (errors.INVALID, errors.CONFLICT):
                return None
            raise
        domain = domain_of(answer.body)
        return domain if domain.verified else None

    def dns(self, name: str) -> Dns:
        """Whether DNS leads the name to Vercel, and which records Vercel wants (rank 1 first)."""
        body = self.get(f"/v6/domains/{_quoted(name)}/config", {"projectIdOrName": self.project})
        wanted = [("CNAME", value) for value in _ranked(body.get("recommendedCNAME"))]
        wanted += [("A", value) for value in _ranked(body.get("recommendedIPv4"))]
        return Dns(body.get("misconfigured") is False, tuple(wanted))

    # --- the token ---

    def check(self) -> dict[str, t.Any]:
        """What the token is good for: state, account, message, expires and missing_scopes.

        A token for one project is refused where the user is asked for, and valid all the same.
        """
        account, expires = "", ""
        try:
            account = self._user()
            expires = self._expires() if account else ""
            return self._verdict_on_project(account, expires)
        except ApiError as exc:
            if exc.kind in _OUT_OF_REACH:
                return _verdict("unreachable", account, exc.message)
            if exc.code in _BAD_TOKEN or exc.status == 401:
                return _verdict("invalid", account, f"Vercel does not know this token: {exc.message}")
            return _verdict("insufficient" if exc.kind == errors.REFUSED else "invalid", account, exc.message, expires)

    def claimed(self, wishes: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, str]:
        """For new tenants (merged tenants): id -> why their domain cannot be theirs.

        A domain bears no mark, so one of that name counts as the tenant's, unless someone bound it to a branch.
        """
        there = self.domains() if wishes else {}
        found: dict[str, str] = {}
        for tenant in wishes:
            for name in (tenant.get("domain"), tenant.get("custom_domain")):
                domain = there.get(normal_name(str(name))) if name else None
                if domain is not None and domain.branch:
                    found[tenant["id"]] = f"{domain.name} shows {domain.branch} of project {self.project}"
        return found

    def get(self, path: str, params: t.Mapping[str, t.Any] | None = None) -> Body:
        """The object that a GET answers with."""
        return object_of(self.http.request("GET", path, params=params).body, f"GET {path}")

    def _send(self, method: str, path: str, body: t.Any) -> t.Any:
        return self.http.request(method, path, json=body).body

    def _path(self, version: str, name: str) -> str:
        return f"/{version}/projects/{_quoted(self.project)}/domains/{_quoted(name)}"

    def _held_elsewhere(self, name: str, exc: ApiError) -> ApiError:
        """The refusal of an addition, in words that say where the domain is when that is why."""
        if exc.kind != errors.CONFLICT and "in_use" not in exc.code and "already" not in exc.message:
            return ApiError(f"{name} cannot be added: {exc.message}", exc.kind, exc.status, exc.code, exc.where)
        why = f"{name} belongs to another Vercel project or account; its owner must remove or move it there"
        return ApiError(f"{why}: {exc.message}", errors.CONFLICT, exc.status, exc.code, exc.where)

    def _user(self) -> str:
        """Whose token it is; empty for one that may not ask (a token for one project)."""
        try:
            user = self.get("/v2/user").get("user")
        except ApiError as exc:
            if exc.kind != errors.REFUSED or exc.code in _BAD_TOKEN or exc.status == 401:
                raise
            return ""
        if not isinstance(user, dict):
            raise ApiError("what answers there is not Vercel: it tells no user", where=self.http.base_url)
        return str(user.get("username") or user.get("email") or "user")

    def _expires(self) -> str:
        """When the token ends; empty where Vercel does not tell."""
        try:
            token = self.get("/v5/user/tokens/current").get("token")
        except ApiError as exc:
            if exc.kind in _OUT_OF_REACH:
                raise
            return ""
        moment = token.get("expiresAt") if isinstance(token, dict) else None
        if isinstance(moment, bool) or not isinstance(moment, (int, float)) or not 0 < moment < 32503680000000:
            return ""  # no number of milliseconds before the year 3000
        when = datetime.datetime.fromtimestamp(moment / 1000, datetime.timezone.utc)
        return when.strftime("%Y-%m-%dT%H:%M:%SZ")

    def _verdict_on_project(self, account: str, expires: str) -> dict[str, t.Any]:
        account = account or "a token for one project"
        if not self.project:
            if self.team:
                self.get(f"/v2/teams/{_quoted(self.team)}")
            return _verdict("valid", account, f"active in team {self.team}" if self.team else "active", expires)
        path = f"/v9/projects/{_quoted(self.project)}"
        team = f" of team {self.team}" if self.team else ""
        for scope, what in (("", f"project {self.project}{team}"), ("/domains", f"the domains of {self.project}")):
            try:
                self.get(path + scope, {"limit": 1} if scope else None)
            except ApiError as exc:
                if exc.code in _BAD_TOKEN or exc.status == 401 or exc.kind not in (errors.REFUSED, errors.MISSING):
                    raise
                why = f"the token may not see {what}" if scope else f"no {what}, or the token may not see it"
                why = f"{why}: {exc.message}"
                return _verdict("insufficient", account, why, expires, [what])
        return _verdict("valid", account, f"active, and sees project {self.project}{team}", expires)


def connect(connection: t.Mapping[str, str], policy: Policy | None = None) -> Vercel:
    """A client for one project. ``connection`` has url, token, team (id or slug) and project (id or name); sends nothing yet."""
    team = connection.get("team") or ""
    http = VercelHttp(connection["url"], connection["token"], team, policy)
    return Vercel(http, connection.get("project") or "", team)


def normal_name(name: str) -> str:
    """A domain in lower-case Punycode without the last dot. Raises ApiError for what can be no domain."""
    plain = name.strip().rstrip(".").lower()
    try:
        plain = plain if plain.isascii() else plain.encode("idna").decode("ascii")
    except UnicodeError:
        plain = ""
    if not _NAME.fullmatch(plain):
        raise ApiError(f"not a domain: {name!r}")
    return plain


def domain_of(row: t.Any) -> Domain:
    """A domain of the API in our words. Raises ApiError when it is none."""
    body = object_of(row, "domain")
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise ApiError("Vercel gives a domain without a name")
    redirect, branch = body.get("redirect"), body.get("gitBranch") or body.get("customEnvironmentId")
    status = body.get("redirectStatusCode")
    proofs = body.get("verification")
    return Domain(
        name.lower(),
        redirect if isinstance(redirect, str) else "",
        status if isinstance(status, int) and redirect else 0,
        branch if isinstance(branch, str) else "",
        body.get("verified") is True,
        tuple(_challenge(each) for each in (proofs if isinstance(proofs, list) else []) if isinstance(each, dict)),
        body.get("apexName") == name,
    )


def object_of(value: t.Any, where: str) -> dict[str, t.Any]:
    """A JSON object, or an ApiError that says that something else came."""
    if isinstance(value, dict):
        return value
    raise ApiError(f"Vercel answers with {type(value).__name__} instead of an object", where=where)


def rows_of(body: Body, key: str, where: str) -> list[t.Any]:
    """The list of that name in an answer, or an ApiError."""
    rows = body.get(key)
    if isinstance(rows, list):
        return rows
    raise ApiError(f"Vercel's answer has no list of {key}", where=where)


def _challenge(row: Body) -> Challenge:
    return Challenge(*(str(row.get(key) or "") for key in ("type", "domain", "value")))


def _ranked(rows: t.Any) -> list[str]:
    """The values of recommendations, the best rank first; an address list gives its first."""
    found: list[tuple[float, str]] = []
    for row in rows if isinstance(rows, list) else []:
        rank, value = (row.get("rank"), row.get("value")) if isinstance(row, dict) else (None, None)
        value = value[0] if isinstance(value, list) and value else value
        if isinstance(value, str):
            found.append((rank if isinstance(rank, (int, float)) else 99, value.rstrip(".")))
    return [value for _rank, value in sorted(found)]


def _next(body: Body) -> int | None:
    """The moment (ms) before which the next page lies; None at the end."""
    pages = body.get("pagination")
    following = pages.get("next") if isinstance(pages, dict) else None
    if following is None or (isinstance(following, int) and not isinstance(following, bool)):
        return following
    raise ApiError("Vercel names a next page that is no moment")


def _code(error: Body) -> str:
    if error.get("invalidToken") is True:
        return INVALID_TOKEN
    return MISSING_TOKEN if error.get("missingToken") is True else str(error.get("code") or "")


def _quoted(part: str) -> str:
    return quote(part, safe="")


def _verdict(
    state: str, account: str, message: str, expires: str = "", missing: t.Sequence[str] = ()
) -> dict[str, t.Any]:
    return {"state": state, "account": account, "message": message, "expires": expires, "missing_scopes": list(missing)}
