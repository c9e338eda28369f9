"""Write docs/reference.md from the documentation of the modules, plugins and roles: `reference.py [--check]`.

With `--check`, nothing is written; exit code 1 when the file is out of date.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "reference.md"
COLLECTION = "smartercl.smarteros"
HEAD = """# Reference

Generated from the documentation in the code by `make docs`; do not edit. `ansible-doc -t KIND NAME` shows more, with examples.
"""
_MARKUP = re.compile(r"\b(?:[CVOEIBM]|RV|FQCN)\((?:ignore:)?([^()]*)\)")


def main() -> int:
    """Write or check the reference."""
    text = "\n".join(
        [HEAD, *_section("Modules", _plugins("module")), *_section("Inventory and lookup", _others()), *_roles()]
    )
    if "--check" in sys.argv[1:]:
        current = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
        if current != text:
            print("docs/reference.md is out of date: run `make docs`", file=sys.stderr)
        return int(current != text)
    TARGET.write_text(text, encoding="utf-8")
    return 0


def _doc(*words: str) -> Any:
    command = ["ansible-doc", *words]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _plugins(kind: str) -> dict[str, dict[str, Any]]:
    folder = {"module": "modules"}.get(kind, kind)
    names = sorted(f"{COLLECTION}.{path.stem}" for path in (ROOT / "plugins" / folder).glob("*.py"))
    found = _doc("-t", kind, "-j", *names)
    return {name: found[name]["doc"] for name in names}


def _others() -> dict[str, dict[str, Any]]:
    return {f"{name} ({kind})": doc for kind in ("inventory", "lookup") for name, doc in _plugins(kind).items()}


def _section(title: str, docs: dict[str, dict[str, Any]]) -> list[str]:
    lines = [f"## {title}", ""]
    for name, doc in docs.items():
        lines += [f"### {name}", "", _plain(doc["short_description"]) + ".", ""]
        lines += _table(doc.get("options") or {})
    return lines


def _roles() -> list[str]:
    lines = ["## Roles", ""]
    names = sorted(f"{COLLECTION}.{path.name}" for path in (ROOT / "roles").iterdir() if path.is_dir())
    for name, role in _doc("-t", "role", "-j", *names).items():
        for entry, doc in role["entry_points"].items():
            lines += [f"### {name}: {entry}", "", " ".join(_plain(doc["description"]).split()), ""]
            lines += _table(doc.get("options") or {})
    return lines


def _table(options: dict[str, dict[str, Any]]) -> list[str]:
    if not options:
        return []
    lines = ["| option | type | default | what |", "|---|---|---|---|"]
    for name, option in sorted(options.items()):
        kind = option.get("type", "str") + (f" of {option['elements']}" if option.get("elements") else "")
        default = (
            "**required**" if option.get("required") else f"`{json.dumps(option.get('default'), ensure_ascii=False)}`"
        )
        what = _plain(option["description"])
        if option.get("choices"):
            what += f" One of: {', '.join(map(str, option['choices']))}."
        lines.append(f"| `{name}` | {kind} | {default} | {what} |".replace("\n", " "))
    return [*lines, ""]


def _plain(text: str | list[str]) -> str:
    words = " ".join(text) if isinstance(text, list) else text
    return _MARKUP.sub(r"`\1`", words).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
