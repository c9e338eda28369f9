"""What the tests of this scenario share: the machine, and `smos` with the state and specs of the scenario."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import testinfra

ROOT = Path(__file__).parents[3]
STATE = Path(os.environ["SMOS_STATE_DIR"])
# These tests are no part of tests/, whose helpers they use as the others do
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src"), str(ROOT / "collections")]

from support.instance import Instance  # noqa: E402 - found only with the line above


@dataclass
class Scenario(Instance):
    """The instance that Molecule has made; a machine belongs to it."""

    @property
    def state(self) -> Path:
        return STATE


@pytest.fixture(scope="session")
def smos() -> Scenario:
    kept = {name: value for name, value in os.environ.items() if name.startswith(("SMOS_VPS_", "ANSIBLE_"))}
    return Scenario(STATE, {**kept, "SMOS_ENV_DIR": os.environ.get("SMOS_ENV_DIR", str(STATE / "env"))})


@pytest.fixture(scope="session")
def host() -> Any:
    """The machine, as root sees it."""
    machine = json.loads((STATE / "sandbox/vps/machines.json").read_text())["machines"][0]
    extra = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    address = f"ssh://root@{machine['host']}:{machine['port']}"
    return testinfra.get_host(address, ssh_identity_file=machine["key"], ssh_extra_args=extra)
