"""What happens to a call, whatever it came by: scope, arguments, plan, command, audit. Nothing of the SDK is known here."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smos import exitcodes
from smos.mcp import clean, tools
from smos.mcp.audit import Audit
from smos.mcp.clients import Client
from smos.mcp.command import Commands, NoAnswer, Tick
from smos.mcp.library import LONGEST_PIECE, Library
from smos.mcp.plans import PlanRefused, Plans
from smos.mcp.prompts import PROMPTS, Prompt
from smos.redact import Redactor

DATA_ONLY = ["result", "errors"]


class Refused(Exception):
    """A call was refused and nothing was done; the message says why, and how to go on."""


@dataclass
class Service:
    """The server's work in one environment. ``check`` never acts: plans have no tokens."""

    env: str
    commands: Commands
    library: Library
    audit: Audit
    redactor: Redactor
    check: bool = False
    plans: Plans = field(default_factory=Plans)

    def allowed(self, client: Client) -> list[tools.Tool]:
        """The tools that a client may see and call."""
        return [tool for tool in tools.TOOLS.values() if tool.scope in client.scopes]

    async def call(self, client: Client, name: str, given: Any, tick: Tick) -> dict[str, Any]:
        """Carry a call out and give its answer. Raises Refused; raises OSError where the audit cannot be written."""
        arguments = {} if given is None else given
        try:
            tool = self._tool(client, name, arguments)
            token = arguments.get("plan_token")
            asked = {key: value for key, value in arguments.items() if key != "plan_token"}
            if token is not None:
                self._redeem(client, tool, asked, token)
        except Refused as exc:
            self._tell("refused", client, name, _without_token(arguments), why=str(exc))
            raise
        acts = token is not None
        if acts:
            self._tell("started", client, name, asked)
        answer = await self._answer(tool, asked, acts, tick)
        if tool.writes and not acts and answer["ok"] and not self.check:
            answer["plan_token"] = self.plans.issue(client.name, self.env, tool.name, asked)
        event = "done" if answer["ok"] else "failed"
        self._tell(event, client, name, asked, acted=acts, code=answer["exit_code"], run=answer["run"])
        return answer

    def read(self, client: Client, uri: str) -> tuple[str, str]:
        """(text, MIME type) of a page. Raises Refused."""
        page = self.library.page(uri) if "read" in client.scopes else None
        if page is None:
            self._tell("refused", client, "resources/read", {"uri": uri}, why="no such page")
            raise Refused("there is no such resource; see resources/list")
        self._tell("done", client, "resources/read", {"uri": uri})
        return page.path.read_text(encoding="utf-8"), page.mime_type

    def prompt(self, client: Client, name: str, values: Mapping[str, str]) -> str:
        """The text of a prompt. Raises Refused."""
        try:
            text = _prompt(client, name).filled(values)
        except (Refused, tools.ArgumentsRefused) as exc:
            self._tell("refused", client, f"prompts/get {name}", dict(values), why=str(exc))
            raise Refused(str(exc)) from None
        self._tell("done", client, f"prompts/get {name}", dict(values))
        return text

    def _tool(self, client: Client, name: str, arguments: Any) -> tools.Tool:
        tool = tools.TOOLS.get(name)
        if tool is None:
            raise Refused("there is no such tool; see tools/list")
        if tool.scope not in client.scopes:
            raise Refused(f"client {client.name} lacks the scope {tool.scope} (specs/mcp/clients.yml)")
        if not isinstance(arguments, dict):
            raise Refused("the arguments are no object")
        if len(json.dumps(arguments)) > tools.LARGEST_CALL:
            raise Refused(f"the arguments are larger than {tools.LARGEST_CALL} bytes")
        try:
            tools.check(tool, arguments)
        except tools.ArgumentsRefused as exc:
            raise Refused(str(exc)) from None
        return tool

    def _redeem(self, client: Client, tool: tools.Tool, asked: Mapping[str, Any], token: str) -> None:
        if self.check:
            raise Refused("the server was started with --check and changes nothing")
        try:
            self.plans.redeem(token, client.name, self.env, tool.name, asked)
        except PlanRefused as exc:
            raise Refused(str(exc)) from None

    async def _answer(self, tool: tools.Tool, asked: Mapping[str, Any], acts: bool, tick: Tick) -> dict[str, Any]:
        if tool.words is None:
            return self._of_library(tool, asked)
        words = tool.words(asked)
        if tool.writes:
            words = ["--yes" if acts else "--check", *words]
        started = time.monotonic()
        try:
            code, document = await self.commands.run(words, tool.limit_s, tick)
        except NoAnswer as exc:
            error = {"what": tool.name, "where": self.env, "why": str(exc), "next": "See the tool `history`"}
            took = round(time.monotonic() - started, 3)
            return self._document(tool.name, exitcodes.FAILED, {}, [error], took)
        answer = {**clean.data(document, self.redactor), "exit_code": code, "data_only": DATA_ONLY}
        if tool.name == "tenants_list" and answer["ok"]:
            answer["result"] = _page(answer["result"]["tenants"], asked)
        return answer

    def _of_library(self, tool: tools.Tool, asked: Mapping[str, Any]) -> dict[str, Any]:
        if tool.name == "docs_search":
            return self._document(
                tool.name, 0, {"found": self.library.search(asked["query"], asked.get("limit", 8))}, []
            )
        page = self.library.page(asked["uri"])
        if page is None:
            error = {"what": asked["uri"], "where": "docs", "why": "there is no such page", "next": "See docs_search"}
            return self._document(tool.name, exitcodes.INVALID, {}, [error])
        text, start = page.path.read_text(encoding="utf-8"), asked.get("offset", 0)
        end = start + LONGEST_PIECE
        result = {"uri": page.uri, "text": text[start:end], "next_offset": end if end < len(text) else None}
        return self._document(tool.name, 0, result, [])

    def _document(
        self, name: str, code: int, result: Mapping[str, Any], errors: list[dict[str, str]], took: float = 0.0
    ) -> dict[str, Any]:
        return {
            "command": name,
            "env": self.env,
            "run": None,
            "ok": code == exitcodes.DONE,
            "changed": False,
            "duration_s": took,
            "exit_code": code,
            "result": dict(result),
            "errors": errors,
            "data_only": DATA_ONLY,
        }

    def _tell(self, event: str, client: Client, name: str, arguments: Any, **more: Any) -> None:
        self.audit.tell(event, client.name, name, arguments, env=self.env, **more)


def _prompt(client: Client, name: str) -> Prompt:
    if name not in PROMPTS or "read" not in client.scopes:
        raise Refused("there is no such prompt; see prompts/list")
    return PROMPTS[name]


def _without_token(arguments: Any) -> Any:
    if not isinstance(arguments, dict):
        return str(type(arguments).__name__)
    return {key: value for key, value in arguments.items() if key != "plan_token"}


def _page(rows: list[Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    start = asked.get("offset", 0)
    return {"tenants": rows[start : start + asked.get("limit", 100)], "total": len(rows)}
