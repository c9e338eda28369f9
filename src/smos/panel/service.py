# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What happens to a message, whatever it came by: who may, what it says, confirmation, command, answer; all of it written down."""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio

from smos.mcp import clean
from smos.mcp.audit import Audit
from smos.mcp.command import Commands, NoAnswer
from smos.panel import answers, grammar
from smos.panel.codes import CodeRefused, Codes
from smos.panel.grammar import Cancellation, Command, Confirmation, NotUnderstood
from smos.panel.history import History
from smos.panel.people import masked
from smos.panel.seen import Seen
from smos.panel.webhook import Message
from smos.redact import Redactor

READ_S, WRITE_S = 180, 3600
LAST_WORDS_S = 15.0  # for an answer when the panel is told to end

Send = Callable[[str, str], Awaitable[str]]
"""Sends a text to a number; gives why it could not, or nothing."""
Json = dict[str, Any]


@dataclass
class Service:
    """The panel's work in one environment. ``check`` never acts: nothing can be confirmed."""

    env: str
    numbers: frozenset[str]
    own: str
    """The id of the number that commands are sent to: an app may have others, which customers write to."""
    commands: Commands
    history: History
    audit: Audit
    seen: Seen
    redactor: Redactor
    send: Send
    check: bool = False
    codes: Codes = field(default_factory=Codes)

    def accept(self, message: Message) -> bool:
        """Whether a message is to be worked on; why not is written down. Raises StoreBroken and OSError."""
        why = self._refusal(message)
        if why:
            self.refuse(message, why)
        return not why

    def _refusal(self, message: Message) -> str:
        if message.to != self.own:
            return "it was sent to another number of the app"
        if message.sender not in self.numbers:
            return "the number is not on the list"
        if not self.seen.timely(message.at):
            return "it is too old, or from the time to come"
        return "" if self.seen.first(message.id) else "it came before"

    def refuse(self, message: Message, why: str) -> None:
        """Write down that a message is not worked on. What strangers write is not kept."""
        self._tell("refused", message, message.kind, why=why)

    def refuse_request(self, status: int, why: str) -> None:
        """Write down a request that brought no message: who sent it is not known."""
        self.audit.tell("refused", "", "request", env=self.env, code=status, why=why)

    async def turn_away(self, message: Message) -> None:
        """Tell a person that too much waits already."""
        self.refuse(message, "too many messages wait")
        await self._say(message, answers.BUSY)

    async def attempt(self, message: Message) -> None:
        """Work on a message; what goes wrong spares the messages after it. Who is interrupted is told so."""
        try:
            await self.work(message)
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(LAST_WORDS_S, shield=True):
                await self._say(message, answers.STOPPED)
            raise
        except Exception as exc:  # noqa: BLE001 - whatever it was, the next message is to be answered
            sys.stderr.write(f"smos panel: {type(exc).__name__}: {self.redactor.text(str(exc))}\n")
            await self._say(message, answers.BROKEN)

    async def work(self, message: Message) -> None:
        """Carry a message out and answer it. Raises OSError where it cannot be written down; then nothing is done."""
        if message.text is None:
            self.refuse(message, "it is no text")
            await self._say(message, answers.ONLY_TEXT)
            return
        try:
            wish = grammar.parsed(message.text)
        except NotUnderstood as exc:
            self._tell("refused", message, "no command", arguments=message.text, why=str(exc))
            await self._say(message, f"{exc} Escribe ayuda para ver qué entiendo.")
            return
        if isinstance(wish, Cancellation):
            known = self.codes.forget(message.sender)
            self._tell("done", message, "NO")
            await self._say(message, answers.CANCELLED if known else answers.NOTHING_WAITS)
        elif isinstance(wish, Confirmation):
            await self._confirm(message, wish)
        else:
            await self._carry_out(message, wish, acts=False)

    async def _confirm(self, message: Message, wish: Confirmation) -> None:
        try:
            command = self.codes.redeem(message.sender, wish.code)
        except CodeRefused as exc:
            self._tell("refused", message, "SI", why=str(exc))
            await self._say(message, str(exc))
            return
        await self._carry_out(message, command, acts=True)

    async def _carry_out(self, message: Message, command: Command, *, acts: bool) -> None:
        """Run a command, keep it in the history, and answer."""
        who = masked(message.sender)
        self._tell("started", message, str(command), acts=acts)
        run = self.history.begin(str(command), who, acts)
        started, document = time.monotonic(), _nothing(answers.BROKEN)
        try:
            if acts:
                await self._say(message, answers.begun(command))
            document, text = await self._answer(message.sender, command, acts=acts)
        finally:
            took = round(time.monotonic() - started, 3)
            self.history.end(run, command.name, document, took)
            event = "done" if document["ok"] else "failed"
            self._tell(event, message, str(command), acts=acts, run=run, of=document["run"])
        await self._say(message, text)

    async def _answer(self, number: str, command: Command, *, acts: bool) -> tuple[Json, str]:
        """(document of the command, text for the person)."""
        if command.name == grammar.HELP:
            return _nothing("", ok=True), answers.HELP
        if not command.changes:
            return await self._look(command, number)
        if acts:
            document = await self._run(["--yes", *grammar.line(command)], number, WRITE_S)
            return document, answers.done(command, document)
        return await self._propose(command, number)

    async def _look(self, command: Command, number: str) -> tuple[Json, str]:
        document = await self._run(grammar.line(command), number)
        text = answers.told(command, document, self.env)
        if command.name == grammar.STATUS and not document["ok"]:
            # The machine is not all that there is
            listed = await self._run(grammar.line(Command(grammar.TENANTS)), number)
            text += f"\n{answers.phases_of(listed['result'].get('tenants', []))}" if listed["ok"] else ""
        return document, text

    async def _propose(self, command: Command, number: str) -> tuple[Json, str]:
        """What it would do, with the code that allows exactly that."""
        shown = None
        if command.name != grammar.BACKUP:
            shown = await self._run(grammar.line(Command(grammar.TENANT, command.words)), number)
            if not shown["ok"]:
                return shown, answers.failed(command, shown)
        document = await self._run(["--check", *grammar.line(command)], number)
        if not document["ok"]:
            return document, answers.failed(command, document)
        if not document["result"].get("changes"):
            self.codes.forget(number)
            return document, answers.nothing_to_do(command, shown, self.env)
        said = answers.proposal(command, shown, document, self.env)
        if self.check:
            return document, f"{said}\n{answers.LOOKS_ONLY}"
        return document, f"{said}\n{answers.question(self.codes.issue(number, command))}"

    async def _run(self, words: list[str], number: str, limit_s: float = READ_S) -> Json:
        """The document of a command of `smos`, without secrets."""
        commands = self.history.on_behalf(self.commands, masked(number))
        try:
            code, document = await commands.run(words, limit_s, _no_tick)
        except NoAnswer as exc:
            return _nothing(str(exc), what=words[-1])
        found: Json = clean.data(document, self.redactor)
        return {**found, "exit_code": code}

    async def _say(self, message: Message, text: str) -> None:
        why = await self.send(message.sender, answers.fitted(self.redactor.text(text)))
        if why:
            self._tell("unsent", message, "answer", why=why)

    def _tell(self, event: str, message: Message, what: str, *, arguments: Any = None, **more: Any) -> None:
        self.audit.tell(event, masked(message.sender), what, arguments, env=self.env, message=message.id, **more)


async def _no_tick(_seconds: float) -> None:
    return


def _nothing(why: str, *, ok: bool = False, what: str = "panel") -> Json:
    """A document where no command gave one."""
    errors: list[Mapping[str, str]] = [] if ok else [{"what": what, "where": "", "why": why, "next": "smos history"}]
    return {"ok": ok, "changed": False, "run": None, "result": {}, "errors": errors, "exit_code": 0 if ok else 1}
