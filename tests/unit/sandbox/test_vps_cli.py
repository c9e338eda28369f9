"""`smos sandbox up|down|status` with a VPS: which wishes are passed on, what is said, and with which exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smos.cli import main
from smos.sandbox import server, vps

MACHINE = vps.Machine("vps1", "127.0.0.1", 40001, "/k", 40002, "smos-vps-0-1", "trixie", "203.0.113.11", 40003, 40004)


@pytest.fixture(autouse=True)
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What the command asks of the machines and of the providers, in order."""
    made: list[tuple[str, dict[str, Any]]] = []

    def up(state: Path, *, say: Any, **wishes: Any) -> list[vps.Machine]:
        made.append(("vps up", {"state": state, **wishes}))
        say("Making the VPS")
        return [MACHINE]

    def down(state: Path, *, purge: bool) -> dict[str, Any]:
        made.append(("vps down", {"purge": purge}))
        return {"stopped": ["smos-vps-0-1"], "removed": ["smos-vps-0-1"] if purge else []}

    def providers(_state: Path, *_more: Any, **_wishes: Any) -> Any:
        made.append(("providers", {}))
        return server.Sandbox("http://127.0.0.1:8321", 7)

    def providers_down(_state: Path) -> bool:
        made.append(("providers down", {}))
        return True

    monkeypatch.setenv("SMOS_STATE_DIR", str(tmp_path))
    monkeypatch.delenv("SMOS_ENV", raising=False)
    monkeypatch.setattr(vps, "up", up)
    monkeypatch.setattr(vps, "down", down)
    monkeypatch.setattr(vps, "status", lambda _state: [])
    monkeypatch.setattr(server, "up", providers)
    monkeypatch.setattr(server, "down", providers_down)
    monkeypatch.setattr(server, "status", lambda _state: None)
    return made


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_without_the_option_there_is_no_vps(
    calls: list[tuple[str, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sandbox", "up", "--json"]) == 0
    assert [name for name, _ in calls] == ["providers"]
    assert said(capsys)["result"] == {"url": "http://127.0.0.1:8321", "pid": 7}


def test_the_wishes_are_passed_on(
    tmp_path: Path, calls: list[tuple[str, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sandbox", "up", "--vps", "--suite", "trixie", "--nodes", "2", "--real-images", "--json"]
    assert main(words) == 0
    assert calls[0] == ("vps up", {"state": tmp_path, "suite": "trixie", "nodes": 2, "real_images": True})
    assert said(capsys)["result"]["vps"][0]["port"] == 40001


def test_a_person_is_told_how_to_log_in(
    calls: list[tuple[str, dict[str, Any]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sandbox", "up", "--vps"]) == 0
    shown = capsys.readouterr()
    assert "vps1 (trixie): ssh root@127.0.0.1 port 40001, key /k" in shown.out
    assert shown.err == "Making the VPS\n"
    assert calls[0][1] | {"state": None} == {"state": None, "suite": None, "nodes": None, "real_images": None}


@pytest.mark.parametrize(
    "words", [["--suite", "trixie"], ["--vps", "--suite", "sarge"], ["--vps", "--nodes", "9"], ["--real-images"]]
)
def test_wishes_that_make_no_sense_are_refused(calls: list[tuple[str, dict[str, Any]]], words: list[str]) -> None:
    assert main(["sandbox", "up", *words]) == 2
    assert calls == []


def test_what_cannot_be_had_ends_with_3_and_starts_nothing(
    calls: list[tuple[str, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_given: Any, **_wishes: Any) -> None:
        raise vps.VpsError("no engine answers", "Install Docker")

    monkeypatch.setattr(vps, "up", refused)
    assert main(["sandbox", "up", "--vps", "--json"]) == 3
    (error,) = said(capsys)["errors"]
    assert (error["why"], error["next"]) == ("no engine answers", "Install Docker")
    assert calls == []


@pytest.mark.parametrize(
    ("words", "asked", "result"),
    [
        ([], ["vps down", "providers down"], {"stopped", "vps"}),
        (["--vps"], ["vps down"], {"vps"}),
        (["--purge"], ["vps down", "providers down"], {"stopped", "vps"}),
        (["--vps", "--purge"], ["vps down"], {"vps"}),
    ],
)
def test_down_stops_all_or_only_the_vps(
    calls: list[tuple[str, dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    asked: list[str],
    result: set[str],
) -> None:
    assert main(["sandbox", "down", *words, "--json"]) == 0
    assert [name for name, _ in calls] == asked
    assert calls[0][1] == {"purge": "--purge" in words}
    assert said(capsys)["result"].keys() == result


def test_the_status_shows_the_machines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"name": "smos-vps-0-1", "role": "vps1", "state": "running", "suite": "trixie", "port": 40001},
        {"name": "smos-vps-0-registry", "role": "registry", "state": "exited", "registry_port": 0},
    ]
    monkeypatch.setattr(vps, "status", lambda _state: rows)
    assert main(["sandbox", "status"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[1:] == [
        "  smos-vps-0-1 (vps1): running, 127.0.0.1:40001",
        "  smos-vps-0-registry (registry): exited",
    ]
    assert main(["sandbox", "status", "--json"]) == 0
    assert said(capsys)["result"] == {"running": False, "vps": rows}
