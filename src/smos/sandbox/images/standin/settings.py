"""Settings as the products take them: environment variables, some of them from a file that `<NAME>_FILE` names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

_YES = frozenset({"1", "true", "yes", "on"})


class Refused(Exception):
    """The product would not start, or not do it; the message says why."""


class Settings:
    """The environment of one process. ``from_files`` are the names that the product also reads from a file."""

    def __init__(self, env: Mapping[str, str], from_files: Iterable[str] = ()) -> None:
        self.env = env
        self._from_files = frozenset(from_files)

    def get(self, name: str, default: str = "") -> str:
        """The setting's value. Raises Refused when its file cannot be read."""
        named = self.env.get(f"{name}_FILE") if name in self._from_files else None
        if named and not self.env.get(name):
            try:
                return Path(named).read_text(encoding="utf-8").rstrip("\r\n")
            except OSError as exc:
                raise Refused(f"{name}_FILE: {exc}") from exc
        return self.env.get(name) or default

    def number(self, name: str, default: int) -> int:
        """A whole number."""
        value = self.get(name)
        try:
            return int(value) if value else default
        except ValueError:
            raise Refused(f"{name} is not a number: {value!r}") from None

    def yes(self, name: str, default: bool = False) -> bool:
        """A switch."""
        value = self.get(name)
        return value.strip().lower() in _YES if value else default

    def need(self, *names: str) -> None:
        """Raise Refused unless all of them are set."""
        missing = [name for name in names if not self.get(name)]
        if missing:
            raise Refused(f"required settings are missing: {', '.join(missing)}")

    @property
    def version(self) -> str:
        """The version of the product that this stand-in stands for."""
        return self.env.get("STANDIN_VERSION") or "0"

    @property
    def numbers(self) -> tuple[int, ...]:
        """The version's numbers, to compare by."""
        found = []
        for part in self.version.lstrip("v").split("-")[0].split("."):
            if not part.isdecimal():
                break
            found.append(int(part))
        return tuple(found)
