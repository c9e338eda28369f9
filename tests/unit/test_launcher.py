"""The launcher: what it needs, what it says when that is missing, and that nothing interrupted is taken for finished.

Environments here are made from an empty lock file, so each costs only the creation of a virtual environment.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.processes import costs

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
REAL_PYTHON = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
SAYS_WHAT_IT_GOT = "import os, sys\nprint(sys.argv[1:], os.getcwd(), os.environ['SMOS_PROJECT_DIR'], sep='|')\n"


class Checkout:
    """A folder with the launcher, a stand-in for the command, and an empty lock file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "src/smos").mkdir(parents=True)
        (root / "collections").mkdir()
        shutil.copy2(ROOT / "smos", root / "smos")
        shutil.copy2(ROOT / "src/smos/bootstrap.py", root / "src/smos/bootstrap.py")
        (root / "src/smos/__init__.py").touch()
        (root / "src/smos/__main__.py").write_text(SAYS_WHAT_IT_GOT)
        (root / "requirements.lock").write_text("# nothing\n")
        self.home = root.parent / "home"
        self.home.mkdir(exist_ok=True)
        self.bin = root.parent / "bin"
        self.bin.mkdir(exist_ok=True)
        link(self.bin / "python3", REAL_PYTHON)

    @property
    def state(self) -> Path:
        return self.root / ".smos"

    def env(self, **more: str) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.endswith("CERT_FILE")
        }
        return {**kept, "HOME": str(self.home), "PATH": f"{self.bin}:/usr/bin:/bin", **more}

    def start(
        self, *args: str, command: str | None = None, cwd: Path | None = None, **env: Any
    ) -> subprocess.CompletedProcess[str]:
        program = command or str(self.root / "smos")
        return subprocess.run(
            [program, *args], capture_output=True, text=True, cwd=cwd, env=self.env(**env), timeout=120
        )

    def popen(self, **env: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(
            # Where the tests were started in the background, Ctrl-C is ignored, and that is inherited
            ["env", "--default-signal=INT", str(self.root / "smos"), "x"],
            stdout=pipe,
            stderr=pipe,
            text=True,
            env=self.env(**env),
            start_new_session=True,
        )


def link(place: Path, target: Path) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(target)


def script(place: Path, text: str) -> None:
    place.write_text(text)
    place.chmod(place.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a check out")


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose environment exists already; tests must leave it usable."""
    made = Checkout(tmp_path_factory.mktemp("ready") / "a check out")
    first = made.start("first")
    assert first.returncode == 0, first.stderr
    assert "first start" in first.stderr
    return made


@pytest.fixture
def without_python(tmp_path: Path) -> Checkout:
    """No Python to be found but what a test puts into `bin`; the tools the launcher calls are there."""
    made = Checkout(tmp_path / "checkout")
    (made.bin / "python3").unlink()
    for tool in ("sh", "cmp", "env"):
        link(made.bin / tool, Path(shutil.which(tool) or ""))
    return made


def only_bin(checkout: Checkout) -> dict[str, Any]:
    # Places like /usr/local/bin are looked at whatever PATH says; a machine with a Python there needs no such test.
    if any(Path(place, "python3").exists() for place in ("/usr/local/bin", "/opt/homebrew/bin")):
        pytest.skip("this machine has a Python in a folder that is always looked at")
    return {"PATH": str(checkout.bin)}


def test_arguments_folder_and_project_reach_the_command_from_anywhere(ready: Checkout, tmp_path: Path) -> None:
    said = ready.start("two words", "--x", cwd=tmp_path)
    assert said.stdout.strip() == f"['two words', '--x']|{tmp_path}|{ready.root}"
    assert said.stderr == ""


def test_a_link_to_the_launcher_finds_its_checkout(ready: Checkout, tmp_path: Path) -> None:
    link(tmp_path / "first", ready.root / "smos")
    (tmp_path / "second").symlink_to("first")
    said = ready.start(command=str(tmp_path / "second"))
    assert said.stdout.strip().endswith(str(ready.root))


def test_a_file_in_the_callers_folder_is_never_imported(ready: Checkout, tmp_path: Path) -> None:
    (tmp_path / "os.py").write_text("raise SystemExit('imported')")
    (tmp_path / "smos.py").write_text("raise SystemExit('imported')")
    assert ready.start(cwd=tmp_path).returncode == 0


def test_programs_of_the_environment_import_the_command_and_start_in_a_path_with_spaces(ready: Checkout) -> None:
    pip = ready.start(command=str(ready.state / "venv/bin/pip"), *["--version"])  # noqa: B026 - the program, then its option
    assert pip.returncode == 0, pip.stderr
    find = [str(ready.state / "venv/bin/python"), "-P", "-c", "import smos; print(smos.__file__)"]
    found = subprocess.run(find, capture_output=True, text=True, env=ready.env(), cwd="/")
    assert found.stdout.strip() == str(ready.root / "src/smos/__init__.py")


def test_the_launchers_own_part_of_a_later_start_costs_less_than_another_python_would(ready: Checkout) -> None:
    python = [str(ready.state / "venv/bin/python"), "-P", "-m", "smos"]
    env = ready.env(SMOS_PROJECT_DIR=str(ready.root))

    def run(*command: str) -> Callable[[], object]:
        return lambda: subprocess.run(command, check=True, capture_output=True, env=env)

    def clock() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    plain, launched = costs(run(*python), run(str(ready.root / "smos")), turns=25, clock=clock)
    assert launched < 1.8 * plain, "usually 1.3"


def test_the_environment_is_made_again_only_when_the_lock_file_changes(checkout: Checkout) -> None:
    checkout.start()
    first = (checkout.state / "venv").resolve()
    (checkout.root / "requirements.lock").touch()
    assert checkout.start().stderr == ""
    (checkout.root / "requirements.lock").write_text("# something else\n")
    assert "updating" in checkout.start().stderr
    assert (checkout.state / "venv").resolve() != first
    assert first.is_dir(), "a command that runs meanwhile still uses the environment before"


def test_a_checkout_that_was_moved_gets_an_environment_for_its_new_place(checkout: Checkout, tmp_path: Path) -> None:
    checkout.start()
    moved = checkout.root.rename(tmp_path / "elsewhere")
    said = checkout.start(command=str(moved / "smos"))
    assert (said.returncode, said.stdout.strip().split("|")[-1]) == (0, str(moved))


def test_a_vanished_interpreter_makes_the_environment_new(checkout: Checkout) -> None:
    checkout.start()
    (checkout.state / "venv/bin/python").unlink()
    assert checkout.start().returncode == 0


def test_the_state_directory_can_be_elsewhere(checkout: Checkout, tmp_path: Path) -> None:
    assert checkout.start(SMOS_STATE_DIR="other state", cwd=tmp_path).returncode == 0
    assert (tmp_path / "other state/venv/bin/python").exists()
    assert not checkout.state.exists()


def test_it_starts_without_any_home(checkout: Checkout) -> None:
    env = checkout.env()
    del env["HOME"]
    done = subprocess.run([str(checkout.root / "smos")], capture_output=True, text=True, env=env, timeout=120)
    assert done.returncode == 0, done.stderr


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """What it says on stderr up to the line that has these words."""
    assert process.stderr is not None
    said = ""
    while words not in said:
        line = process.stderr.readline()
        assert line, f"it ended, and said only: {said}"
        said += line
    return said


@pytest.mark.parametrize("moment", [0.05, 0.3, 0.8, 1.5])
def test_killed_at_any_moment_the_next_start_is_complete(checkout: Checkout, moment: float) -> None:
    first = checkout.popen()
    time.sleep(moment)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert checkout.start("again").stdout.startswith("['again']")
    assert len(list((checkout.state / "venvs").iterdir())) == 1, "what was half made is gone"


def test_interrupted_it_says_so_and_leaves_nothing_half_made(checkout: Checkout) -> None:
    first = checkout.popen()
    said_before = read_until(first, "first start")
    os.killpg(first.pid, signal.SIGINT)
    said = said_before + first.communicate()[1]
    assert first.returncode == 130
    assert "interrupted" in said
    assert not list((checkout.state / "venvs").glob("*"))


def test_of_two_first_starts_at_once_one_waits_and_both_work(checkout: Checkout) -> None:
    both = [checkout.popen()]
    said = [read_until(both[0], "first start")]
    os.killpg(both[0].pid, signal.SIGSTOP)  # it is not ready before the other one has come
    try:
        both.append(checkout.popen())
        said.append(read_until(both[1], "waiting"))
    finally:
        os.killpg(both[0].pid, signal.SIGCONT)
    said = [before + process.communicate()[1] for before, process in zip(said, both, strict=True)]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("waiting" in text for text in said) == 1
    assert sum("first start" in text for text in said) == 1


def test_a_shim_that_exists_and_fails_is_passed_over(without_python: Checkout, tmp_path: Path) -> None:
    shims, versions = tmp_path / "pyenv/shims", tmp_path / "pyenv/versions/3.x/bin"
    shims.mkdir(parents=True)
    versions.mkdir(parents=True)
    script(shims / "python3", "#!/bin/sh\necho 'pyenv: not installed' >&2\nexit 127\n")
    link(versions / "python3", REAL_PYTHON)
    said = without_python.start("x", PATH=f"{shims}:{without_python.bin}")
    assert said.returncode == 0, said.stderr


def test_without_a_suitable_python_it_says_what_is_needed_and_ends_with_3(without_python: Checkout) -> None:
    env = only_bin(without_python)
    script(without_python.bin / "python3", "#!/bin/sh\nexit 1\n")
    said = without_python.start(**env)
    assert (said.returncode, said.stdout) == (3, "")
    assert "Python 3.11 or newer is needed" in said.stderr
    assert not without_python.state.exists()


def test_a_python_without_venv_names_the_package_to_install(without_python: Checkout) -> None:
    env = only_bin(without_python)
    script(without_python.bin / "python3", "#!/bin/sh\necho python3.12\nexit 10\n")
    said = without_python.start(**env)
    assert said.returncode == 3
    assert "apt install python3.12-venv" in said.stderr


def test_a_chosen_python_that_does_not_serve_is_refused_by_name(checkout: Checkout) -> None:
    said = checkout.start(SMOS_PYTHON="/nowhere/python3")
    assert said.returncode == 3
    assert "SMOS_PYTHON=/nowhere/python3 does not serve" in said.stderr


def test_choosing_a_python_makes_the_environment_for_it_once(checkout: Checkout) -> None:
    checkout.start()
    assert "updating" in checkout.start(SMOS_PYTHON=str(REAL_PYTHON)).stderr
    assert checkout.start(SMOS_PYTHON=str(REAL_PYTHON)).stderr == ""
    assert checkout.start().stderr == "", "without a wish, what is there serves"


def test_a_package_that_cannot_be_installed_shows_the_end_of_pips_words(checkout: Checkout) -> None:
    # A hash that fits nothing, of a file that is there: no index is asked.
    (checkout.root / "no-such.whl").write_bytes(b"x")
    (checkout.root / "requirements.lock").write_text(f"no-such.whl --hash=sha256:{'0' * 64}\n")
    said = checkout.start(cwd=checkout.root)
    assert said.returncode == 3
    assert "setting up failed" in said.stderr
    assert "setup.log" in said.stderr
    assert not (checkout.state / "venv").exists()


def test_a_state_directory_that_cannot_be_written_is_explained(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = checkout.start(SMOS_STATE_DIR=str(tmp_path / "file/state"))
    assert said.returncode == 3
    assert "SMOS_STATE_DIR" in said.stderr
