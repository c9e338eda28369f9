"""What a stand-in was given, for tests to look at: one JSON object per line."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

HOME = "STANDIN_HOME"
_SECRET = re.compile(r"PASS|SECRET|KEY|TOKEN|SALT|CREDENTIAL|_URL$|_URI$", re.IGNORECASE)


def home() -> Path:
    """Where the record lies: the same place in every container, but for those whose file system is read-only."""
    usual = Path(os.environ.get(HOME) or "/var/lib/standin")
    return usual if os.access(usual, os.W_OK) else Path(tempfile.gettempdir())


def note(kind: str, **facts: Any) -> None:
    """Add a line. A record that cannot be written is no reason to fail: the product would not have one."""
    line = json.dumps({"at": round(time.time(), 3), "kind": kind, **facts}, default=str)
    try:
        with (home() / "record.jsonl").open("a", encoding="utf-8") as record:
            record.write(f"{line}\n")
    except OSError as exc:
        say(f"the record cannot be written: {exc}")


def started(product: str, argv: Sequence[str], env: Mapping[str, str]) -> None:
    """Note with what a program was started. Values are shown only of names that no secret has."""
    plain = {name: value for name, value in env.items() if name.endswith("_FILE") or not _SECRET.search(name)}
    facts = {"args": list(argv), "env": sorted(env), "settings": plain, "uid": os.getuid()}
    note("start", product=product, version=env.get("STANDIN_VERSION", ""), **facts)


def say(line: str) -> None:
    """A line of the log."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
