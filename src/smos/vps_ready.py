"""Before a command works on the VPS: in the sandbox, a machine is made ready; everywhere, the inventory must name one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from smos import exitcodes, work
from smos.outcome import failure
from smos.settings import Settings

SANDBOX = "sandbox"


def ready(settings: Settings, *, images: bool = True) -> None:
    """Start the sandbox's VPS, and make its ``images``, where the environment is the sandbox. Raises Failure."""
    if settings.env != SANDBOX:
        return
    from smos.sandbox import images as local_images
    from smos.sandbox import vps

    project = work.project_for(settings)
    try:
        machine = vps.up(project.state_dir, say=_teller(settings))[0]
        if images and not vps.real_images(project.state_dir):
            local_images.build(
                project.state_dir,
                machine.registry_port,
                real=_real(),
                versions=_versions(),
                say=_teller(settings),
            )
    except vps.VpsError as exc:
        raise failure(exitcodes.UNUSABLE, "the sandbox's VPS", exc.what, "Docker", exc.next) from exc


def _teller(settings: Settings) -> Callable[[str], None]:
    if settings.quiet or settings.as_json:
        return lambda _text: None
    return lambda text: print(text, file=sys.stderr)


def _real() -> list[str]:
    """Which applications are to be the real ones: those that tests name, as ``n8n@1.64.3``."""
    return [*os.environ.get("SMOS_VPS_REAL", "").split()]


def _versions() -> dict[str, str]:
    """Which versions the stand-ins stand for: those that tests name, as ``chatwoot=4.17.0``."""
    pairs = (word.partition("=") for word in os.environ.get("SMOS_VPS_VERSIONS", "").split())
    return {name: version for name, _equals, version in pairs}
