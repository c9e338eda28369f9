"""What the shell offers after Tab: names out of the specs, the registry and the runs. Never asks a server, never fails."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from smos import exitcodes
from smos.outcome import failure

if TYPE_CHECKING:
    from smos.project import Project

SHELLS = ("bash", "zsh", "fish")
Offer = Callable[[str], list[str]]


def completion(
    shell: Annotated[
        str,
        typer.Argument(
            metavar="bash|zsh|fish",
            help="The shell that shall complete.",
            autocompletion=lambda incomplete: [name for name in SHELLS if name.startswith(incomplete)],
        ),
    ],
) -> int:
    """Print what makes the shell complete commands, options, tenants, services, plans, runs and secrets.

    Example: source <(smos completion bash)

    Example: smos completion zsh > ~/.zfunc/_smos

    Example: smos completion fish > ~/.config/fish/completions/smos.fish
    """
    from typer.completion import get_completion_script

    if shell not in SHELLS:
        following = f"Choose one of: {', '.join(SHELLS)}"
        raise failure(exitcodes.INVALID, f"completion {shell}", "there is no completion for this shell", "", following)
    print(get_completion_script(prog_name="smos", complete_var="_SMOS_COMPLETE", shell=shell))
    return exitcodes.DONE


def _offer(names: Callable[[Project], Iterable[str]]) -> Offer:
    """A completion from names that the project knows; where it cannot be read, nothing is offered."""

    def offered(incomplete: str) -> list[str]:
        try:
            from smos.project import find

            return sorted(name for name in names(find()) if name.startswith(incomplete))
        except Exception:  # noqa: BLE001  # somebody is typing: a traceback in the middle of it helps nobody
            return []

    return offered


def _tenants(project: Project) -> Iterable[str]:
    from smos import tenants

    return (row["slug"] for row in tenants.listed(project.specs_dir, os.environ.get("SMOS_ENV") or "sandbox"))


def _keys(file: str, key: str) -> Offer:
    """The names below a key of a file of the specs."""

    def names(project: Project) -> Iterable[str]:
        from ansible_collections.smartercl.smarteros.plugins.plugin_utils import documents

        found: Mapping[str, object] = documents.load(project.specs_dir / file)[key]
        return found

    return _offer(names)


def _environments(project: Project) -> Iterable[str]:
    return (path.name for path in (project.root / "inventories").iterdir() if path.is_dir())


def _runs(project: Project) -> Iterable[str]:
    return (path.stem for path in (project.state_dir / "runs").glob("*.json"))


environments = _offer(_environments)
tenants = _offer(_tenants)
services = _keys("services/registry.yml", "services")
frontends = _keys("frontends/registry.yml", "frontends")
plans = _keys("tenants/registry.yml", "plans")
secrets = _keys("secrets.yml", "secrets")
components = _keys("smos-version.yml", "components")
runs = _offer(_runs)
