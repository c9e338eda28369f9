"""tests/tools/engine.sh with a dockerd that only sleeps: who is started, who is stopped, who is left alone."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "engine.sh"
DOCKER = '#!/bin/sh\n[ -f "$FAKE/answers" ] && [ -z "${DOCKER_HOST:-}" ] && echo 1.2.3\n'
DOCKERD = '#!/bin/sh\ntouch "$FAKE/answers"\ntrap \'rm -f "$FAKE/answers"; exit 0\' TERM\nwhile :; do sleep 0.1; done\n'
DYING = "#!/bin/sh\necho no space left\nexit 1\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    for name, text in {"docker": DOCKER, "dockerd": DOCKERD, "id": "#!/bin/sh\necho 0\n"}.items():
        put(tmp_path, name, text)
    return tmp_path


def put(place: Path, name: str, text: str) -> None:
    (place / "bin" / name).write_text(text)
    (place / "bin" / name).chmod(0o755)


def call(place: Path, *words: str, **names: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "FAKE": str(place),
        "SMOS_STATE_DIR": str(place / "s"),
    }
    return subprocess.run([SCRIPT, *words], env=environment | names, capture_output=True, text=True, timeout=60)


def pid(place: Path) -> int:
    return int((place / "s/engine/pid").read_text().split()[0])


def test_one_is_started_once_and_stopped_by_its_id(place: Path) -> None:
    assert "was started" in call(place, "start").stderr
    first = pid(place)
    assert "1.2.3 answers" in call(place, "start").stderr
    assert pid(place) == first
    assert f"pid {first} was stopped" in call(place, "stop").stderr
    assert not Path(f"/proc/{first}").exists()
    assert call(place, "stop").stderr == ""


def test_one_that_runs_already_is_neither_started_nor_stopped(place: Path) -> None:
    (place / "answers").touch()
    assert call(place, "run", "sh", "-c", "exit 7").returncode == 7
    assert call(place, "stop").stderr == ""
    assert (place / "answers").exists()


def test_a_run_stops_what_it_started(place: Path) -> None:
    done = call(place, "run", "sh", "-c", "docker; exit 7")
    assert (done.returncode, done.stdout) == (7, "1.2.3\n")
    assert "was stopped" in done.stderr
    assert not (place / "answers").exists()


def test_a_run_that_cannot_reach_one_leaves_another_runs_alone(place: Path) -> None:
    call(place, "start")
    try:
        assert call(place, "run", "true", DOCKER_HOST="tcp://203.0.113.1:1").returncode == 0
        assert Path(f"/proc/{pid(place)}").exists()
    finally:
        call(place, "stop")


@pytest.mark.parametrize(("names", "code"), [({}, 0), ({"CI": "true"}, 1)])
def test_without_one_the_tests_are_left_out_but_not_in_ci(place: Path, names: dict[str, str], code: int) -> None:
    put(place, "id", "#!/bin/sh\necho 1000\n")
    done = call(place, "start", **names)
    assert done.returncode == code
    assert "only root can start dockerd" in done.stderr


def test_one_that_dies_says_why(place: Path) -> None:
    put(place, "dockerd", DYING)
    done = call(place, "start", CI="true")
    assert done.returncode == 1
    assert "no space left" in done.stderr
    assert not (place / "s/engine/pid").exists()


def test_an_id_that_now_belongs_to_another_process_is_left_alone(place: Path) -> None:
    (place / "s/engine").mkdir(parents=True)
    (place / "s/engine/pid").write_text(f"{os.getpid()} 1\n")
    assert call(place, "stop").returncode == 0
