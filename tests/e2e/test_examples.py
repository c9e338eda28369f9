"""Every example of the documents and help pages that needs no machine is carried out, in the order of a tenant's life."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.examples import shown
from support.instance import Instance, instance

ENVIRONMENT = {
    "DOCKER_HOST": "unix:///nowhere/docker.sock",  # no machine, even where a Docker Engine runs
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ana",
    "GIT_AUTHOR_EMAIL": "ana@example.com",
    "GIT_COMMITTER_NAME": "Ana",
    "GIT_COMMITTER_EMAIL": "ana@example.com",
}
# Why an example is not carried out here; the first words of a command line tell
LEFT_OUT = {
    "--env production": "production has no tokens here",
    "--specs ../our-specs": "another repository of specs",
    "deploy backend": "needs a machine: molecule/vps",
    "status": "needs a machine: molecule/vps",
    "logs": "needs a machine: molecule/vps",
    "backup": "needs a machine: molecule/vps",
    "backups": "needs a machine: molecule/vps",
    "restore": "needs a machine: molecule/vps",
    "pin": "asks image registries: tests/unit",
    "history 2": "names a run of somebody else",
    "tenant import": "names an archive of somebody else: tests/e2e/test_life_cycle.py",
    "sandbox up --vps": "needs a Docker Engine: molecule/vps",
    "sandbox images": "needs a Docker Engine: molecule/vps",
    "sync workflows --resolve": "names a workflow of somebody else: tests/e2e/test_sync.py",
    "sync workflows --push --resolve": "names a workflow of somebody else: tests/e2e/test_sync.py",
    "mcp": "serves until its client goes: tests/e2e/test_mcp.py",
    "panel": "serves until it is told to end: tests/e2e/test_panel.py",
    "update": "asks npm and git: tests/unit/smos",
    "validate --specs": "another repository of specs",
}
# What is carried out, in this order; the rest comes between creation and suspension
FIRST = ("sandbox up", "validate", "secrets init", "secrets check", "create tenant")
LAST = (
    "tenant update",
    "tenant suspend",
    "tenant resume",
    "tenant export",
    "tenant delete",
    "tenant restore",
    "sandbox fault",
    "sandbox fault --clear",
    "sandbox outbox",
    "sandbox requests",
    "sandbox reset",
    "sandbox status",
    "sandbox down",
)
# Those whose success is another code than 0
CODES = {"tenant delete acme --purge": (4,)}  # asks for the slug, and there is nobody to ask


# The examples speak of two tenants, and give both the same domain
SECOND, DOMAIN = "76.086.428-5", "acme.smarterbot.cl"


def shape(line: str) -> tuple[str, ...]:
    """Which command with which options: of several lines alike, one is carried out."""
    return tuple(word for word in line.split() if word.startswith("-") or (word.isalpha() and word.islower()))


def begins(line: str, words: str) -> bool:
    return f"{line} ".startswith(words if words[-1].isdigit() else f"{words} ")


def left_out(line: str) -> bool:
    return any(begins(line, words) for words in LEFT_OUT)


def place(line: str) -> tuple[int, int]:
    """Where a line stands in the order."""
    first = max((index for index, words in enumerate(FIRST) if begins(line, words)), default=None)
    last = max((index for index, words in enumerate(LAST) if begins(line, words)), default=None)
    return (0, first) if first is not None else (2, last) if last is not None else (1, 0)


@pytest.fixture
def smos(tmp_path: Path) -> Iterator[Instance]:
    """An instance whose specs are a checkout."""
    with instance(tmp_path / "smos", **ENVIRONMENT) as made:
        for words in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "chore(specs): begin"]):
            subprocess.run(["git", "-C", str(made.specs), *words], env=made.variables, check=True)
        yield made


@pytest.mark.slow
def test_examples_do_what_they_say(smos: Instance, tmp_path: Path) -> None:
    exports = str(tmp_path / "exports")
    examples = {" ".join(words): words for words in shown()}
    alike = {shape(line): line for line in examples if not left_out(line)}
    tried = sorted(alike.values(), key=place)
    assert len(tried) > 30
    wrong = []
    for line in tried:
        own = {DOMAIN: f"second-{DOMAIN}"} if SECOND in examples[line] else {}
        words = [{"/srv/exports": exports, **own}.get(word, word) for word in examples[line]]
        done = smos.run(*words)
        if done.code not in CODES.get(line, (0, 10) if "--exit-code" in line else (0,)):
            wrong.append(f"{shown()[examples[line]]}: {done}")
    assert not wrong, "\n\n".join(wrong)


def test_nothing_is_left_out_that_no_example_shows() -> None:
    lines = [" ".join(words) for words in shown()]
    assert [words for words in LEFT_OUT if not any(begins(line, words) for line in lines)] == []
