# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Installed packages, kept as they are while pip replaces them, and put back without asking an index."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path


class Kept:
    """Copies of the files of installed packages. ``site`` is where packages are looked for, as `sys.path`."""

    def __init__(self, folder: Path, site: Sequence[str]) -> None:
        self._folder = folder
        self._site = list(site)
        self._files: dict[str, dict[Path, Path]] = {}

    def distribution(self, name: str) -> metadata.Distribution | None:
        """A package as it is installed now."""
        return next(iter(metadata.distributions(name=name, path=self._site)), None)

    def take(self, name: str) -> bool:
        """Copy the files of a package; False where it does not tell which they are, as one that pip did not install."""
        found = self.distribution(name)
        if found is None or found.files is None:
            return False
        copies = {}
        for number, place in enumerate(_places(found)):
            if place.is_file():
                copy = self._folder / name / str(number)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(place, copy)
                copies[place] = copy
        self._files[name] = copies
        return True

    def put_back(self) -> None:
        """Bring every package that was taken to its former state. Raises OSError."""
        for name, copies in self._files.items():
            found = self.distribution(name)
            for place in _places(found) if found is not None else []:
                if place not in copies:
                    place.unlink(missing_ok=True)
                    _without_empty(place.parent)
            for place, copy in copies.items():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(copy, place)


def _places(found: metadata.Distribution) -> list[Path]:
    return [Path(str(found.locate_file(file))).absolute() for file in found.files or ()]


def _without_empty(folder: Path) -> None:
    """Take a folder away where nothing is in it; a dist-info folder that stayed would be a package for pip."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
