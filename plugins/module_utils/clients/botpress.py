# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Botpress 12 (self-hosted, Community): the bots of its one workspace, and what a login is good for.

There are no API keys: each client logs in with e-mail and password and gets a token for an hour. Routes and their
answers are followed from the source of botpress/v12 (12.26 to 12.31) and botpress/studio.
"""

from __future__ import annotations

import re
import threading
import time
import typing as t
from dataclasses import dataclass
from urllib.parse import quote

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import owner_of
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer, Http, Policy

ADMIN = "/api/v2/admin"
BOTS = f"{ADMIN}/workspace/bots"
WORKSPACE = "default"  # the only one of the Community edition
ARCHIVE = "application/tar+gzip"  # exactly so, else an import is refused
LOGIN_ERRORS: t.Mapping[str, str] = {
    "BP_0009": "the e-mail or the password is wrong",
    "BP_0010": "the password has expired: log in once in the browser and choose a new one",
    "BP_0011": "the account is locked after too many attempts",
}
OPEN = "converse answers without a token: set converse.enableUnsecuredEndpoint false"
UNCLAIMED = (
    "no user exists yet, so registration is open to anybody: start Botpress with BP_ADMIN_EMAIL and BP_ADMIN_PASSWORD"
)
WRITE_SCOPES = ("admin.bots", "admin.bots.archive", "bot.information")
EXISTS = "overwriting is not allowed"
EARLY = 60.0  # seconds before its end at which a token is renewed


@dataclass(frozen=True)
class BotState:
    """A bot as Botpress lists it. ``ours`` is our own part of its settings, empty for bots of others."""

    id: str
    name: str
    description: str
    category: str
    disabled: bool
    private: bool
    language: str
    languages: tuple[str, ...]
    secured: bool  # whether its own settings close converse for callers without a token
    ours: t.Mapping[str, str]

    @property
    def tenant(self) -> str | None:
        """The RUT of the tenant whose mark it bears, in our part of its settings or in its description."""
        return self.ours.get("tenant") or owner_of(self.description)


class BotpressHttp(Http):
    """The common HTTP policy with Botpress' error envelope and its answers that are no JSON."""

    def error(self, answer: Answer, where: str) -> ApiError:
        """The envelope ``{statusCode, errorCode, type, message}``; wrong credentials come with status 400."""
        plain = super().error(answer, where)
        body = answer.body if isinstance(answer.body, dict) else {}
        code, message = str(body.get("errorCode") or ""), body.get("message")
        if answer.status == 503 and "loading" in str(answer.body):
            return ApiError("Botpress is starting", errors.SERVER, 503, where=where)
        if code in LOGIN_ERRORS:
            return ApiError(LOGIN_ERRORS[code], errors.REFUSED, answer.status, code, where)
        if not isinstance(message, str) or not message:
            return plain
        text = self.shown(message.replace("&#x2F;", "/"))
        kind = errors.CONFLICT if EXISTS in message else plain.kind  # it comes with status 400
        return ApiError(f"{text} (HTTP {answer.status})", kind, answer.status, code, where)

    def _parsed(self, raw: bytes, response: t.Any, where: str) -> t.Any:
        kind = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
        if response.status_code < 400 and kind == ARCHIVE:
            return raw
        if response.status_code < 400 and kind == "text/plain" and raw == b"OK":
            return "OK"
        return super()._parsed(raw, response, where)


