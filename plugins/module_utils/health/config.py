# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a machine watches, and by which rules: the file that the role ``health`` writes, so that the timer needs nothing else."""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

FOLDER = Path("/etc/smarteros/health")
PATH = FOLDER / "config.json"


class ConfigError(Exception):
    """The configuration is not there or cannot be used; the text is for the operator."""


@dataclass(frozen=True)
class Watched:
    """A public address that is asked: ``address`` is where its server is, the name itself where it is elsewhere."""

    host: str
    path: str
    address: str = ""
    title: str = ""


@dataclass(frozen=True)
class Rules:
    """When something is wrong. Percent are of the whole; ``open_after`` and ``close_after`` count passes in a row."""

    every_s: int = 300
    timeout_s: float = 10.0
    cpu_percent: float = 80
    memory_percent: float = 85
    disk_percent: float = 90
    certificate_days: int = 14
    backup_age_h: float = 26
    drill_age_d: float = 9
    open_after: int = 2
    close_after: int = 2

    @property
    def longest_s(self) -> int:
        """Between two passes: what is longer is a hole in which nothing is known."""
        return self.every_s * 5 // 2


@dataclass(frozen=True)
class Config:
    """One machine. ``targets`` are percent of availability by kind; tenants are by RUT; ``alerts``: see alerts_run.py."""

    environment: str
    zone: ZoneInfo
    rules: Rules
    services: t.Mapping[str, Watched] = field(default_factory=dict)
    tenants: t.Mapping[str, Watched] = field(default_factory=dict)
    targets: t.Mapping[str, float] = field(default_factory=dict)
    alerts: t.Mapping[str, t.Any] = field(default_factory=dict)
    database: str = "smarteros"
    server: str = "postgresql_postgresql"


def read(path: Path = PATH) -> Config:
    """The configuration in a file. Raises ConfigError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Config(
            environment=found["environment"],
            zone=ZoneInfo(found["timezone"]),
            rules=Rules(**found["rules"]),
            services={name: Watched(**each) for name, each in found["services"].items()},
            tenants={rut: Watched(**each) for rut, each in found["tenants"].items()},
            targets=found["targets"],
            alerts=dict(found.get("alerts") or {}),
        )
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}; `smos deploy backend` writes it") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ConfigError(f"{path} cannot be used: {exc}; `smos deploy backend` writes it anew") from exc
