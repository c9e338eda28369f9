# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Documents that are written by programs are up to date, and commit messages are judged as CONTRIBUTING.md says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import commit_message, decisions

ROOT = Path(__file__).resolve().parents[2]
DECISION = {
    "id": "ADR-001",
    "title": "A tag is rut:<RUT>",
    "date": "2026-01-02",
    "status": "superseded",
    "superseded_by": "ADR-002",
    "decision": "It is `rut:<RUT>`\nand *nothing* else.",
    "reason": "So | it is.",
    "consequences": ["One.", "Two."],
}
NEWER = {
    **DECISION,
    "id": "ADR-002",
    "title": "Another",
    "status": "accepted",
    "superseded_by": None,
    "consequences": [],
}


def test_the_decisions_are_those_of_the_specs() -> None:
    assert decisions.main(["--check"]) == 0, "run make docs"


def test_a_decision_is_shown_with_its_reason_and_what_follows() -> None:
    text = decisions.rendered([DECISION, NEWER])
    assert "| [ADR-001](#adr-001-a-tag-is-rutrut) | A tag is rut:\\<RUT> | superseded | 2026-01-02 |" in text
    assert "Superseded, 2026-01-02. Superseded by [ADR-002](#adr-002-another).\n" in text
    assert (
        "It is `rut:<RUT>` and \\*nothing\\* else.\n\n**Why.** So \\| it is.\n\n**What follows.**\n\n- One.\n- Two.\n"
        in text
    )
    assert text.count("What follows") == 1


def test_a_stale_file_is_told_and_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "TARGET", tmp_path / "decisions.md")
    assert decisions.main(["--check"]) == 1
    assert not (tmp_path / "decisions.md").exists()
    assert (decisions.main([]), decisions.main(["--check"])) == (0, 0)


def plain(text: str) -> str:
    """Text of Markdown or of a fragment without markup and line ends."""
    return " ".join(re.sub(r"</?code>|``|\\", "", text).replace("&lt;", "<").replace("&gt;", ">").split())


def test_the_changelog_has_every_fragment() -> None:
    shown = plain((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    lost = []
    for path in sorted((ROOT / "changelogs/fragments").glob("*.yml")):
        sections: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        for name, entries in sections.items():
            texts = [entries] if isinstance(entries, str) else entries
            lost += [(path.name, text) for text in texts if name != "trivial" and plain(text) not in shown]
    assert lost == [], "run make docs"


@pytest.mark.parametrize(
    "message",
    [
        "fix: one word is enough",
        "feat(tenants): add acme (pro)\n",
        "feat(cli,docs)!: exit codes\n\nBREAKING CHANGE: 5 is gone.\n",
        "docs(n8n): a text\n\n# Please enter the commit message\n",
        "# a comment first\n\nchore(specs): merge release v0.3.0",
        "perf: text\n# ------------------------ >8 ------------------------\ndiff --git a b\nno blank line\n",
        "Merge branch 'feature/x' into develop",
        'Revert "feat: a thing"\n\nThis reverts commit 0.\n',
        "fixup! fix: one word",
    ],
)
def test_a_good_message_is_taken(message: str) -> None:
    assert commit_message.mistakes(message) == []


@pytest.mark.parametrize(
    ("message", "word"),
    [
        ("", "empty"),
        ("# only a comment\n", "empty"),
        ("Added a thing", "not of the form"),
        ("fix:no blank", "not of the form"),
        ("fix:  two blanks", "one blank"),
        ("fix: ", "not of the form"),
        ("feature: a thing", "no type"),
        ("Fix: a thing", "no type"),
        ("fix(): a thing", "no scope"),
        ("fix(Odoo): a thing", "no scope"),
        ("fix(odoo, n8n): a thing", "no scope"),
        ("fix: a thing.", "full stop"),
        (f"fix: {'x' * 160}", "characters"),
        ("fix: a thing\nand more", "second line"),
    ],
)
def test_a_bad_message_is_refused_with_the_reason(message: str, word: str) -> None:
    assert any(word in mistake for mistake in commit_message.mistakes(message))


def test_the_types_of_the_guide_are_those_of_the_program() -> None:
    guide = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Commit messages")[2]
    assert re.findall(r"^\| `([a-z]+)` \|", guide, re.MULTILINE) == sorted(commit_message.TYPES)
    assert str(commit_message.LONGEST) in guide


def test_the_hook_stops_a_commit(tmp_path: Path) -> None:
    for name in (".githooks/commit-msg", "tests/tools/commit_message.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    settings = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    person = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com"}
    person |= {"GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.com"}

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *words], cwd=tmp_path, env={**env, **settings, **person}, capture_output=True, text=True
        )

    git("init", "--quiet")
    git("config", "core.hooksPath", ".githooks")  # what `make setup-dev` does
    assert "git config core.hooksPath .githooks" in (ROOT / "Makefile").read_text(encoding="utf-8")
    refused = git("commit", "--quiet", "--allow-empty", "-m", "Added a thing")
    assert refused.returncode == 1
    assert "not of the form type(scope): text" in refused.stderr
    assert git("commit", "--quiet", "--allow-empty", "-m", "feat: a thing").returncode == 0
