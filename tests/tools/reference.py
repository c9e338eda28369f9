"""Write docs/reference.md from the documentation of the modules, plugins and roles: `reference.py [--check]`.

With `--check`, nothing is written; exit code 1 when the file is out of date.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "reference.md"
COLLECTION = "smartercl.smarteros"
HEAD = """# Reference

Generated from the documentation in the code by `make docs`; do not edit. `ansible-doc -t KIND NAME` shows more, with examples.
"""
_BOLD = re.compile(r"\bB\(([^()]*)\)")
_ITALIC = re.compile(r"\bI\(([^()]*)\)")
_LINK = re.compile(r"\bL\(([^(),]*),\s*([^()]*)\)")
_CODE = re.compile(r"\b(?:[CVOEMP]|RV|FQCN)\((?:ignore:)?([^()]*)\)")
_ELSEWHERE = re.compile(r"^smartercl\.smarteros\.\w+#module:|^smartercl\.smarteros\.|#\w+$")  # around a name in markup
_DEEPEST = 3  # levels of options that are shown


def main() -> int:
    """Write or check the reference."""
    kinds = [("Modules", "module"), ("Filters", "filter"), ("Lookups", "lookup")]
    kinds += [("Callbacks", "callback"), ("Inventory", "inventory")]
    sections = {title: _plugins(kind) for title, kind in kinds}
    sections["Playbooks"] = _playbooks()
    sections["Roles"] = _roles()
    lines = [HEAD, *_contents(sections)]
    for title, docs in sections.items():
        lines += [f"## {title}", ""]
        for name, doc in docs.items():
            lines += _entry(title, name, doc)
    text = "\n".join(lines)
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
    """What is said about each plugin of a kind, by its short name. A filter's documentation is a file of its own."""
    folder, pattern = {"module": ("modules", "*.py"), "filter": ("filter", "*.yml")}.get(kind, (kind, "*.py"))
    names = sorted(path.stem for path in (ROOT / "plugins" / folder).glob(pattern))
    found = _doc("-t", kind, "-j", *(f"{COLLECTION}.{name}" for name in names))
    return {name: found[f"{COLLECTION}.{name}"]["doc"] for name in names}


def _roles() -> dict[str, dict[str, Any]]:
    """What is said about each entry of each role."""
    names = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
    found = _doc("-t", "role", "-j", *(f"{COLLECTION}.{name}" for name in names))
    return {f"{name}: {entry}": doc for name in names for entry, doc in _entries(found[f"{COLLECTION}.{name}"])}


def _playbooks() -> dict[str, dict[str, Any]]:
    """What is said about each playbook: the first words of its header, and the variables that it takes."""
    described = yaml.safe_load((ROOT / "playbooks" / "vars" / "inputs.yml").read_text(encoding="utf-8"))["playbooks"]
    return {name: _playbook(name, entry) for name, entry in sorted(described.items())}


def _playbook(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    lines = (ROOT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8").splitlines()[1:]
    words = " ".join(line.removeprefix("# ") for line in itertools.takewhile(lambda line: line.startswith("# "), lines))
    first, _, rest = words.partition(". ")
    others = [f"Takes what {other} takes as well." for other in entry.get("with", [])]
    options = {key: {"type": "str", **one} for key, one in (entry.get("variables") or {}).items()}
    return {
        "short_description": first.rstrip("."),
        "description": [*([rest] if rest else []), *others],
        "options": options,
    }


def _entries(role: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return sorted(role["entry_points"].items())


def _contents(sections: dict[str, dict[str, Any]]) -> list[str]:
    lines = []
    for title, docs in sections.items():
        links = [f"[{name}](#{_anchor(_heading(title, name))})" for name in docs]
        lines.append(f"- [{title}](#{_anchor(title)}): {', '.join(links)}")
    return [*lines, ""]


def _heading(title: str, name: str) -> str:
    """A heading that no other section has: modules and filters share their names."""
    return name if title == "Modules" else f"{name} ({title.lower().removesuffix('s')})"


def _anchor(heading: str) -> str:
    """The anchor that renderers of Markdown give a heading."""
    return re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")


def _entry(title: str, name: str, doc: dict[str, Any]) -> list[str]:
    lines = [f"### {_heading(title, name)}", "", f"{_plain(doc['short_description'])}.", ""]
    said = doc["description"]
    lines += [*(f"- {_plain(each)}" for each in ([said] if isinstance(said, str) else said)), ""]
    rows = list(_rows(doc.get("options") or {}))
    if rows:
        lines += ["| option | type | default | what |", "|---|---|---|---|", *rows, ""]
    return lines


def _rows(options: dict[str, dict[str, Any]], above: str = "", level: int = 1) -> Iterator[str]:
    """A row per option; those inside an option follow it, as ``bots[].slug``."""
    for name, option in sorted(options.items()):
        kind = option.get("type", "str") + (f" of {option['elements']}" if option.get("elements") else "")
        default = option.get("default")
        shown = "**required**" if option.get("required") else f"`{json.dumps(default, ensure_ascii=False)}`"
        shown = "" if shown == "`null`" else shown
        what = _plain(option["description"])
        if option.get("choices"):
            what += f" One of: {', '.join(f'`{choice}`' if choice else 'empty' for choice in option['choices'])}."
        yield f"| `{above}{name}` | {kind} | {shown} | {what} |".replace("\n", " ")
        inner = option.get("suboptions") or option.get("options") or {}
        if level < _DEEPEST:
            yield from _rows(inner, f"{above}{name}{'[]' if kind.startswith('list') else ''}.", level + 1)


def _plain(text: str | list[str]) -> str:
    """Ansible's markup as Markdown, on one line."""
    words = " ".join((" ".join(text) if isinstance(text, list) else text).split())
    words = _ITALIC.sub(r"*\1*", _BOLD.sub(r"**\1**", _LINK.sub(r"[\1](\2)", words)))
    words = _CODE.sub(lambda found: f"`{_ELSEWHERE.sub('', found[1])}`", words)
    parts = words.split("`")  # every second one is code, in which nothing is markup
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
