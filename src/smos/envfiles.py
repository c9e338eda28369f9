"""Environment files: `system/env/<environment>/.env` and `.env.<service>`, one `NAME=value` a line.

What a file says holds only where the process's own environment does not say it. Nothing in a file is ever evaluated:
no `$NAME`, no `$(command)`. No message holds a value.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from smos import exitcodes, project
from smos.outcome import failure

FOLDERS = {"sandbox": "local"}
"""Environments whose folder has another name."""
STRICT = ("production",)
"""Environments in which a file that others may read is refused."""
LARGEST = 1_000_000  # bytes; a file of settings has some hundred
_NAMED = re.compile(r"\.env(?:\.(?!example$)[A-Za-z0-9_-]+)?")
_ASSIGNMENT = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=(.*)", re.DOTALL)
_SINGLE = re.compile(r"'([^']*)'[ \t]*(?:#.*)?")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t]*(?:#.*)?')
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
_ESCAPE = re.compile(r'\\([nrt"\\$])')
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


class Line(NamedTuple):
    """Where a value stands."""

    file: Path
    number: int
    value: str


class BadLine(Exception):
    """A line that is no assignment; ``why`` never quotes it."""

    def __init__(self, number: int, why: str) -> None:
        super().__init__(f"line {number} {why}")
        self.number = number
        self.why = why


@dataclass
class _Session:
    """What this process has taken from files, so that asking again is free."""

    folders: set[Path] = field(default_factory=set)


_session = _Session()


def enter(env: str, quiet: bool = False) -> None:
    """Take the files of an environment into this process's environment, once. Raises Failure (2 or 3).

    From there they reach the plays and whatever cuts secrets out of records, but no argument list.
    """
    if not env.isidentifier():  # no environment has such a name, and it shall not lead to another folder
        return
    folder = folder_of(env, os.environ)
    if folder in _session.folders:
        return
    for warning in take(folder, env, os.environ):
        if not quiet:
            sys.stderr.write(f"smos: {warning}\n")
    _session.folders.add(folder)


def folder_of(env: str, environment: Mapping[str, str]) -> Path:
    """Where the files of an environment lie.

    Below `SMOS_ENV_DIR`, else `system/env` of the project; for an installed package `smos/env` of the user's configuration.
    """
    named = environment.get("SMOS_ENV_DIR")
    root, is_checkout = project.home(environment)
    if named:
        base = Path(named).expanduser().absolute()
    elif is_checkout:
        base = root / "system" / "env"
    else:
        own = Path(environment.get("XDG_CONFIG_HOME", ""))
        base = (own if own.is_absolute() else Path.home() / ".config") / "smos" / "env"
    return base / FOLDERS.get(env, env)


def take(folder: Path, env: str, environment: MutableMapping[str, str]) -> list[str]:
    """Set what the folder's files say and ``environment`` does not; gives warnings. Raises Failure.

    Everything is judged before anything is set.
    """
    files = sorted(files_in(folder))
    warnings = [warning for file in files for warning in _permissions(file, env)]
    found: dict[str, Line] = {}
    for file in files:
        for name, line in _lines(file):
            if name in found:
                raise _twice(name, found[name], line)
            found[name] = line
    _mind_the_environment(found.get("SMOS_ENV"), env)
    for name, line in found.items():
        environment.setdefault(name, line.value)
    return warnings


def files_in(folder: Path) -> Iterator[Path]:
    """The files to read: no templates, no example, no copies that an editor left."""
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if _NAMED.fullmatch(path.name) and path.is_file())


def parsed(raw: bytes) -> Iterator[tuple[str, int, str]]:
    """(name, line, value) of a file's content. Raises BadLine."""
    for number, line in enumerate(_text(raw).split("\n"), start=1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        found = _ASSIGNMENT.fullmatch(words)
        if found is None:
            raise BadLine(number, "is not NAME=value")
        yield found[1], number, _value(found[2].strip(), number)


def _text(raw: bytes) -> str:
    """The content with plain line ends and without a byte order mark."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadLine(1, "begins like UTF-16; save the file as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise BadLine(raw.count(b"\n", 0, exc.start) + 1, "is not UTF-8") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        raise BadLine(text.count("\n", 0, text.index("\0")) + 1, "has a NUL in it")
    return text


def _value(text: str, number: int) -> str:
    if text.startswith("'"):
        return _quoted(_SINGLE.fullmatch(text), number)[1]
    if text.startswith('"'):
        found = _quoted(_DOUBLE.fullmatch(text), number)
        return _ESCAPE.sub(lambda sign: _ESCAPED.get(sign[1], sign[1]), found[1])
    return _COMMENT.sub("", text, count=1).rstrip()


def _quoted(found: re.Match[str] | None, number: int) -> re.Match[str]:
    if found is None:
        raise BadLine(number, "has a quotation mark that is not closed on it, or something behind the closing one")
    return found


def _lines(file: Path) -> Iterator[tuple[str, Line]]:
    try:
        if file.stat().st_size > LARGEST:
            raise failure(
                exitcodes.INVALID,
                "environment file",
                f"it is larger than {LARGEST} bytes",
                str(file),
                "Is it the right one?",
            )
        raw = file.read_bytes()
    except OSError as exc:
        raise failure(
            exitcodes.UNUSABLE,
            "environment file",
            exc.strerror or "it cannot be read",
            str(file),
            "Make it readable for you",
        ) from None
    try:
        for name, number, value in parsed(raw):
            yield name, Line(file, number, value)
    except BadLine as exc:
        following = "Write NAME=value, with quotation marks around a value that has spaces or # in it"
        raise failure(exitcodes.INVALID, "environment file", str(exc), f"{file}:{exc.number}", following) from None


def _permissions(file: Path, env: str) -> Iterable[str]:
    """Others than the owner must not read it: a warning, in production a refusal."""
    mode = stat.S_IMODE(file.stat().st_mode)
    if not mode & 0o077:
        return ()
    why = f"others than its owner may use it (mode {mode:04o})"
    if env in STRICT:
        raise failure(exitcodes.UNUSABLE, "environment file", why, str(file), f"chmod 600 {file}")
    return (f"{file}: {why}; chmod 600 {file}",)


def _mind_the_environment(line: Line | None, env: str) -> None:
    """A file cannot choose the environment whose file it is; one that names another is in the wrong folder."""
    if line is not None and line.value not in ("", env):
        raise failure(
            exitcodes.INVALID,
            "environment file",
            f"SMOS_ENV names another environment than {env}, whose file this is",
            f"{line.file}:{line.number}",
            "Take it out, or move the file; choose the environment with --env or in the shell",
        )


def _twice(name: str, first: Line, second: Line) -> Exception:
    both = f"line {first.number} and line {second.number}"
    if first.file != second.file:
        both = f"{first.file.name} line {first.number} and {second.file.name} line {second.number}"
    return failure(
        exitcodes.INVALID,
        "environment file",
        f"{name} is set twice: {both}",
        f"{second.file}:{second.number}",
        "Keep one of the two",
    )
