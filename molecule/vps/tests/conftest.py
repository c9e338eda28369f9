"""What the tests of this scenario share: the machine, and `smos` with the state and specs of the scenario."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import machine
from support.instance import Instance

STATE = Path(os.environ["SMOS_STATE_DIR"])


@dataclass
class Scenario(Instance):
    """The instance that Molecule has made; a machine belongs to it."""

    @property
    def state(self) -> Path:
        return STATE


@pytest.fixture(scope="session")
def smos() -> Scenario:
    return Scenario(STATE, {name: value for name, value in os.environ.items() if name.startswith("SMOS_VPS_")})


@pytest.fixture(scope="session")
def host() -> Any:
    return machine.host(STATE)
