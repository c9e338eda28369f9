"""The options that every command takes, wherever they stand on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Option → how many values follow it
GLOBAL_OPTIONS = {
    "--env": 1,
    "--specs": 1,
    "--limit": 1,
    "--tags": 1,
    "-e": 1,
    "--extra-vars": 1,
    "--forks": 1,
    "--check": 0,
    "--diff": 0,
    "--json": 0,
    "--yes": 0,
    "-q": 0,
    "--quiet": 0,
    "-v": 0,
    "-vv": 0,
    "-vvv": 0,
    "-vvvv": 0,
    "--verbose": 0,
}


@dataclass(frozen=True)
class Settings:
    """The global options of one call."""

    env: str
    specs: str | None
    check: bool
    diff: bool
    as_json: bool
    yes: bool
    verbose: int
    quiet: bool
    limit: str | None
    tags: str | None
    extra_vars: tuple[str, ...]
    forks: int | None


def hoisted(argv: Sequence[str]) -> list[str]:
    """The arguments with the global options in front, where the parser expects them: people write them at the end."""
    front: list[str] = []
    rest: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            rest.extend([word, *words])
            break
        name, equals, _value = word.partition("=")
        if name not in GLOBAL_OPTIONS or (equals and GLOBAL_OPTIONS[name] == 0):
            rest.append(word)
            continue
        front.append(word)
        if GLOBAL_OPTIONS[name] and not equals:
            front.extend(value for value in [next(words, None)] if value is not None)
    return front + rest