class Botpress:
    """The bots of one Botpress. Raises ApiError; safe to use from many threads."""

    def __init__(
        self, http: BotpressHttp, email: str, password: str, clock: t.Callable[[], float] = time.monotonic
    ) -> None:
        self.http = http
        self._email, self._password = email, password
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def bots(self) -> dict[str, BotState]:
        """All bots of the workspace by id, suspended ones too; one request, there are no pages."""
        payload = self._payload(self._call("GET", BOTS), f"GET {BOTS}")
        workspace = payload.get("workspace")
        prefix = workspace.get("botPrefix") if isinstance(workspace, dict) else ""
        if prefix:  # every bot would be made as <prefix>__<id>
            raise ApiError(f"the workspace has the botPrefix {prefix!r}: remove it from workspaces.json")
        rows = payload.get("bots")
        if not isinstance(rows, list):
            raise ApiError("expected a list of bots", where=f"GET {self.http.base_url}{BOTS}")
        found = [state_of(row) for row in rows if isinstance(row, dict) and row.get("id")]
        return {bot.id: bot for bot in found}

    def create(self, bot: str, archive: bytes, is_it: t.Callable[[BotState], bool]) -> None:
        """Import a new bot; refused when one of this id exists. ``is_it`` knows the bot after an unknown outcome."""

        def find() -> bool | None:
            made = self.bots().get(bot)
            return True if made is not None and is_it(made) else None

        def send(headers: dict[str, str]) -> t.Any:
            return self.http.create(_path(bot, "import"), archive, find, {**headers, "Content-Type": ARCHIVE})

        try:
            self._again(send)
        except ApiError as exc:
            # after an unknown outcome a slow import may have ended only when we had looked
            if exc.kind != errors.CONFLICT or find() is None:
                raise

    def replace(self, bot: str, archive: bytes) -> None:
        """Import over an existing bot: files that the archive does not have are deleted."""
        headers, query = {"Content-Type": ARCHIVE}, {"overwrite": "true"}
        self._call("POST", _path(bot, "import"), archive, headers, query, repeat=True)

    def export(self, bot: str) -> t.Any:
        """The archive of a bot (bytes), without trained models; what it holds is for ``botpress_archive.unpack``."""
        return self._call("GET", _path(bot, "export"))

    def configure(self, bot: str, settings: t.Mapping[str, t.Any]) -> None:
        """Change settings that the studio's form has.

        ``disabled``, ``defaultLanguage`` and ``languages`` must be among them: without the first Botpress mounts a
        suspended bot, without the second it translates all texts to no language at all.
        """
        self._call("POST", f"/api/v1/studio/{quote(bot, safe='')}/config", dict(settings), repeat=True)

    def delete(self, bot: str) -> None:
        """Delete a bot for good; one that is gone is as good."""
        try:
            self._call("POST", _path(bot, "delete"), {}, repeat=True)
        except ApiError as exc:
            if exc.kind not in (errors.INVALID, errors.MISSING) or self._call("GET", _path(bot, "exists")) is not False:
                raise

    def is_open(self, bot: str) -> bool:
        """Whether converse takes messages for this bot without a token.

        The message that is sent is not valid, so it is refused one way or the other, and no user or talk is made.
        """
        try:
            self.http.request(
                "POST", f"/api/v1/bots/{quote(bot, safe='')}/converse/smarteros-check", json={}, repeat=True
            )
        except ApiError as exc:
            if exc.kind == errors.INVALID and exc.status == 400:
                return True
            if exc.status in (401, 403, 404):  # closed; a suspended bot answers 404
                return False
            raise
        return True

    def check(self) -> dict[str, t.Any]:
        """What the login is good for: state (valid | invalid | insufficient | unreachable), account, message."""
        verdict: dict[str, t.Any] = {"state": "valid", "account": self._email, "message": "", "missing_scopes": []}
        try:
            config = self._payload(self.http.request("GET", f"{ADMIN}/auth/config").body, "GET auth/config")
            if config.get("isFirstUser"):
                return {**verdict, "state": "invalid", "account": "", "message": UNCLAIMED}
            missing = self._missing_scopes()
            found = self.bots()
            open_bots = [bot.id for bot in found.values() if not bot.secured and not bot.disabled][:1]
            warning = f"; {OPEN}" if any(self.is_open(bot) for bot in open_bots) else ""
        except ApiError as exc:
            return {**verdict, **self._verdict(exc)}
        if missing:
            words = f"the user may not write {', '.join(missing)}: it needs the role admin"
            return {**verdict, "state": "insufficient", "message": words, "missing_scopes": missing}
        return {**verdict, "message": f"the login may manage the workspace's bots ({len(found)}){warning}"}

    def claimed(self, wishes: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, str]:
        """For new tenants (merged tenants, with ``id`` and ``slug``): id -> why their bot's id is not free."""
        if not wishes:
            return {}
        found, taken = self.bots(), {}
        for tenant in wishes:
            bot = found.get(str(tenant["slug"]))
            if bot is not None and bot.tenant != tenant["id"]:
                owner = f"belongs to {bot.tenant}" if bot.tenant else "does not bear our mark"
                taken[str(tenant["id"])] = f"a bot {bot.id!r} exists and {owner}"
        return taken

    def usage(self, tenants: t.Iterable[t.Mapping[str, t.Any]]) -> dict[str, dict[str, int]]:
        """How many bots bear each tenant's mark: id -> {"bots": n}; one request for all."""
        wanted = [str(tenant["id"]) for tenant in tenants]
        owners = [bot.tenant for bot in self.bots().values()] if wanted else []
        return {rut: {"bots": owners.count(rut)} for rut in wanted}

    def _missing_scopes(self) -> list[str]:
        """What the user's role lacks; a super admin lacks nothing."""
        profile = self._payload(self._call("GET", f"{ADMIN}/user/profile"), "GET user/profile")
        rules = profile.get("permissions")
        if profile.get("isSuperAdmin") or not isinstance(rules, list):
            return []
        return [scope for scope in WRITE_SCOPES if not allowed(rules, scope)]

    def _verdict(self, exc: ApiError) -> dict[str, t.Any]:
        if exc.kind == errors.REFUSED and exc.status != 403:
            return {"state": "invalid", "account": "", "message": exc.message}
        if exc.kind == errors.REFUSED:
            return {"state": "insufficient", "message": exc.message, "missing_scopes": ["admin.bots"]}
        return {"state": "unreachable", "account": "", "message": exc.message}

    def _call(
        self,
        method: str,
        path: str,
        body: t.Any = None,
        headers: t.Mapping[str, str] | None = None,
        params: t.Mapping[str, t.Any] | None = None,
        repeat: bool | None = None,
    ) -> t.Any:
        def send(own: t.Mapping[str, str]) -> t.Any:
            every = {**own, **(headers or {})}
            return self.http.request(method, path, params=params, json=body, headers=every, repeat=repeat).body

        return self._again(send)

    def _again(self, send: t.Callable[[dict[str, str]], t.Any]) -> t.Any:
        """Send with a valid token; with a new one when Botpress no longer takes it (its server was started anew)."""
        token = self._valid_token()
        try:
            return send(_headers(token))
        except ApiError as exc:
            if exc.status != 401:
                raise
        return send(_headers(self._valid_token(refused=token)))

    def _valid_token(self, refused: str = "") -> str:
        with self._lock:
            if not self._token or self._token == refused or self._clock() > self._until:
                self._token, lasts = self._login()
                self._until = self._clock() + lasts - EARLY
            return self._token

    def _login(self) -> tuple[str, float]:
        """A token and for how many seconds it is good."""
        path = f"{ADMIN}/auth/login/basic/default"
        body = {"email": self._email, "password": self._password}
        payload = self._payload(self.http.request("POST", path, json=body, repeat=True).body, f"POST {path}")
        token, lasts = payload.get("jwt"), payload.get("exp")
        if not isinstance(token, str) or not token:
            why = "the login gives no token: set jwtToken.useCookieStorage false"
            raise ApiError(why, errors.INVALID, where=self.http.base_url)
        self.http.hide(token)
        seconds = lasts / 1000 if isinstance(lasts, (int, float)) and lasts > 0 else 3600.0
        return token, max(seconds, 2 * EARLY)

    def _payload(self, body: t.Any, what: str) -> t.Mapping[str, t.Any]:
        payload = body.get("payload") if isinstance(body, dict) else None
        if isinstance(payload, dict):
            return payload
        raise ApiError(f"{what}: expected an object, got {self.http.shown(body)}", where=self.http.base_url)


