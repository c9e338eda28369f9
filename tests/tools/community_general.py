"""Fetch community.general for the load script's control and print the collections path that holds it.

It is unpacked from the pinned `ansible` package into the test cache and never installed: the package's
`ansible_collections` is a regular package, which in an environment would hide this project's own collection.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from real.installs import cached  # noqa: E402 - found only with the line above, as this file is run by its path

LOCK = HERE / "control.lock"
WANTED = "ansible_collections/community/general/"


def collections_path() -> Path:
    """A folder for Ansible's `collections_path` that has community.general and nothing else (some 50 MB once)."""
    return cached(f"community-general-{_version()}", _unpack)


def _version() -> str:
    """The release of the `ansible` package that this Python gets: the lock file names one for 3.11 and one for newer."""
    pinned = re.findall(r"^ansible==([\d.]+) ; python_full_version (<|>=)", LOCK.read_text(), re.MULTILINE)
    by_marker: dict[str, str] = {marker: version for version, marker in pinned}
    return by_marker["<" if sys.version_info < (3, 12) else ">="]


def _unpack(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    download = [*pip, "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", str(LOCK), "-d", str(folder)]
    subprocess.run(download, check=True, stdout=sys.stderr)
    (wheel,) = folder.glob("ansible-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder, [name for name in packed.namelist() if name.startswith(WANTED)])
    wheel.unlink()


if __name__ == "__main__":
    print(collections_path())
