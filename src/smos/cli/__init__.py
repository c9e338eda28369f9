"""The `smos` command: arguments in, a playbook or a look at the registry, the outcome out."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    gc.disable()  # what modules make while they load stays: to look for garbage there costs a tenth of a short command
    from smos.cli.app import call

    gc.enable()
    return call(list(sys.argv[1:] if argv is None else argv))
