"""The program of the timers: exit codes, one line of JSON, and the outcome that is kept."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import (
    catalogue,
    copies,
    job,
    manifest,
    notice,
    program,
    take,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository, ResticError
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import TargetLock


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose configuration, lock and state are in a folder."""
    path = tmp_path / "config.json"
    service = {"folders": ["/etc/dokploy"]}
    path.write_text(
        json.dumps(
            {"environment": "production", "path": "/backups", "password_file": "/p", "services": {"dokploy": service}}
        )
    )
    perform = job.perform
    lock = TargetLock(folder=tmp_path / "locks")

    def here(*given: Any, **more: Any) -> Any:
        return perform(*given, **more, lock=lock, last=tmp_path / "last.json")

    monkeypatch.setattr(job, "perform", here)
    monkeypatch.setattr(job, "gently", lambda: None)
    monkeypatch.setattr(notice, "tell", lambda *_: [])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.delenv("SMOS_RUN", raising=False)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    code = program.main([*words, "--json", "--config", str(folder / "config.json")])
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    document: dict[str, Any] = json.loads(said)
    assert set(document) == {"command", "ok", "duration_s", "result", "errors"}
    assert document["ok"] == (code == 0)
    return code, document


def taken(**more: Any) -> take.Taken:
    whole = manifest.Manifest("20261123-020000", "production", "v1", "vps", {"dokploy": manifest.ServicePart()})
    return take.Taken(whole, **{"verified": True, **more})


def test_a_backup_by_the_timer(machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    asked: dict[str, Any] = {}

    def fake(known: Any, _: Any, services: list[str], **more: Any) -> take.Taken:
        asked.update(more, services=services, host=known.host)
        more["progress"]("dokploy: folder /etc/dokploy")
        return taken()

    monkeypatch.setattr(take, "take", fake)
    code, document = answer(capsys, machine, "run", "--reason", "timer", "--wait", "1800", "dokploy")
    assert code == 0
    assert document["result"]["backup"] == "20261123-020000"
    assert (asked["services"], asked["reason"], asked["host"]) == (["dokploy"], "timer", "smos-production")
    assert asked["run"].startswith("timer-2")
    assert not asked["accept_shrunk"]
    kept = job.read_last(machine / "last.json")["backup"]
    assert (kept["ok"], kept["id"]) == (True, "20261123-020000")


def test_a_run_of_a_control_node_keeps_its_id(machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    asked: list[str] = []
    monkeypatch.setenv("SMOS_RUN", "20261123-015959-abcd")

    def fake(*_: Any, **more: Any) -> take.Taken:
        asked.append(more["run"])
        return taken()

    monkeypatch.setattr(take, "take", fake)
    assert answer(capsys, machine, "run")[0] == 0
    assert asked == ["20261123-015959-abcd"]


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (Refused("no such service", 2), 2),
        (Refused("no room", 4, "Free space"), 4),
        (EngineError("no answer from the Docker Engine"), 3),
        (ResticError("the password does not open it", 1, "password"), 3),
        (OSError("disk"), 3),
    ],
)
def test_what_is_refused_has_its_code_and_is_kept(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, raised: Exception, code: int
) -> None:
    def broken(*_: Any, **__: Any) -> take.Taken:
        raise raised

    monkeypatch.setattr(take, "take", broken)
    got, document = answer(capsys, machine, "run")
    assert got == code
    assert document["errors"][0]["why"] == str(raised)
    assert document["errors"][0]["next"]
    assert not job.read_last(machine / "last.json")["backup"]["ok"]


def test_a_backup_that_is_partial_fails(machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    row = {"what": "backup of odoo", "why": "gone", "where": "odoo", "next": "Repair"}
    monkeypatch.setattr(take, "take", lambda *_, **__: taken(errors=[row]))
    code, document = answer(capsys, machine, "run")
    assert code == 1
    assert document["errors"] == [row]
    assert "errors" not in document["result"]
    program.main(["run", "--config", str(machine / "config.json")])
    said = capsys.readouterr()
    assert "FAILED backup of odoo: gone. Repair" in said.err
    assert "failed in" in said.out


def test_a_busy_machine_and_one_that_was_not_set_up(machine: Path, capsys: Any) -> None:
    TargetLock(folder=machine / "locks").take(
        {"run": "deploy-1", "holder": "ana@control", "reason": "deploy", "expires_at": 9e12}
    )
    code, document = answer(capsys, machine, "run")
    assert code == 4
    assert "deploy-1" in document["errors"][0]["why"]
    (machine / "config.json").unlink()
    code, document = answer(capsys, machine, "run")
    assert code == 3
    assert "was not set up for backups" in document["errors"][0]["why"]


def test_copies_and_checks(machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    good, bad = copies.CopyOutcome("one", ["20261123-020000"]), copies.CopyOutcome("two", [], "no answer", "Wait")
    monkeypatch.setattr(copies, "copy_all", lambda *_, **__: [good, bad])
    code, document = answer(capsys, machine, "copy")
    assert code == 1
    assert document["errors"][0]["next"] == "Wait"
    assert document["result"]["copies"][0]["backups"] == ["20261123-020000"]
    asked: list[str] = []
    monkeypatch.setattr(Repository, "unlock", lambda _: asked.append("unlock"))
    monkeypatch.setattr(catalogue, "verify", lambda *_, **more: asked.append(more["subset"]))
    assert answer(capsys, machine, "check")[0] == 0
    assert asked == ["unlock", "5%"], "a drill that was killed would keep the check out"

    def damaged(*_: Any, **__: Any) -> None:
        raise ResticError("hash mismatch", 1, "damaged")

    monkeypatch.setattr(catalogue, "verify", damaged)
    code, document = answer(capsys, machine, "check", "--subset", "1/7")
    assert code == 1
    assert "Restore from another location" in document["errors"][0]["next"]
    kept = job.read_last(machine / "last.json")
    assert (kept["copy"]["ok"], kept["check"]["ok"]) == (False, False)


def test_what_there_is_is_listed(machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    found = catalogue.Found("20261123-020000", taken().manifest, ["local"], True)
    monkeypatch.setattr(catalogue, "every", lambda *_: [found])
    code, document = answer(capsys, machine, "list")
    assert code == 0
    assert document["result"]["backups"][0]["location"] == ["local"]
    program.main(["list", "--config", str(machine / "config.json")])
    assert "20261123-020000  complete  dokploy" in capsys.readouterr().out


def test_wrong_usage_is_2(capsys: Any) -> None:
    for words in ([], ["restore"], ["run", "--resaon", "timer"]):
        with pytest.raises(SystemExit) as ended:
            program.main(words)
        assert ended.value.code == 2


def test_being_ended_by_the_system_gives_the_lock_back_and_is_kept(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: Any, **__: Any) -> Any:
        program._ended(signal.SIGTERM, None)

    monkeypatch.setattr(take, "take", ended)
    with pytest.raises(SystemExit) as code:
        program.main(["run", "--config", str(machine / "config.json")])
    assert code.value.code == 143
    assert TargetLock(folder=machine / "locks").holder() is None
    assert not job.read_last(machine / "last.json")["backup"]["ok"]
