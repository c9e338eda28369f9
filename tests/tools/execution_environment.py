"""Run `ansible-builder create` on execution-environment.yml: everything up to the build of the image, which needs a network.

`execution_environment.py FOLDER` writes the build context there. ansible-builder comes from the pinned packages of builder.lock into
the test cache, beside this environment and not into it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))

from real.installs import cached  # noqa: E402 - found only with the line above, as this file is run by its path

LOCK = HERE / "builder.lock"


def create(folder: Path) -> subprocess.CompletedProcess[str]:
    """Write the build context into the folder."""
    words = [
        "create",
        "--file",
        str(ROOT / "execution-environment.yml"),
        "--context",
        str(folder),
        "--output-filename",
        "Containerfile",
    ]
    environment = {**os.environ, "PYTHONPATH": str(_builder())}
    line = [sys.executable, "-m", "ansible_builder", *words]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def _builder() -> Path:
    """A folder for Python's path with ansible-builder."""
    return cached(f"ansible-builder-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]}", _install)


def _install(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    line = [*pip, "--only-binary", ":all:", "--require-hashes", "-r", str(LOCK), "--target", str(folder)]
    subprocess.run(line, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    done = create(Path(sys.argv[1]))
    print(done.stdout + done.stderr)
    sys.exit(done.returncode)
