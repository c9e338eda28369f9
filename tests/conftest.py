# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What all tests share: Ansible's way of importing collections, and what is run together in one of several processes.

Ansible finds the plugins of a collection only when its own finder has imported the collection. The finder has to come
before the first import of ``ansible_collections`` in the process, so it comes here, before any test module is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis
import pytest
from ansible.plugins.loader import init_plugin_loader
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped] # it has no types

init_plugin_loader([str(Path(__file__).resolve().parents[1] / "collections")])

# A busy machine makes nothing wrong: no example of a property has a time limit
hypothesis.settings.register_profile("smos", deadline=None)
hypothesis.settings.load_profile("smos")

# Tests of minutes that have an instance each: one by one they spread best.
ALONE = ("tests/chaos/", "tests/e2e/test_life_cycle.py")
# They share servers that take long to start.
TOGETHER = ("tests/real/",)


class Scheduling(LoadScopeScheduling):
    """The tests of a file go to one process, which makes what they share once."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith(ALONE):
            return nodeid
        return next((folder for folder in TOGETHER if file.startswith(folder)), file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling:
    """Asked by pytest-xdist when there are several processes."""
    return Scheduling(config, log)
