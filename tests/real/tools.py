"""What happens where a tool that a real server needs is missing: on a user's machine a skip that says so, in CI a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from real.installs import Unavailable

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


@contextmanager
def needing_tools(*, optional_in_ci: bool = False) -> Iterator[None]:
    """Around what needs a tool; ``optional_in_ci`` is for the few that CI cannot have either."""
    try:
        yield
    except Unavailable as missing:
        if IN_CI and not optional_in_ci:
            pytest.fail(f"in CI nothing is skipped: {missing}", pytrace=False)
        pytest.skip(f"NOT RUN: {missing}")
