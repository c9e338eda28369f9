"""The machine of an environment as its inventory knows it, and the SSH command line that reaches it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smos import exitcodes, play
from smos.outcome import failure
from smos.project import Project
from smos.settings import Settings

PLAYBOOK = "reach.yml"
DEBUG = ("ansible.builtin.debug", "debug")


@dataclass(frozen=True)
class Machine:
    """Where and as whom to log in."""

    name: str
    host: str
    user: str
    port: int
    key: str
    options: tuple[str, ...]

    def ssh(self, command: Sequence[str]) -> list[str]:
        """The argument list that runs a command there. It holds no secret."""
        words = ["ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", *self.options, "-p", str(self.port)]
        words += ["-i", self.key] if self.key else []
        sudo = [] if self.user == "root" else ["sudo", "-n"]
        return [*words, f"{self.user}@{self.host}", shlex.join([*sudo, *command])]


def machine(project: Project, settings: Settings) -> Machine:
    """The first host of group vps. Raises Failure where the inventory names none."""
    told: list[Mapping[str, Any]] = []

    def take(event: play.Event) -> None:
        data = event.get("event_data", {})
        if event["event"] == "runner_on_ok" and data.get("task_action") in DEBUG:
            told.append(data["res"]["msg"])

    played = play.run(play.Play(PLAYBOOK, ""), project, settings, take)
    if not told:
        where = str(project.root / "inventories" / settings.env)
        why = played.errors[0]["why"] if played.errors else "the inventory has no host in group vps"
        raise failure(exitcodes.UNUSABLE, "the machine", why, where, "Name it in hosts.yml")
    found = told[0]
    return Machine(
        name=str(found["name"]),
        host=str(found["host"]),
        user=str(found["user"]),
        port=int(found["port"]),
        key=str(found["key"]),
        options=tuple(shlex.split(str(found["options"]))),
    )
