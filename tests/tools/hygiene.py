"""Refuse what must not be committed: addresses of package registries, paths of one machine, secrets files, huge files.

Looks at every file that git knows or would add. Exit code 1 and one line per finding.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 1_000_000

# Written so that they do not match themselves.
FORBIDDEN = {
    "address of a package registry": re.compile(
        r"py(pi)\.org|python(hosted)\.org|registry\.(npm)js|(deb|security)\.(debian)\.org|files\.pythonhost(ed)"
    ),
    # `node` is the user of n8n's image; root's home is a target's in roles and scenarios
    "path of one machine": re.compile(r"(?<![\w.$}~-])/(work|root|home/(?!node/)[a-z]\w*|Users/\w+)/[\w.]|/tmp/(w)/"),
    "talk about the tracker instead of the subject": re.compile(r"\b[Ii]ssue #?\d+\b"),
    "conflict marker": re.compile(r"^(<{7}|>{7})( |$)", re.MULTILINE),
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE (KEY)-----"),
}
ON_TARGETS = ("molecule/", "roles/")
SECRET_FILE = re.compile(r"^system/env/[^/]+/\.env(?!\.example$)(?!\..*template$)")


def main() -> int:
    """Print the findings; 1 when there are any."""
    found = [f"{name}: {what}" for name in _names() for what in _mistakes(name)]
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


def _names() -> list[str]:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True)
    return sorted(set(filter(None, done.stdout.split("\0"))))


def _mistakes(name: str) -> Iterator[str]:
    path = ROOT / name
    if path.is_symlink():
        if Path(path.readlink()).is_absolute():
            yield "absolute link"
        return
    if not path.is_file():
        return
    if SECRET_FILE.search(name):
        yield "a file of secrets"
    if path.stat().st_size > LARGEST:
        yield f"larger than {LARGEST} bytes"
    text = path.read_text(encoding="utf-8", errors="replace")
    for what, pattern in FORBIDDEN.items():
        for match in pattern.finditer(text):
            if name.startswith(ON_TARGETS) and match[0].startswith("/root/"):
                continue
            yield f"line {text.count(chr(10), 0, match.start()) + 1}: {what}"


if __name__ == "__main__":
    sys.exit(main())
