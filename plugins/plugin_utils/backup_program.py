# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Pack the backups' program into one file that any Python of a machine runs: our module_utils that it needs, and nothing else.

The same sources give the same bytes, on every controller: nothing is compressed, and all entries bear the same time.
"""

from __future__ import annotations

import ast
import io
import zipfile
from pathlib import Path, PurePosixPath

COLLECTION = Path(__file__).parents[2]
PACKAGE = "ansible_collections.smartercl.smarteros."
PROGRAM = "plugins.module_utils.backup.program"
INTERPRETER = b"#!/usr/bin/python3 -I\n"
WHEN = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows
_MAIN = f"""import sys

from {PACKAGE}{PROGRAM} import main

sys.exit(main())
"""


class PackError(Exception):
    """The program cannot be packed: a file of ours is not there, or is no Python."""


def pack(root: Path = COLLECTION, program: str = PROGRAM) -> bytes:
    """The program as a file that can be run. Raises PackError."""
    files = {"__main__.py": _MAIN.replace(PROGRAM, program).encode()}
    # Each folder is a package of its own, so that no collection that is installed on the machine comes before it
    for module, source in modules(root, program).items():
        path = PurePosixPath(*f"{PACKAGE}{module}".split("."))
        files |= {str(folder / "__init__.py"): b"" for folder in path.parents if folder.name}
        files[f"{path}.py"] = source
    made = io.BytesIO()
    made.write(INTERPRETER)
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, WHEN)
            entry.create_system = 3  # Unix, also where this is packed on another
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return made.getvalue()


def modules(root: Path, program: str) -> dict[str, bytes]:
    """The sources of a module and of all of ours that it imports, by their names below the collection. Raises PackError."""
    found: dict[str, bytes] = {}
    waiting = [program]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = root.joinpath(*name.split(".")).with_suffix(".py")
        try:
            found[name] = path.read_bytes()
            waiting += _imported(ast.parse(found[name]), root)
        except (OSError, SyntaxError, ValueError) as exc:
            raise PackError(f"{path} cannot be packed: {exc}") from exc
    return found


def _imported(tree: ast.Module, root: Path) -> list[str]:
    """Our modules that a source imports, wherever in it."""
    named: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named += [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            named += _members(node, root)
    return [name.removeprefix(PACKAGE) for name in named if name.startswith(PACKAGE)]


def _members(node: ast.ImportFrom, root: Path) -> list[str]:
    """What `from … import …` loads: the module itself, or where that is a folder, those of its files."""
    module = str(node.module)
    folder = root.joinpath(*module.removeprefix(PACKAGE).split("."))
    if module.startswith(PACKAGE) and folder.is_dir():
        return [f"{module}.{each.name}" for each in node.names]
    return [module]
