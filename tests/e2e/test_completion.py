"""Tab in real shells: bash, zsh and fish complete commands, tenants, plans and secrets."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.instance import ACME, Instance, instance

IN_CI = os.environ.get("CI") == "true"
PATIENCE_S = 180
CASES = (
    ("tenant susp", "suspend"),
    ("tenant show ac", "acme"),
    ("create tenant 1 Acme acme.example.com --plan prof", "professional"),
    ("secrets rotate postgresql_n", "postgresql_n8n_password"),
)


@pytest.fixture(scope="module")
def smos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """An instance with one tenant, and a command `smos` of its own in `home/bin`."""
    home = tmp_path_factory.mktemp("completion")
    with instance(home / "smos") as made:
        made.add_files([ACME])
        command = made.home / "bin" / "smos"
        command.parent.mkdir()
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m smos "$@"\n')
        command.chmod(0o755)
        for shell in ("bash", "zsh", "fish"):
            done = made.run("completion", shell)
            assert done.code == 0, done
            (made.home / f"completion.{shell}").write_text(done.out)
        yield made


def environment(smos: Instance) -> dict[str, str]:
    kept = {name: value for name, value in smos.variables.items() if name not in ("ZDOTDIR", "ENV", "BASH_ENV")}
    path = f"{smos.home / 'bin'}{os.pathsep}{kept['PATH']}"
    return {**kept, "PATH": path, "HOME": str(smos.home), "TERM": "dumb", "PS1": "> ", "COLUMNS": "200"}


def shell_or_skip(name: str) -> str:
    found = shutil.which(name)
    if found is None and IN_CI:
        pytest.fail(f"{name} is needed (Debian: apt install {name})")
    return found or pytest.skip(f"NOT RUN: {name} is needed (Debian: apt install {name})")


@pytest.mark.parametrize(("typed", "offered"), CASES)
def test_bash(smos: Instance, typed: str, offered: str) -> None:
    words = ["smos", *typed.split()]
    script = (
        f"source '{smos.home}/completion.bash'; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; "
        'complete -p smos >/dev/null && _smos_completion smos; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    line = [shell_or_skip("bash"), "--norc", "-c", script]
    done = subprocess.run(line, env=environment(smos), capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert done.stdout.split() == [offered]


@pytest.mark.parametrize(("typed", "offered"), CASES)
def test_fish(smos: Instance, typed: str, offered: str) -> None:
    script = f"source '{smos.home}/completion.fish'; complete --do-complete 'smos {typed}'"
    line = [shell_or_skip("fish"), "--no-config", "-c", script]
    done = subprocess.run(line, env=environment(smos), capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert [each.split("\t")[0] for each in done.stdout.splitlines()] == [offered]


def test_zsh(smos: Instance) -> None:
    """Its completion works in its line editor only, so somebody types."""
    line = [shell_or_skip("zsh"), "-f", "-i"]
    terminal, inner = pty.openpty()
    running = subprocess.Popen(line, env=environment(smos), stdin=inner, stdout=inner, stderr=inner, close_fds=True)
    os.close(inner)
    try:
        setting_up = f"autoload -Uz compinit; compinit -D -u; source '{smos.home}/completion.zsh'; echo 're''ady'\n"
        os.write(terminal, setting_up.encode())
        seen(terminal, "ready")
        for typed, offered in CASES:
            os.write(terminal, f"smos {typed}\t".encode())
            seen(terminal, f"smos {typed[: typed.rindex(' ')]} {offered}")
            os.write(terminal, b"\x15")  # empties the line
    finally:
        running.kill()
        running.wait()
        os.close(terminal)


def seen(terminal: int, wanted: str) -> None:
    """Read until the line shows it. The editor redraws a line in pieces, so only what is visible counts."""
    until, text = time.monotonic() + PATIENCE_S, ""
    while wanted not in text:
        ready, _writable, _other = select.select([terminal], [], [], max(0.0, until - time.monotonic()))
        assert ready, f"{wanted!r} did not come; {text!r} did"
        text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(terminal, 65536).decode(errors="replace"))


def test_where_the_specs_cannot_be_read_nothing_is_offered_and_nothing_is_said(smos: Instance, tmp_path: Path) -> None:
    variables = {"COMP_WORDS": "smos tenant show a", "COMP_CWORD": "3", "_SMOS_COMPLETE": "complete_bash"}
    line = [str(smos.home / "bin" / "smos")]
    done = subprocess.run(
        line,
        env={**environment(smos), **variables, "SMOS_SPECS_REPO": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


def test_an_unknown_shell_is_refused(smos: Instance) -> None:
    refused = smos.run("completion", "tcsh", "--json")
    assert refused.code == 2
    assert "bash, zsh, fish" in refused.document["errors"][0]["next"]
