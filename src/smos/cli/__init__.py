"""The `smos` command: arguments in, a playbook or a look at the registry, the outcome out."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    from smos.cli.app import call

    return call(list(sys.argv[1:] if argv is None else argv))
