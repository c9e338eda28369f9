"""Where the password of a vault is found, and that it reaches a play by a private file only."""

from __future__ import annotations

from pathlib import Path

import pytest

from smos import vault_password
from smos.outcome import Failure

WORD = "the-password-of-the-vault"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (vault_password.FILE, vault_password.KEYRING, *vault_password.ANSIBLES_OWN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SMOS_ENV_DIR", str(tmp_path / "env"))
    monkeypatch.setattr(vault_password, "_session", vault_password._Session())


def file(path: Path, text: str = f"{WORD}\n", mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def found(env: str = "production", **variables: str) -> str | None:
    return vault_password.find(env, {"SMOS_ENV_DIR": "/nowhere", **variables})


def refusal(**variables: str) -> tuple[int, str]:
    with pytest.raises(Failure) as refused:
        found(**variables)
    outcome = refused.value.outcome
    assert WORD not in str(outcome)
    return outcome.code, outcome.errors[0]["why"]


def test_a_file_goes_before_the_keyring_and_the_own_file(tmp_path: Path) -> None:
    own = {"SMOS_ENV_DIR": str(tmp_path)}
    file(tmp_path / "production" / ".vault-password", "own")
    assert found(**own) == "own"
    assert found(**own, SMOS_VAULT_PASSWORD_FILE=str(file(tmp_path / "word"))) == WORD
    assert found(**own, SMOS_VAULT_PASSWORD_FILE=str(tmp_path / "word"), SMOS_VAULT_KEYRING="x") == WORD
    assert found() is None


def test_a_program_says_it(tmp_path: Path) -> None:
    program = file(tmp_path / "say", f"#!/bin/sh\necho {WORD}\n", 0o755)
    assert found(SMOS_VAULT_PASSWORD_FILE=str(program)) == WORD


@pytest.mark.parametrize("name", ["keyring", "secret-tool"])
def test_the_keyring_is_asked_by_the_program_that_is_there(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file(tmp_path / "bin" / name, f'#!/bin/sh\necho "$*" >"{tmp_path}/asked"\necho {WORD}\n', 0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    assert found(SMOS_VAULT_KEYRING="smarteros/team/production") == WORD
    asked = {
        "keyring": "get smarteros/team production",
        "secret-tool": "lookup service smarteros/team username production",
    }
    assert (tmp_path / "asked").read_text().strip() == asked[name]


def test_a_source_that_gives_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    empty, silent = (
        file(tmp_path / "empty", "\n"),
        file(tmp_path / "silent", f"#!/bin/sh\necho {WORD}; exit 3\n", 0o755),
    )
    loose, binary = file(tmp_path / "loose", WORD, 0o640), tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    binary.chmod(0o600)
    for path, why in {empty: "empty", silent: "ended with 3", loose: "mode 0640", binary: "no text"}.items():
        code, told = refusal(SMOS_VAULT_PASSWORD_FILE=str(path))
        assert (code, why in told) == (3, True), told
    assert refusal(SMOS_VAULT_PASSWORD_FILE=str(tmp_path / "none")) == (3, "No such file or directory")
    assert refusal(SMOS_VAULT_KEYRING="a/b")[0] == 3
    assert refusal(SMOS_VAULT_KEYRING="nonsense")[0] == 2


def test_a_play_gets_it_by_a_private_file(tmp_path: Path) -> None:
    file(tmp_path / "env" / "production" / ".vault-password")
    option, path = vault_password.arguments("production", tmp_path)
    assert option == "--vault-password-file"
    assert Path(path).read_text() == f"{WORD}\n"
    assert Path(path).stat().st_mode & 0o777 == 0o600
    assert WORD not in path


@pytest.mark.parametrize("name", vault_password.ANSIBLES_OWN)
def test_where_ansible_finds_one_by_itself_nothing_is_added(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file(tmp_path / "env" / "production" / ".vault-password")
    monkeypatch.setenv(name, "something")
    assert vault_password.arguments("production", tmp_path) == []


def test_the_sandbox_needs_none_and_an_environment_without_one_goes_on(tmp_path: Path) -> None:
    file(tmp_path / "env" / "local" / ".vault-password")
    assert vault_password.arguments("sandbox", tmp_path) == []
    assert vault_password.arguments("production", tmp_path) == []


def test_a_program_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = file(tmp_path / "say", f"#!/bin/sh\necho x >>'{tmp_path}/times'\necho {WORD}\n", 0o755)
    monkeypatch.setenv(vault_password.FILE, str(program))
    assert vault_password.ready("production") == vault_password.ready("production") == WORD
    assert (tmp_path / "times").read_text() == "x\n"
