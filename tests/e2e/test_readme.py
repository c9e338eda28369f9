"""The README's commands in a fresh clone, in a folder with spaces in its name, for a user without a home."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import providers
from support.instance import ROOT, SERVICES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

RUT = "12345678-9"  # the README's; its digit is wrong, which the sandbox only warns of
# How packages are reached on this machine is no part of the user's set-up: it stays.
KEPT = re.compile(r"PIP_|UV_|LANG$|LC_|TMPDIR$|.*_CERT_FILE$|.*_CA_BUNDLE$|.*_proxy$", re.IGNORECASE)


class Clone:
    """A fresh clone and what a new user's shell would do in it."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.root = folder / "my shops" / "smarter os"
        _copy(self.root)

    @property
    def variables(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if KEPT.match(name)}
        return {**kept, "HOME": str(self.home), "PATH": os.environ["PATH"]}

    def shell(self, command: str, timeout: float = 1800) -> subprocess.CompletedProcess[str]:
        """Run lines as a person would paste them."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.root,
            env=self.variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def json(self, command: str) -> dict[str, Any]:
        """The document of a command that ends with 0."""
        done = self.shell(f"{command} --json")
        assert done.returncode == 0, done
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def wrong(self) -> list[str]:
        return providers.read(self.root / ".smos/sandbox/state.db").wrong([RUT])

    def begin_anew(self) -> None:
        """Forget tenant, runs and sandbox; the environment stays."""
        self.shell("./smos sandbox down")
        for name in ("sandbox", "runs", "cache"):
            shutil.rmtree(self.root / ".smos" / name, ignore_errors=True)
        (self.root / f"specs/tenants/registry/{RUT}.yml").unlink(missing_ok=True)


def _copy(target: Path) -> None:
    """Clone the checkout; work that is not committed yet comes along. Without git, all files that could be committed."""
    git = ["git", "-C", str(ROOT)]
    listed = subprocess.run([*git, "ls-files", "-co", "--exclude-standard", "-z"], capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("NOT RUN: not in a git checkout, so nothing can be cloned")
    target.parent.mkdir(parents=True)
    subprocess.run(["git", "clone", "--quiet", "--no-local", str(ROOT), str(target)], check=True, capture_output=True)
    wanted = {name for name in listed.stdout.split("\0") if name and os.path.lexists(ROOT / name)}
    for name in wanted:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name, follow_symlinks=False) if not (target / name).is_symlink() else None
    for path in target.rglob("*"):
        name = str(path.relative_to(target))
        if not name.startswith(".git/") and (path.is_file() or path.is_symlink()) and name not in wanted:
            path.unlink()


def readme(start: str) -> str:
    """The lines of the README's one code block that begins with these words."""
    blocks = re.findall(
        r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    (found,) = [block for block in blocks if block.startswith(start)]
    return str(found)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    made = Clone(tmp_path_factory.mktemp("fresh"))
    try:
        yield made
    finally:
        made.shell("[ ! -x .smos/venv/bin/python ] || ./smos sandbox down")


def test_the_first_command_creates_a_tenant_and_the_second_time_changes_nothing(clone: Clone) -> None:
    first, tests = readme("./smos create tenant").splitlines()
    assert tests == "make test"
    assert re.search(r"^test:", (clone.root / "Makefile").read_text(), re.MULTILINE)

    done = clone.shell(first)
    assert done.returncode == 0, done
    assert done.stderr.count("wrong check digit") == 1
    assert clone.wrong() == []
    tenant = clone.json("./smos tenant status acme")["result"]["tenant"]
    assert (tenant["id"], tenant["name"], tenant["domain"], tenant["phase"]) == (
        RUT,
        "Acme Corp",
        "acme.smarterbot.cl",
        "active",
    )
    assert {name: service["state"] for name, service in tenant["services"].items()} == dict.fromkeys(SERVICES, "ready")

    again = clone.shell(first)
    assert again.returncode == 0, again
    assert "nothing to change" in again.stdout
    assert clone.json(first)["changed"] is False
    changed = clone.shell("git status --porcelain").stdout.split()
    assert f"specs/tenants/registry/{RUT}.yml" in changed
    assert not any(".smos" in name or name.startswith("specs/tenants/registry/.") for name in changed)
    assert not any("smos" in str(path) or "smarter" in str(path) for path in clone.home.rglob("*"))


def test_the_further_commands_of_the_readme_work(clone: Clone) -> None:
    for line in readme("./smos tenant status").splitlines():
        command, _hash, _remark = line.partition("#")
        done = clone.shell(command)
        assert done.returncode == 0, done
        assert done.stdout.strip()


def test_plain_ansible_does_the_same_in_a_fresh_state(clone: Clone) -> None:
    clone.begin_anew()
    assert clone.shell("./smos sandbox up").returncode == 0
    plain = readme("PATH=")
    done = clone.shell(plain)
    assert done.returncode == 0, done
    assert clone.wrong() == []
    assert clone.json("./smos tenant status acme")["result"]["tenant"]["phase"] == "active"
    again = clone.shell(plain)
    assert again.returncode == 0, again
    assert set(re.findall(r"changed=(\d+)", again.stdout)) == {"0"}
    assert clone.json("./smos plan tenants")["changed"] is False