def connect(connection: t.Mapping[str, str], policy: Policy | None = None) -> Botpress:
    """A client. ``connection`` has url, email and password; sends nothing yet."""
    password = connection["password"]
    http = BotpressHttp(connection["url"], {"X-BP-Workspace": WORKSPACE}, secrets=(password,), policy=policy)
    return Botpress(http, connection["email"], password)


def state_of(row: t.Mapping[str, t.Any]) -> BotState:
    """A bot's settings of the API in our words."""
    converse, ours, languages = row.get("converse"), row.get("smarteros"), row.get("languages")
    own = ours if isinstance(ours, dict) else {}
    return BotState(
        id=str(row["id"]),
        name=str(row.get("name") or ""),
        description=str(row.get("description") or ""),
        category=str(row.get("category") or ""),
        disabled=bool(row.get("disabled")),
        private=bool(row.get("private")),
        language=str(row.get("defaultLanguage") or ""),
        languages=tuple(str(each) for each in languages) if isinstance(languages, list) else (),
        secured=isinstance(converse, dict) and converse.get("enableUnsecuredEndpoint") is False,
        ours={str(key): str(value) for key, value in own.items()},
    )


def allowed(rules: t.Sequence[t.Any], scope: str) -> bool:
    """Whether a role's rules (``{"res": "admin.*", "op": "+r-w"}``, later ones win) let a user read and write a scope."""
    may = {"r": False, "w": False}
    for rule in rules:
        if not isinstance(rule, dict):
            continue
        pattern = ".*".join(re.escape(part) for part in str(rule.get("res", "")).split("*"))
        if re.fullmatch(pattern, scope):
            may.update({kind: sign == "+" for sign, kind in re.findall(r"([+-])([rw])", str(rule.get("op", "")))})
    return all(may.values())


def _headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _path(bot: str, verb: str) -> str:
    return f"{BOTS}/{quote(bot, safe='')}/{verb}"
