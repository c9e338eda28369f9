"""The sandbox's first VPS, from outside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import testinfra

SSH = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")


def known(state: Path) -> dict[str, Any]:
    """The machine as the sandbox of this state directory reaches it now: a new one has other ports."""
    return dict(json.loads((state / "sandbox/vps/machines.json").read_text())["machines"][0])


def host(state: Path) -> Any:
    """The machine for testinfra, as root sees it."""
    machine = known(state)
    address = f"ssh://root@{machine['host']}:{machine['port']}"
    return testinfra.get_host(address, ssh_identity_file=machine["key"], ssh_extra_args=" ".join(SSH))
