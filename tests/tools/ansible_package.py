"""Fetch the collections of others that tests use out of the pinned `ansible` package, and print the path that holds them.

They are community.general, the load script's control, and awx.awx, which register_awx calls. They are unpacked into the test cache
and never installed: the package's `ansible_collections` is a regular package, which in an environment would hide this project's own
collection.
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
WANTED = tuple(f"ansible_collections/{name}/" for name in ("community/general", "awx/awx"))


def collections_path() -> Path:
    """A folder for Ansible's `collections_path` that has these collections alone (some 50 MB once). Raises CalledProcessError."""
    (version,) = re.findall(r"^ansible==([\d.]+) ", LOCK.read_text(), re.MULTILINE)
    return cached(f"ansible-collections-{version}", _unpack)


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
