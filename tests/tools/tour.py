"""Run every command of `smos` once, in the sandbox with its VPS, and write what they print into the README.

    python tests/tools/tour.py

Needs a Docker Engine (`tests/tools/engine.sh run python tests/tools/tour.py`) and about ten minutes. Everything happens in a
folder of its own; the specs are a fresh git repository. What a command prints is cut to its first lines.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "README.md"
BEGIN, END = "<!-- tour: written by tests/tools/tour.py -->", "<!-- end of the tour -->"
MOST_LINES, WIDEST = 12, 118
PATIENCE_S = 1800
WHO = {
    "GIT_AUTHOR_NAME": "Ana",
    "GIT_AUTHOR_EMAIL": "ana@example.com",
    "GIT_COMMITTER_NAME": "Ana",
    "GIT_COMMITTER_EMAIL": "ana@example.com",
    "GIT_CONFIG_GLOBAL": "/dev/null",
}
# Groups of commands, in the order in which they make sense
GROUPS = (
    (
        "Tenants",
        """
        create tenant 12.345.678-5 "Acme Corp" acme.smarterbot.cl --plan professional
        tenant list
        tenant status acme
        tenant show acme
        tenant update acme --email ana@example.com
        tenant suspend acme
        tenant resume acme
        tenant export acme
        tenant delete acme --yes
        tenant restore acme
        tenant apply
        """,
    ),
    (
        "Plan and deploy",
        """
        validate
        secrets init
        secrets check
        doctor
        test all
        plan
        plan tenants --exit-code
        plan frontend
        plan backend
        plan dns
        deploy all
        deploy all
        deploy backend --service n8n
        deploy frontend
        releases
        status
        status n8n
        logs n8n 3
        """,
    ),
    (
        "Backups and the way back",
        """
        backup all
        backup n8n
        backup tenant acme
        backups
        restore latest --drill
        restore latest --service n8n --yes
        rollback 0.1.0 --check
        secrets rotate redis_password --yes
        """,
    ),
    (
        "Every day",
        """
        sync workflows
        sync specs
        notify "The new shelf is in use"
        status --history 7d
        daily
        history
        cost --tenants 100
        update codex --help
        update cli --help
        mcp --help
        panel --help
        completion bash
        sandbox status
        sandbox requests
        sandbox fault --help
        sandbox down --vps --purge --yes
        """,
    ),
)


@dataclass(frozen=True)
class Shown:
    """A command with what it printed."""

    line: str
    code: int
    text: str


def main() -> int:
    """Write the page; 1 where a command failed."""
    with tempfile.TemporaryDirectory(prefix="smos-tour-") as name:
        home = Path(name)
        variables = prepared(home)
        try:
            groups = [(title, [run(line, home, variables) for line in lines(commands)]) for title, commands in GROUPS]
        finally:
            run("sandbox down", home, variables)
    before, _begin, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    body = "\n".join(block(title, shown) for title, shown in groups)
    PAGE.write_text(f"{before}{BEGIN}\n{body}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    failed = [shown for _title, each in groups for shown in each if shown.code == 1]  # a refusal is an answer
    for shown in failed:
        print(f"{shown.line} ended with {shown.code}\n{shown.text}", file=sys.stderr)
    return 1 if failed else 0


def prepared(home: Path) -> Mapping[str, str]:
    """Specs without tenants as a repository of their own, and the variables that lead `smos` to them."""
    specs = home / "specs"
    shutil.copytree(ROOT / "specs", specs)
    for left in (specs / "tenants" / "registry").glob("*.yml"):
        left.unlink()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("SMOS_", "ANSIBLE_"))}
    variables = {**kept, **WHO, "SMOS_SPECS_REPO": str(specs), "SMOS_STATE_DIR": str(home / "state")}
    variables |= {
        "SMOS_LANG": "en",
        "SMOS_ENV_DIR": str(home / "env"),
        "SMOS_PROJECT_DIR": str(ROOT),
        "COLUMNS": str(WIDEST),
    }
    for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "chore(specs): begin"]):
        subprocess.run(["git", "-C", str(specs), *words], env=variables, check=True)
    return variables


def lines(commands: str) -> Iterator[str]:
    """The commands of a group."""
    yield from (line.strip() for line in commands.strip().splitlines())


def run(line: str, home: Path, variables: Mapping[str, str]) -> Shown:
    """Run one command; its notes come before what it prints, as on a terminal."""
    words = [sys.executable, "-P", "-m", "smos", *shlex.split(line)]
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "collections")])
    done = subprocess.run(
        words,
        cwd=home,
        env={**variables, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    print(f"{done.returncode:3}  smos {line}", flush=True)
    return Shown(line, done.returncode, tidy(done.stdout, home))


def tidy(text: str, home: Path) -> str:
    """Without this machine's paths, and short."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    text = text.replace(f"{home}/state", ".smos").replace(f"{home}/", "").replace(f"{ROOT}/", "")
    rows = [row.rstrip()[:WIDEST] for row in text.splitlines() if row.strip()]
    left = len(rows) - MOST_LINES
    if left > 1:
        rows = [*rows[: MOST_LINES - 4], f"… {left} more", *rows[-4:]]
    return "\n".join(rows)


def block(title: str, shown: list[Shown]) -> str:
    """A group, folded."""
    text = "\n\n".join(f"$ ./smos {each.line}\n{each.text}".rstrip() for each in shown)
    return f"<details>\n<summary>{title}</summary>\n\n```console\n{text}\n```\n\n</details>\n"


if __name__ == "__main__":
    sys.exit(main())
