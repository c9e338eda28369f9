"""Judge a commit message by the convention `type(scope): text`: `commit_message.py FILE`, as git calls its hook commit-msg.

Needs nothing but Python 3.8. Exit code 1 and one line per mistake on stderr. CONTRIBUTING.md explains the convention.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

TYPES = ("build", "chore", "ci", "docs", "feat", "fix", "perf", "refactor", "revert", "style", "test")
LONGEST = 160
_SUBJECT = re.compile(r"(?P<type>[A-Za-z]+)(?:\((?P<scope>[^()]*)\))?(?P<breaking>!?): (?P<text>.*)")
_SCOPE = re.compile(r"[a-z0-9][a-z0-9-]*(?:,[a-z0-9][a-z0-9-]*)*")
_OF_GIT = re.compile(
    r"(Merge (branch|branches|commit|tag|remote-tracking branch|pull request) |Revert \"|(fixup|squash|amend)! )"
)
_SCISSORS = re.compile(r"^. -+ >8 -+$", re.MULTILINE)


def mistakes(message: str, comment: str = "#") -> list[str]:
    """Say what is wrong with a message; nothing where it is good. Lines of comment and what follows the scissors do not count."""
    kept = _SCISSORS.split(message)[0]
    lines = [line.rstrip() for line in kept.splitlines() if not line.startswith(comment)]
    while lines and not lines[0]:
        lines.pop(0)
    if not lines:
        return ["the message is empty"]
    if _OF_GIT.match(lines[0]):
        return []
    found = list(_of_the_subject(lines[0]))
    if len(lines) > 1 and lines[1]:
        found.append("the second line is not blank: the text begins in the third")
    return found


def _of_the_subject(subject: str) -> list[str]:
    parts = _SUBJECT.fullmatch(subject)
    if parts is None:
        return [f"`{subject}` is not of the form type(scope): text, as `fix(backup): a dump is read again`"]
    found = []
    if parts["type"] not in TYPES:
        found.append(f"`{parts['type']}` is no type; choose one of: {', '.join(TYPES)}")
    if parts["scope"] is not None and not _SCOPE.fullmatch(parts["scope"]):
        found.append(f"`{parts['scope']}` is no scope: a-z, 0-9 and -, several with a comma, as (cli,docs)")
    if not parts["text"].strip() or parts["text"] != parts["text"].strip():
        found.append("there is one blank after the colon, and then a text")
    if parts["text"].endswith("."):
        found.append("the first line does not end with a full stop")
    if len(subject) > LONGEST:
        found.append(f"the first line has {len(subject)} characters; at most {LONGEST}")
    return found


def main(arguments: list[str]) -> int:
    """Judge the message in a file."""
    found = mistakes(Path(arguments[0]).read_text(encoding="utf-8", errors="replace"))
    for mistake in found:
        print(f"commit message: {mistake}", file=sys.stderr)
    if found:
        print("See CONTRIBUTING.md; the message is kept in .git/COMMIT_EDITMSG.", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
