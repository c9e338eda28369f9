"""Run `ansible-test sanity` on the collection as its users get it: built, unpacked, in a real collections tree.

The build is made from what git knows (new files included, ignored ones not), because a build packs whatever lies around.
ansible-test keeps its environments in the test cache, and starts them with the pip that comes with Python: the script that
it would download for that is on no package index. Arguments go on to `ansible-test sanity`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = Path("ansible_collections/smartercl/smarteros")
sys.path.insert(0, str(ROOT / "tests"))

from real.installs import cache_dir  # noqa: E402 - found only with the line above, as this file is run by its path

# Takes get-pip.py's place: the arguments are options and packages of `pip install`, among them the pip to have.
PIP_FROM_PYTHON = """\
import subprocess, sys
subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
wanted = [argument for argument in sys.argv[1:] if argument.startswith("pip==")]
subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True)
"""


def main(arguments: list[str]) -> int:
    """The exit code of ansible-test; 1 when the artefact holds what it should not."""
    with tempfile.TemporaryDirectory(prefix="smos-sanity-") as folder:
        work = Path(folder)
        clean, installed = work / "clean", work / "installed"
        _copy(clean)
        _galaxy(clean, "build", "--output-path", str(work))
        (artefact,) = work.glob("smartercl-smarteros-*.tar.gz")
        _galaxy(work, "install", str(artefact), "--offline", "--force", "-p", str(installed))
        strangers = _unwanted(installed / NAME)
        if strangers:
            print(f"The built collection holds what it should not: {', '.join(strangers)}", file=sys.stderr)
            return 1
        _accept_the_licence(installed / NAME)
        tests = ["ansible-test", "sanity", "--venv", "--requirements", "--color", "no", "--truncate", "0", *arguments]
        return subprocess.run(tests, cwd=installed / NAME, env=_environment(), check=False).returncode


# The kinds of plugin whose licence ansible-test asks for.
LICENCED = ("modules", "inventory", "lookup", "callback", "connection", "vars", "cache")


def _accept_the_licence(collection: Path) -> None:
    """Plugins in Ansible's own repositories are GPL; these are proprietary, which is all that is waived here."""
    core = ".".join(importlib.metadata.version("ansible-core").split(".")[:2])
    files = sorted(file for kind in LICENCED for file in (collection / "plugins" / kind).glob("*.py"))
    ignored = [f"{file.relative_to(collection)} validate-modules:missing-gplv3-license\n" for file in files]
    (collection / "tests" / "sanity").mkdir(parents=True)
    (collection / "tests" / "sanity" / f"ignore-{core}.txt").write_text("".join(ignored), encoding="utf-8")


def _environment() -> dict[str, str]:
    """A home of its own for ansible-test, with what it would download already there."""
    home = cache_dir() / "ansible-test"
    ready = home / ".ansible" / "test" / "cache"
    ready.mkdir(parents=True, exist_ok=True)
    for version in _pip_versions():
        (ready / f"get_pip_{version.replace('.', '_')}.py").write_text(PIP_FROM_PYTHON, encoding="utf-8")
    return {**os.environ, "HOME": str(home), "PATH": _path_that_runs(), "LC_ALL": "C.UTF-8"}


def _path_that_runs() -> str:
    """PATH with pyenv's Pythons in place of its shims, which exist for every version and fail for most."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    kept = [folder for folder in os.environ["PATH"].split(os.pathsep) if not folder.endswith("/shims")]
    return os.pathsep.join([*kept, *map(str, sorted(pyenv.glob("versions/3.*/bin")))])


def _pip_versions() -> set[str]:
    """The pip versions that this ansible-test puts into its environments, read from its own source."""
    found = importlib.util.find_spec("ansible_test")
    if found is None or found.origin is None:
        raise SystemExit("ansible-test is not installed: run this with the development environment's Python")
    source = Path(found.origin).with_name("_internal") / "python_requirements.py"
    return set(re.findall(r"pip='([\d.]+)'", source.read_text(encoding="utf-8")))


def _copy(target: Path) -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    for name in filter(None, names):
        source = ROOT / name
        if not name.startswith("collections/") and source.is_file():
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)


def _galaxy(folder: Path, *command: str) -> None:
    subprocess.run(
        ["ansible-galaxy", "collection", *command],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def _unwanted(collection: Path) -> list[str]:
    """Parts of the checkout that belong to developers or to operators."""
    return [
        name
        for name in ("src", "tests", "specs", "system", "inventories", "collections")
        if (collection / name).exists()
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
