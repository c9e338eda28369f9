"""Where the project's parts lie: in a checkout, or in an installed package."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).resolve()
_IN_CHECKOUT = _HERE.parents[2]
# The wheel puts the collection where Python and Ansible look for collections anyway: beside the package.
_INSTALLED = _HERE.parents[1] / "ansible_collections" / "smartercl" / "smarteros"


class ProjectNotFound(RuntimeError):
    """Playbooks and roles are not where they should be; the message names the place."""


@dataclass(frozen=True)
class Project:
    """Absolute paths of one project; none but `root` and `collections_path` is promised to exist."""

    root: Path
    """Holds ansible.cfg, playbooks/, roles/, plugins/ and inventories/."""
    collections_path: Path
    """What Ansible's `collections_path` and Python's path need, so that `smartercl.smarteros` resolves."""
    state_dir: Path
    """Runs, locks, sandbox data and the launcher's environments."""
    specs_dir: Path
    """The spec repository."""
    is_checkout: bool


def find(env: Mapping[str, str] | None = None) -> Project:
    """The project of this process, by its environment variables (`os.environ` unless given).

    `SMOS_PROJECT_DIR` names a checkout (the launcher sets it); `SMOS_STATE_DIR` and `SMOS_SPECS_REPO` move state and
    specs, relative to the current directory. Raises `ProjectNotFound`. Writes nothing, except that an installed package
    without `SMOS_SPECS_REPO` gets its own editable copy of the example specs on first use (a notice on stderr tells).
    """
    env = os.environ if env is None else env
    root, is_checkout = home(env)
    collections = root / "collections" if is_checkout else root.parents[2]
    state = _chosen(env, "SMOS_STATE_DIR") or (root / ".smos" if is_checkout else _xdg(env, "STATE") / "smos")
    specs = _chosen(env, "SMOS_SPECS_REPO") or (root / "specs" if is_checkout else _own_specs(root, env))
    return Project(root, collections, state, specs, is_checkout)


def home(env: Mapping[str, str]) -> tuple[Path, bool]:
    """The project's folder, and whether it is a checkout. Writes nothing. Raises `ProjectNotFound`."""
    named = _chosen(env, "SMOS_PROJECT_DIR")
    for folder in (named,) if named else (_IN_CHECKOUT, _INSTALLED):
        if (folder / "galaxy.yml").is_file() and (folder / "playbooks").is_dir():
            return folder, folder != _INSTALLED
    raise ProjectNotFound(f"no playbooks in {named or _INSTALLED}: the checkout or the installed package is incomplete")


def _chosen(env: Mapping[str, str], name: str) -> Path | None:
    value = env.get(name)
    return Path(value).expanduser().absolute() if value else None


def _xdg(env: Mapping[str, str], kind: str) -> Path:
    """`XDG_STATE_HOME` or `XDG_DATA_HOME`; a relative value is to be ignored, says their specification."""
    given = Path(env.get(f"XDG_{kind}_HOME", ""))
    if given.is_absolute():
        return given
    home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    return home / ".local" / {"STATE": "state", "DATA": "share"}[kind]


def _own_specs(root: Path, env: Mapping[str, str]) -> Path:
    """A copy of the packaged specs that the user may edit; appears in one step, also when two processes start at once."""
    specs = _xdg(env, "DATA") / "smos" / "specs"
    if specs.is_dir():
        return specs
    specs.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=specs.parent, prefix=".specs-") as part:
        copy = Path(part) / "specs"
        shutil.copytree(root / "specs", copy)
        try:
            copy.rename(specs)
        except OSError:
            if not specs.is_dir():
                raise
            return specs
    print(f"smos: example specs were copied to {specs}; edit them there, or set SMOS_SPECS_REPO", file=sys.stderr)
    return specs
