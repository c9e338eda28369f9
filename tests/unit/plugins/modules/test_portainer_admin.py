"""Portainer's administrator, made or found in a stand-in that behaves as Portainer's own API does."""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import portainer_admin as service
from ansible_collections.smartercl.smarteros.plugins.modules import portainer_admin as module
from real.processes import free_port, running, wait_until
from support.containers import Container, placed
from unit.plugins.wire import run_module

IMAGES = Path(__file__).parents[4] / "src/smos/sandbox/images"
PASSWORD = "Correct-horse-7-battery"


@contextmanager
def portainer(home: Path, monkeypatch: pytest.MonkeyPatch, *options: str) -> Iterator[Container]:
    """A stand-in as a process, which the module finds as its container."""
    port, log = free_port(), home / "log"
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(IMAGES), "STANDIN_HOME": str(home), "STANDIN_DATA": str(home)}
    command = [sys.executable, "-m", "standin.portainer", f"--bind=:{port}", *options]

    def listens() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/status", timeout=2) as answer:
                return "Version" in json.loads(answer.read())
        except OSError:
            return False

    with running(command, log=log, env=env, cwd=home) as process:
        wait_until(listens, "Portainer", process=process, log=log, seconds=30)
        yield placed(monkeypatch, Container(ports={service.PORT: port}))


def run(check: bool = False, **more: Any) -> dict[str, Any]:
    return run_module(module, check, **{"service": "portainer_portainer", "password": PASSWORD, "timeout": 5, **more})


def test_the_administrator_that_the_file_made_is_found_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text(PASSWORD)
    with portainer(tmp_path, monkeypatch, f"--admin-password-file={tmp_path / 'password'}") as container:
        assert run()["changed"] is False
        assert [path for _method, path in container.sent] == ["/api/users/admin/check", "/api/auth"]


def test_where_there_is_none_it_is_made_and_check_mode_foretells_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with portainer(tmp_path, monkeypatch) as container:
        foretold = run(check=True)
        assert {method for method, _path in container.sent} == {"GET"}
        made = run()
        assert [row["what"] for row in made["changes"]] == ["administrator"]
        assert foretold["changes"] == made["changes"]
        assert run()["changed"] is False
        assert PASSWORD not in repr(made)


def test_somebody_elses_administrator_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with portainer(tmp_path, monkeypatch):
        run(password="Another-first-visitor-1")
        answer = run()
        assert (answer["failed"], answer["exit_code"]) == (True, 1)
        assert "cannot sign in with the password that is kept (portainer_admin_password)" in answer["msg"]
        assert PASSWORD not in repr(answer)


def test_a_short_password_is_told_before_anything_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    container = placed(monkeypatch, Container())
    answer = run(password="short")
    assert answer["failed"]
    assert "less than the 12 characters" in answer["msg"]
    assert container.sent == []
