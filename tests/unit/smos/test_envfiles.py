"""Environment files: whatever editors make of them is read, what is doubtful is refused, and no value is ever shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from smos import envfiles, exitcodes
from smos.outcome import Failure


def values(text: str | bytes) -> dict[str, str]:
    raw = text.encode() if isinstance(text, str) else text
    return {name: value for name, _line, value in envfiles.parsed(raw)}


def folder(tmp_path: Path, mode: int = 0o600, **files: str | bytes) -> Path:
    """A folder with these files: `env` is `.env`, `odoo` is `.env.odoo`."""
    for name, content in files.items():
        file = tmp_path / (".env" if name == "env" else f".env.{name}")
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        file.chmod(mode)
    return tmp_path


def taken(where: Path, env: str = "staging", **already: str) -> dict[str, str]:
    environment = dict(already)
    envfiles.take(where, env, environment)
    return environment


def refused(where: Path, env: str = "staging") -> dict[str, str]:
    with pytest.raises(Failure) as caught:
        envfiles.take(where, env, {})
    (error,) = caught.value.outcome.errors
    return {**error, "code": str(caught.value.outcome.code)}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("A=", ""),
        ("A=b=c==", "b=c=="),
        ("export A=b", "b"),
        ("export\tA=b", "b"),
        ("  A = b  ", "b"),
        ("A=b # a comment", "b"),
        ("A=b#c", "b#c"),
        ("A=# nothing", ""),
        ("A='b c # d'", "b c # d"),
        ("A='b' # why", "b"),
        ('A="b c"', "b c"),
        ('A="say \\"b\\" \\\\ c"', 'say "b" \\ c'),
        ('A="b\\nc\\td\\re"', "b\nc\td\re"),
        ("A='b\\nc'", "b\\nc"),
        ("A=$HOME ${X} `id` $(id)", "$HOME ${X} `id` $(id)"),
        ('A="$HOME"', "$HOME"),
        ("A=b c", "b c"),
        ("A=ñandú", "ñandú"),
        ("A=it's", "it's"),
    ],
)
def test_a_line_is_read_as_it_was_meant_and_never_evaluated(line: str, value: str) -> None:
    assert values(line) == {"A": value}


@pytest.mark.parametrize(
    "text",
    [
        "A=1\r\nB=2\r\n",
        "\ufeffA=1\nB=2",
        "\ufeff\r\n# first\r\nA=1\r\n\r\n  # second\r\nB=2",
        "A=1\rB=2\r",
        "A=1\n\n\nB=2\n",
    ],
)
def test_line_ends_byte_order_mark_comments_and_blank_lines_do_no_harm(text: str) -> None:
    assert values(text) == {"A": "1", "B": "2"}


@pytest.mark.parametrize(
    "line",
    [
        "A",
        "A b",
        "export A",
        "1A=b",
        "A-B=c",
        "=b",
        "A.B=c",
        'A="b',
        "A='b",
        'A="b" c',
        "A='b'c",
        '"A"=b',
        "A: b",
    ],
)
def test_a_line_that_is_no_assignment_is_refused_by_its_number_without_its_content(line: str) -> None:
    with pytest.raises(envfiles.BadLine) as caught:
        values(f"X=1\n\n{line.replace('b', 'planted-secret')}\n")
    assert caught.value.number == 3
    assert "planted" not in str(caught.value)


def test_a_file_that_is_no_utf_8_is_refused_with_its_line() -> None:
    with pytest.raises(envfiles.BadLine, match="line 2 is not UTF-8"):
        values(b"A=1\nB=\xf1\n")
    with pytest.raises(envfiles.BadLine, match="UTF-16"):
        values("A=1".encode("utf-16"))
    with pytest.raises(envfiles.BadLine, match="line 2 has a NUL"):
        values(b"A=1\nB=\x00\n")


def test_all_files_of_the_folder_are_taken_and_what_explains_them_is_not(tmp_path: Path) -> None:
    where = folder(tmp_path, env="A=1", odoo="B=2", example="C=3")
    for other in (".env.odoo.template", ".env.odoo.bak", ".env.odoo~", ".envrc", "env"):
        (where / other).write_text("D=4")
    (where / ".env.folder").mkdir()
    assert taken(where) == {"A": "1", "B": "2"}


def test_a_folder_that_is_not_there_is_no_mistake(tmp_path: Path) -> None:
    assert taken(tmp_path / "nowhere") == {}


def test_the_shell_goes_before_the_file_even_when_it_says_nothing(tmp_path: Path) -> None:
    where = folder(tmp_path, env="A=file\nB=file\nC=file")
    assert taken(where, A="shell", B="") == {"A": "shell", "B": "", "C": "file"}


def test_a_name_twice_in_a_file_is_refused_with_both_lines(tmp_path: Path) -> None:
    error = refused(folder(tmp_path, odoo="A=planted-1\n\nexport A=planted-2\n"))
    assert error["code"] == str(exitcodes.INVALID)
    assert error["why"] == "A is set twice: line 1 and line 3"
    assert error["where"].endswith(".env.odoo:3")
    assert "planted" not in str(error)


def test_a_name_in_two_files_is_refused_with_both_files(tmp_path: Path) -> None:
    error = refused(folder(tmp_path, env="A=1", odoo="B=1\nA=2"))
    assert error["why"] == "A is set twice: .env line 1 and .env.odoo line 2"


def test_nothing_is_set_when_something_is_wrong(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    with pytest.raises(Failure):
        envfiles.take(folder(tmp_path, env="A=1", odoo="what is this?"), "staging", environment)
    assert environment == {}


def test_an_invalid_line_ends_with_2_and_names_file_and_line_only(tmp_path: Path) -> None:
    error = refused(folder(tmp_path, odoo="A=1\nplanted-secret\n"))
    assert error["code"] == str(exitcodes.INVALID)
    assert error["where"].endswith(".env.odoo:2")
    assert "planted" not in str(error)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o666])
def test_in_production_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    error = refused(folder(tmp_path, mode=mode, odoo="A=1"), "production")
    assert error["code"] == str(exitcodes.UNUSABLE)
    assert error["where"].endswith(".env.odoo")
    assert error["next"] == f"chmod 600 {tmp_path / '.env.odoo'}"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_in_production_a_file_of_its_owner_alone_is_taken(tmp_path: Path, mode: int) -> None:
    assert taken(folder(tmp_path, mode=mode, odoo="A=1"), "production") == {"A": "1"}


def test_elsewhere_a_file_that_others_may_use_is_taken_with_a_warning(tmp_path: Path) -> None:
    where = folder(tmp_path, mode=0o644, odoo="A=1")
    environment: dict[str, str] = {}
    (warning,) = envfiles.take(where, "staging", environment)
    assert f"chmod 600 {where / '.env.odoo'}" in warning
    assert environment == {"A": "1"}


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    target = tmp_path / "secret"
    target.write_text("A=1")
    target.chmod(0o644)
    where = tmp_path / "env"
    where.mkdir()
    (where / ".env.odoo").symlink_to(target)
    assert refused(where, "production")["code"] == str(exitcodes.UNUSABLE)
    target.chmod(0o600)
    assert taken(where, "production") == {"A": "1"}


def test_a_file_that_names_another_environment_is_refused(tmp_path: Path) -> None:
    where = folder(tmp_path, env="SMOS_ENV=production")
    assert "SMOS_ENV names another environment" in refused(where, "staging")["why"]
    assert taken(where, "production") == {"SMOS_ENV": "production"}


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    error = refused(folder(tmp_path, env="A=" + "b" * envfiles.LARGEST))
    assert error["code"] == str(exitcodes.INVALID)


def test_each_environment_has_its_folder_and_the_sandbox_has_local(tmp_path: Path) -> None:
    (tmp_path / "galaxy.yml").touch()
    (tmp_path / "playbooks").mkdir()
    project = {"SMOS_PROJECT_DIR": str(tmp_path)}
    assert envfiles.folder_of("sandbox", project) == tmp_path / "system" / "env" / "local"
    assert envfiles.folder_of("production", project) == tmp_path / "system" / "env" / "production"
    elsewhere = {**project, "SMOS_ENV_DIR": str(tmp_path / "own")}
    assert envfiles.folder_of("staging", elsewhere) == tmp_path / "own" / "staging"


def test_a_name_that_no_environment_has_leads_to_no_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    folder(tmp_path, mode=0o600, env="A_PLANTED=1")
    monkeypatch.setenv("SMOS_ENV_DIR", str(tmp_path / "x"))
    envfiles.enter("..")
    assert "A_PLANTED" not in os.environ
