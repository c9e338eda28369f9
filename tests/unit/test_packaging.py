"""`pip install .` gives the command and everything that a run needs, and nothing that belongs to developers."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections/smartercl/smarteros"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Names in the wheel that is built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("smarteros-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_one_command_and_one_collection(packed: list[str]) -> None:
    tops = {name.split("/")[0] for name in packed}
    assert tops == {"smos", "ansible_collections", next(top for top in tops if top.endswith(".dist-info"))}
    assert all(name.startswith(f"{COLLECTION}/") for name in packed if name.startswith("ansible_collections/"))


@pytest.mark.parametrize("folder", ["docs", "inventories", "meta", "playbooks", "plugins", "roles", "specs", "system"])
def test_every_file_that_a_run_may_need_is_in_the_wheel(packed: list[str], folder: str) -> None:
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder]
    known = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    missing = [name for name in known if (ROOT / name).is_file() and f"{COLLECTION}/{name}" not in packed]
    assert known
    assert missing == []


@pytest.mark.parametrize("name", ["ansible.cfg", "galaxy.yml", "requirements.yml", "LICENSE"])
def test_files_of_the_top_level_travel_along(packed: list[str], name: str) -> None:
    assert f"{COLLECTION}/{name}" in packed
