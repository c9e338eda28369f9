"""The vault: Ansible's format, whole writes under a lock, and messages that name file and sources but no value."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.parsing.vault import VaultSecret
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import vault
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.vault import Content, Vault, VaultError

PLANTED = "planted-value-that-nobody-may-see"
TOOLS = Path(sys.executable).parent
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)


def password(word: str = "one", label: str = "default") -> vault.Password:
    return label, VaultSecret(word.encode())


def vault_at(path: Path, *passwords: vault.Password) -> Vault:
    return Vault(path, passwords or (password(),), ("a file", "the keyring"))


def filled(path: Path, *passwords: vault.Password, **values: str) -> Vault:
    made = vault_at(path, *passwords)
    with made.changing() as content:
        for name, value in (values or {"redis_password": PLANTED}).items():
            content.put(name, value)
    return made


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    made = filled(
        tmp_path / "vault.yml", redis_password="no", n8n_jwt_secret="0123: {{ x }} # 'y' \"z\"", odd="ñ\n\ttrue"
    )
    assert made.read().values == {
        "redis_password": "no",
        "n8n_jwt_secret": "0123: {{ x }} # 'y' \"z\"",
        "odd": "ñ\n\ttrue",
    }
    assert set(made.read().meta) == {"redis_password", "n8n_jwt_secret", "odd"}


@given(value=TEXTS)
def test_any_text_survives_the_way_through_yaml(value: str) -> None:
    content = Content({"a_secret": value, "other": "null"}, {"a_secret": {"made_at": "x"}}, {"other": value})
    again = vault._content(vault._text(content).encode(), Path("v"))
    assert again == content


def test_ansible_itself_reads_the_file_and_only_the_owner_may(tmp_path: Path) -> None:
    path, word = tmp_path / "vault.yml", tmp_path / "word"
    word.write_text("one\n")
    filled(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes().startswith(b"$ANSIBLE_VAULT;1.1;AES256\n")
    assert PLANTED.encode() not in path.read_bytes()
    line = [str(TOOLS / "ansible-vault"), "view", "--vault-password-file", str(word), str(path)]
    assert f'redis_password: "{PLANTED}"' in subprocess.run(line, check=True, capture_output=True, text=True).stdout


def test_the_label_and_password_that_a_file_has_stay(tmp_path: Path) -> None:
    path, mine, other = tmp_path / "vault.yml", password("two", "ops"), password("one")
    filled(path, mine)
    assert b";1.2;AES256;ops\n" in path.read_bytes()
    with vault_at(path, other, mine).changing() as content:
        content.put("further", "x")
    assert b";1.2;AES256;ops\n" in path.read_bytes()
    assert vault_at(path, mine).read().values["further"] == "x"


def test_nothing_is_written_where_nothing_differs_or_something_fails(tmp_path: Path) -> None:
    made = filled(tmp_path / "vault.yml")
    before = made.path.read_bytes()
    with made.changing() as content:
        assert not content.put("redis_password", PLANTED)
    with pytest.raises(KeyError), made.changing() as content:
        content.put("redis_password", content.values.pop("redis_password") + content.values["none"])
    assert made.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["vault.yml"]


def test_what_a_dead_one_left_is_no_hindrance(tmp_path: Path) -> None:
    left = tmp_path / ".vault.yml.part"
    left.write_text("half")
    left.chmod(0o644)
    made = filled(tmp_path / "vault.yml")
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert not left.exists()


def _put(path: Path, number: int) -> None:
    with vault_at(path).changing() as content:
        content.put(f"secret_{number}", str(number))


def test_those_who_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "vault.yml"
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_put, args=(path, number)) for number in range(6)]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert sorted(vault_at(path).read().values) == [f"secret_{number}" for number in range(6)]


def test_a_missing_file_holds_nothing_and_needs_no_password(tmp_path: Path) -> None:
    assert Vault(tmp_path / "none.yml", ()).read() == Content()


def as_is(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)


def encrypted(path: Path, text: str) -> None:
    vault_at(path)._write(text, password())


BROKEN = [
    ("no password", filled, (), "no password for it was found"),
    ("another password", filled, (password("two"),), "none of the passwords"),
    ("plain text", lambda path: as_is(path, f"a: {PLANTED}".encode()), (password(),), "not encrypted"),
    ("cut short", lambda path: as_is(path, b"$ANSIBLE_VAULT;1.1;AES256\n3834"), (password(),), "none of the passwords"),
    ("empty", lambda path: as_is(path, b""), (password(),), "not encrypted"),
    ("a list", lambda path: encrypted(path, f"- {PLANTED}"), (password(),), "no mapping"),
    ("a number", lambda path: encrypted(path, "pin: 123456"), (password(),), "pin: not a text"),
    ("no YAML", lambda path: encrypted(path, f"a: b\n{PLANTED}: [x"), (password(),), "no YAML that we read"),
    ("twice", lambda path: encrypted(path, f"a: {PLANTED}\na: {PLANTED}x"), (password(),), "line 2"),
    ("too large", lambda path: as_is(path, b"$" * (vault.LARGEST + 1)), (password(),), "too large"),
]


@pytest.mark.parametrize(("write", "passwords", "why"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_one_that_cannot_be_used_is_told_without_its_content(
    tmp_path: Path, write: Any, passwords: tuple[vault.Password, ...], why: str
) -> None:
    path = tmp_path / "vault.yml"
    write(path)
    with pytest.raises(VaultError) as refused:
        Vault(path, passwords, ("a file", "the keyring")).read()
    assert refused.value.exit_code == 3
    assert why in refused.value.error["why"]
    assert str(path) in refused.value.error["where"]
    assert PLANTED not in str(refused.value)
    if "password" in why:
        assert "a file; the keyring" in refused.value.error["next"]


def test_a_new_one_needs_a_password(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match="no password to make it with"), Vault(tmp_path / "v", ()).changing():
        raise AssertionError("it was opened")
    assert list(tmp_path.iterdir()) == []


def play(tmp_path: Path, environment: str, given: list[vault.Password] | None = None) -> Vault:
    """The vault as a play of this environment finds it."""
    variables = {
        "smos_vault_file": str(tmp_path / "vault.yml"),
        "smos_vault_password_file": str(tmp_path / "own" / ".vault-password"),
        "smos_environment": environment,
    }
    loader = SimpleNamespace(_vault=SimpleNamespace(secrets=given))
    return vault.opened(variables, loader, lambda value: value)


def test_the_sandbox_makes_its_password_once(tmp_path: Path) -> None:
    first, second = play(tmp_path, "sandbox"), play(tmp_path, "sandbox", [password("of another environment")])
    own = tmp_path / "own" / ".vault-password"
    assert own.stat().st_mode & 0o777 == 0o600
    assert len(own.read_text().strip()) >= 40
    assert [each[1].bytes for each in (*first.passwords, *second.passwords)] == [own.read_bytes().strip()] * 2


def test_elsewhere_none_is_made_and_what_ansible_was_given_goes_first(tmp_path: Path) -> None:
    none = play(tmp_path, "production")
    assert none.passwords == []
    assert "not given" in none.sought[0]
    assert "not there" in none.sought[-1]
    own = tmp_path / "own" / ".vault-password"
    own.parent.mkdir()
    own.touch(mode=0o600)
    own.write_text("of the file\n")
    assert [each[1].bytes for each in play(tmp_path, "production").passwords] == [b"of the file"]
    assert [each[1].bytes for each in play(tmp_path, "production", [password("given")]).passwords] == [b"given"]


@pytest.mark.parametrize(
    ("mode", "text", "why"), [(0o644, "word", "others than its owner"), (0o600, " \n", "is empty")]
)
def test_a_password_file_that_is_no_good_is_refused(tmp_path: Path, mode: int, text: str, why: str) -> None:
    path = tmp_path / ".vault-password"
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(VaultError, match=why):
        vault.own_password(path)


def test_without_a_vault_in_the_inventory_the_variable_is_named() -> None:
    loader = SimpleNamespace(_vault=SimpleNamespace(secrets=None))
    with pytest.raises(VaultError, match="smos_vault_file"):
        vault.opened({}, loader, lambda value: value)


@contextmanager
def nobody() -> Iterator[None]:
    """Root may read everything, so for a while it is somebody else."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_file_that_is_not_readable_is_told(tmp_path: Path) -> None:
    made = filled(tmp_path / "vault.yml")
    made.path.chmod(0)
    with nobody(), pytest.raises(VaultError, match="Permission denied"):
        made.read()
