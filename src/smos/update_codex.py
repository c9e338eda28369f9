# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos update codex`: the Codex CLI, which is an npm package installed for all of npm's global folder."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smos import exitcodes, update_steps, work
from smos.outcome import Failure, Speaker, failure
from smos.settings import Settings
from smos.update_steps import Ended, Offer

PACKAGE = "@openai/codex"
TOOL = "codex"
_SHOWN_VERSION = re.compile(r"\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?")


def carry_out(settings: Settings) -> int:
    """Update the Codex CLI; gives the exit code."""
    speaker = Speaker("update codex", settings.env, settings.as_json)
    project = work.project_for(settings)
    return update_steps.carry_out(Codex(), settings, speaker, project)


class Codex:
    """The package as npm sees it."""

    tool = TOOL

    def __init__(self) -> None:
        self._npm = shutil.which("npm")
        self._root = ""
        self._former: str | None = None

    def look(self) -> Offer:
        """Ask npm for the version that is here and for the newest one. Raises Failure where npm cannot tell."""
        if self._npm is None:
            following = (
                "Install Node.js with npm (nodejs.org, or the package of this system), then run the same command again"
            )
            raise failure(
                exitcodes.UNUSABLE, "npm", f"there is none on PATH, and {PACKAGE} comes by npm", "", following
            )
        present, newest = self._present(), self._newest()
        self._former = present
        due = present is None or update_steps.version_key(present) < update_steps.version_key(newest)
        offer = Offer(
            f"Codex CLI {PACKAGE}", f"npm, {self._folder()}", present, newest, newest if due else present or "", due
        )
        if not due and present != newest:
            offer.notes.append("what is here is newer than what npm calls the newest")
        if due:
            self._judge(offer)
        return offer

    def move(self, offer: Offer) -> None:
        """Let npm install exactly the wanted version."""
        done = self._call("install", "--global", f"{PACKAGE}@{offer.wanted}", patience=update_steps.INSTALL_S)
        if done.code != 0:
            said = self.back()
            raise failure(exitcodes.FAILED, "npm install", done.said, self._folder(), f"{said}. Repair what npm names")

    def checks(self, offer: Offer) -> Iterator[dict[str, Any]]:
        """Run the new one: it must say its version."""
        program = self._program()
        what = f"{program} --version says {offer.wanted}"
        try:
            done = update_steps.run([str(program), "--version"])
        except OSError as exc:
            yield {"what": what, "ok": False, "message": f"it does not start: {exc.strerror}"}
            return
        found = _SHOWN_VERSION.search(done.out)
        good = done.code == 0 and found is not None and found[0] == offer.wanted
        yield {"what": what, "ok": good, "message": "" if good else f"it ended with {done.code}: {done.said}"}

    def back(self) -> str:
        """Put the former version back, or take away what was not there."""
        if self._former is None:
            done, words = self._call("uninstall", "--global", PACKAGE), "It was taken away again"
        else:
            wanted = f"{PACKAGE}@{self._former}"
            done = self._call("install", "--global", wanted, patience=update_steps.INSTALL_S)
            words = f"{self._former} was put back"
        if done.code == 0:
            return words
        return f"The way back failed as well ({done.said}): npm install --global {PACKAGE}@{self._former or 'VERSION'}"

    def settle(self) -> None:
        """Nothing is kept for the way back."""

    def _present(self) -> str | None:
        """The version that npm has installed. npm ends with 1 where there is none, and says so in its JSON."""
        done = self._call("ls", "--global", "--depth=0", "--json", PACKAGE)
        try:
            found = json.loads(done.out or "{}").get("dependencies", {}).get(PACKAGE, {})
        except ValueError:
            raise self._unusable(done) from None
        return found.get("version") or None

    def _newest(self) -> str:
        done = self._call("view", PACKAGE, "version", "--json")
        try:
            newest = json.loads(done.out) if done.code == 0 else None
            update_steps.version_key(str(newest))
        except ValueError:
            raise self._unusable(done) from None
        return str(newest)

    def _unusable(self, done: Ended) -> Failure:
        following = "Check the network, the proxy and npm's registry (npm config get registry)"
        return failure(exitcodes.UNUSABLE, "npm", done.said, "", following)

    def _judge(self, offer: Offer) -> None:
        """Tell before anything is touched why an update would not go well."""
        folder, other = Path(self._folder()), shutil.which(TOOL)
        if other and self._former is None and Path(other) != self._program():
            why = "it is here already, and npm did not install it; there would be two"
            following = "Update it with what installed it, or take it away first"
            offer.blocked.append({"what": TOOL, "where": other, "why": why, "next": following})
        place = next(each for each in (folder, *folder.parents) if each.exists())
        if not os.access(place, os.W_OK):
            why = "npm's global folder cannot be written by this user"
            following = "npm config set prefix ~/.local (and put ~/.local/bin on PATH), or run the command as its owner"
            offer.blocked.append({"what": "npm", "where": str(folder), "why": why, "next": following})
            offer.code = exitcodes.UNUSABLE

    def _folder(self) -> str:
        """Where npm keeps what it installs for all."""
        if not self._root:
            done = self._call("root", "--global")
            if done.code != 0 or not done.out.strip():
                raise self._unusable(done)
            self._root = done.out.strip()
        return self._root

    def _program(self) -> Path:
        """The program that npm puts beside the folder of its packages: PREFIX/lib/node_modules → PREFIX/bin."""
        return Path(self._folder()).parents[1] / "bin" / TOOL

    def _call(self, *words: str, patience: float = update_steps.PATIENCE_S) -> Ended:
        quiet = {"NO_UPDATE_NOTIFIER": "1", "npm_config_fund": "false", "npm_config_audit": "false"}
        try:
            return update_steps.run([str(self._npm), *words], env={**os.environ, **quiet}, patience=patience)
        except OSError as exc:
            following = "Repair npm (npm --version must run)"
            raise failure(
                exitcodes.UNUSABLE, "npm", f"it does not start: {exc.strerror}", str(self._npm), following
            ) from exc
