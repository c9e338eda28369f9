"""Real servers for the tests of this folder: each is started once per session, on loopback, and stopped by its id.

Where a tool is missing the test is skipped and says so; with CI=true that is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from real import installs, n8n, odoo11, postgres, restic
from real.tools import IN_CI, needing_tools

HERE = Path(__file__).resolve().parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the second tier to CI and to those who ask for it; a first start includes installing the server."""
    wanted = IN_CI or bool(os.environ.get("SECOND_TIER"))
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(1800))
        if item.get_closest_marker("second_tier") and not wanted:
            item.add_marker(pytest.mark.skip(reason="second tier: runs with CI=true or SECOND_TIER=1"))


@pytest.fixture(scope="session")
def real_postgres() -> Iterator[postgres.Postgres]:
    """A PostgreSQL cluster; its servers' databases are made in it."""
    with needing_tools(), postgres.cluster() as running:
        yield running


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> restic.Templates:
    """restic's repositories, made once and cheap to open."""
    with needing_tools():
        return restic.Templates.made(tmp_path_factory.mktemp("restic"))


@pytest.fixture(scope="session")
def real_n8n(real_postgres: postgres.Postgres) -> Iterator[n8n.N8n]:
    """n8n 1.64.3 on the machine's Node: the version that production starts with."""
    with needing_tools():
        node = installs.system_node(18)
        with n8n.server(installs.N8N_FIRST_TIER, node, real_postgres) as running:
            yield running


@pytest.fixture(scope="session")
def real_n8n_2(real_postgres: postgres.Postgres) -> Iterator[n8n.N8n]:
    """n8n 2.41.1 on Node 24 (npm's package); mark its tests `second_tier`."""
    with needing_tools():
        installs.system_node(18)  # its npm fetches Node 24
        node = installs.packaged_node(installs.NODE_SECOND_TIER)
        with n8n.server(installs.N8N_SECOND_TIER, node, real_postgres) as running:
            yield running


@pytest.fixture(scope="session")
def real_odoo11(real_postgres: postgres.Postgres) -> Iterator[odoo11.Odoo11]:
    """Odoo 11, where a Python 3.7 is at hand (not every machine can have one); mark its tests `second_tier`."""
    with needing_tools(optional_in_ci=True), odoo11.server(real_postgres) as running:
        yield running
