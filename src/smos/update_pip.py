# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""An installed smos: pip brings in the new version from where the present one came from, and puts the present one back.

What was installed from an index is updated from that index, what came from a git address from the newest tag there, and what
came from a folder from that folder as it is now. What came from a single file has nowhere to ask, and never does an index
that it did not come from get asked for its name: somebody else may own the name there.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import rules
from smos import exitcodes, update_cli, update_git, update_steps
from smos.outcome import Failure, failure
from smos.project import Project
from smos.settings import Settings
from smos.update_kept import Kept
from smos.update_steps import Ended, Offer

PACKAGE = "smarteros"
INDEX, GIT, FOLDER, FILE = "index", "git", "folder", "file"


class PipWay:
    """The environment that this command is installed in. ``python``, ``pip`` and ``site`` are for tests."""

    tool = update_cli.TOOL

    def __init__(
        self,
        project: Project,
        to: str | None,
        settings: Settings,
        *,
        python: str = sys.executable,
        pip: Sequence[str] = (),
        site: Sequence[str] = (),
    ) -> None:
        self._project = project
        self._to = to
        self._settings = settings
        self._python = python
        self._pip = [*(pip or (python, "-m", "pip")), "--disable-pip-version-check", "--no-input"]
        self._folder = tempfile.TemporaryDirectory(prefix="smos-update-", ignore_cleanup_errors=True)
        self._kept = Kept(Path(self._folder.name), site or sys.path)
        self._wish = PACKAGE
        self._replaced: list[str] = []
        self._present = ""
        self._sound = True

    def look(self) -> Offer:
        """Ask pip what it would install. Raises Failure where it cannot tell."""
        installed = self._kept.distribution(PACKAGE)
        if installed is None:
            raise failure(exitcodes.UNUSABLE, PACKAGE, "it is not installed by pip", self._python, "pip install it")
        self._present = installed.version
        kind, origin = source(installed.read_text("direct_url.json"))
        if kind == FILE:
            why = f"it was installed from the file {origin}, and nothing says where newer ones are"
            raise failure(exitcodes.UNUSABLE, PACKAGE, why, self._python, "pip install the file of the new version")
        self._wish, newest = self._requirement(kind, origin)
        found = {each["metadata"]["name"]: each["metadata"]["version"] for each in self._report(self._wish)}
        wanted = str(found.get(PACKAGE, self._present))
        how = f"pip, from {kind} {origin}".rstrip()
        offer = Offer(update_cli.TOOL, how, self._present, newest or wanted, wanted, self._is_wanted(wanted))
        offer.blocked += update_steps.runs_now(self._project)
        self._replaced = [name for name in found if self._kept.distribution(name) is not None]
        return offer

    def move(self, offer: Offer) -> None:
        """Keep what is there, then install. Raises Failure, having gone back."""
        self._sound = not rules.judge_specs(self._project.specs_dir, self._settings.env)
        lost = [name for name in self._replaced if not self._kept.take(name)]
        if lost:
            why = f"it does not say which files it has, so there would be no way back: {', '.join(lost)}"
            raise failure(exitcodes.REFUSED, "pip", why, self._python, "Update it with what installed it")
        done = self._call("install", "--quiet", "--upgrade", self._wish)
        if done.code != 0:
            raise failure(exitcodes.FAILED, f"pip install of {offer.wanted}", done.said, self._python, self.back())

    def checks(self, offer: Offer) -> Iterator[dict[str, Any]]:
        """Start the new one in a fresh process; look whether it knows its commands and takes the specs."""
        smos = [self._python, "-P", "-m", "smos"]
        good = yield from update_cli.checked(
            f"smos --version says {offer.wanted}", [*smos, "--version"], f"smos {offer.wanted}"
        )
        if not good:
            return
        yield from update_cli.checked("smos --help", [*smos, "--help"])
        if self._sound:
            specs = ["--specs", str(self._project.specs_dir), "--env", self._settings.env]
            yield from update_cli.checked("smos validate", [*smos, *specs, "validate"])

    def back(self) -> str:
        """Put the packages back as they were; gives in words where that is."""
        try:
            self._kept.put_back()
        except OSError as exc:
            why = f"{exc.filename}: {exc.strerror}"
            following = f"pip install --force-reinstall {PACKAGE}=={self._present}"
            raise failure(exitcodes.FAILED, "the way back", why, self._python, following) from exc
        return f"{PACKAGE} {self._present} was put back, with {len(self._replaced) - 1} packages that it needs"

    def settle(self) -> None:
        """Throw away what was kept."""
        self._folder.cleanup()

    def _requirement(self, kind: str, origin: str) -> tuple[str, str]:
        """(what pip is asked for, the newest version where it is known already)."""
        if kind == FOLDER:
            if self._to:
                why = f"it was installed from the folder {origin}, which has one version"
                following = f"Move the folder to {self._to}, then run the command without --to"
                raise failure(exitcodes.INVALID, "--to", why, origin, following)
            return origin, ""
        if kind == GIT:
            known = update_git.releases(Path.cwd(), origin)
            newest, wanted = update_git.chosen(known, self._to, origin)
            return f"{PACKAGE} @ git+{origin}@{wanted}", newest[1:]
        return (f"{PACKAGE}=={self._to.removeprefix('v')}" if self._to else PACKAGE), ""

    def _is_wanted(self, wanted: str) -> bool:
        if self._to:
            return wanted != self._present
        return update_steps.version_key(self._present) < update_steps.version_key(wanted)

    def _report(self, wish: str) -> list[dict[str, Any]]:
        """What pip would install for a wish; nothing where all is there."""
        done = self._call("install", "--quiet", "--dry-run", "--report", "-", "--upgrade", wish)
        try:
            found = json.loads(done.out)["install"] if done.code == 0 else None
        except (ValueError, KeyError, TypeError):
            found = None
        if not isinstance(found, list):
            raise self._unusable(wish, done)
        return found

    def _unusable(self, what: str, done: Ended) -> Failure:
        following = "Check that pip works in this environment and reaches its index, then run the same command again"
        return failure(exitcodes.UNUSABLE, f"pip: {what}", done.said, self._python, following)

    def _call(self, *words: str) -> Ended:
        return update_steps.run([*self._pip, *words], patience=update_steps.INSTALL_S)


def source(direct_url: str | None) -> tuple[str, str]:
    """(kind, address) of where an installed package came from, by its `direct_url.json` (PEP 610)."""
    if not direct_url:
        return INDEX, ""
    read: Mapping[str, Any] = json.loads(direct_url)
    address = str(read["url"])
    place = unquote(urlsplit(address).path) if address.startswith("file:") else address
    if "vcs_info" in read:
        return GIT, address
    return (FOLDER if "dir_info" in read else FILE), place
