"""Where the parts of the project are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from smos import project

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root as the wheel lays it out, with one spec file."""
    root = tmp_path / "site-packages/ansible_collections/smartercl/smarteros"
    (root / "playbooks").mkdir(parents=True)
    (root / "galaxy.yml").touch()
    (root / "specs").mkdir()
    (root / "specs/index.yml").write_text("example: 1\n")
    monkeypatch.setattr(project, "_IN_CHECKOUT", tmp_path / "site-packages")
    monkeypatch.setattr(project, "_INSTALLED", root)
    return root


def test_a_checkout_is_found_from_its_own_file() -> None:
    found = project.find({"HOME": "/nonexistent"})
    assert found == project.Project(ROOT, ROOT / "collections", ROOT / ".smos", ROOT / "specs", is_checkout=True)


def test_the_launchers_word_names_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "galaxy.yml").touch()
    assert project.find({"SMOS_PROJECT_DIR": str(tmp_path)}).root == tmp_path


def test_a_named_folder_without_playbooks_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(project.ProjectNotFound, match=str(tmp_path)):
        project.find({"SMOS_PROJECT_DIR": str(tmp_path)})


def test_state_and_specs_can_be_elsewhere_also_relative_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = project.find({"SMOS_STATE_DIR": "state", "SMOS_SPECS_REPO": str(tmp_path / "mine")})
    assert (found.state_dir, found.specs_dir) == (tmp_path / "state", tmp_path / "mine")


def test_an_installed_package_keeps_state_in_the_users_folder_and_resolves_beside_itself(
    installed: Path, tmp_path: Path
) -> None:
    found = project.find({"HOME": str(tmp_path), "SMOS_SPECS_REPO": "/mine"})
    assert (found.root, found.is_checkout) == (installed, False)
    assert found.collections_path == tmp_path / "site-packages"
    assert found.state_dir == tmp_path / ".local/state/smos"
    elsewhere = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "xdg"), "SMOS_SPECS_REPO": "/mine"}
    assert project.find(elsewhere).state_dir == tmp_path / "xdg/smos"


def test_an_installed_package_copies_its_example_specs_once_and_says_so(
    installed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env = {"HOME": str(tmp_path), "XDG_DATA_HOME": "relative, so ignored"}
    specs = project.find(env).specs_dir
    assert specs == tmp_path / ".local/share/smos/specs"
    assert str(specs) in capsys.readouterr().err
    (specs / "index.yml").write_text("mine: 1\n")
    assert project.find(env).specs_dir == specs
    assert (specs / "index.yml").read_text() == "mine: 1\n"
    assert capsys.readouterr().err == ""
    assert [left.name for left in specs.parent.iterdir()] == ["specs"]
