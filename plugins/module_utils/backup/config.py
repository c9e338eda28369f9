# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a machine backs up, where to, and how long it is kept: the file that the role ``backup`` writes, so that the timer
needs nothing but the machine itself.
"""

from __future__ import annotations

import json
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path("/etc/smarteros/backup")
PATH = FOLDER / "config.json"
NAMES = t.Mapping[str, t.Sequence[str]]


class ConfigError(Exception):
    """The configuration is not there or cannot be used; the text is for the operator."""


@dataclass(frozen=True)
class Attachments:
    """Files that rows of a database refer to: each row must have its file."""

    database: str
    query: str  # gives the path of each file, relative to ``below``
    volume: str
    below: str


@dataclass(frozen=True)
class ServiceData:
    """What one service keeps on the machine."""

    name: str
    server: str = "postgresql_postgresql"  # Swarm service whose container holds the databases
    databases: NAMES = field(default_factory=dict)  # database: tables whose rows are counted
    volumes: t.Sequence[str] = ()  # Docker volumes, by name
    leave_out: NAMES = field(default_factory=dict)  # volume: patterns of what is made anew by itself
    folders: t.Sequence[str] = ()  # folders of the machine, by absolute path
    redis: str = ""  # Swarm service of a Redis that holds queues
    attachments: Attachments | None = None
    keys: t.Sequence[str] = ()  # secrets without which its data cannot be read
    writers: t.Sequence[str] = ()  # Swarm services that write the data: stopped for a restore
    answers: str = ""  # host and path that answer through the proxy, for example n8n.example.com/healthz


@dataclass(frozen=True)
class Remote:
    """A second place. ``environment`` is a file of NAME=value lines (credentials), 0600."""

    name: str
    repository: str  # as restic writes it: s3:https://…, sftp:…, or a folder
    environment: str = ""
    keep_daily: int = 0  # 0: as the local one


@dataclass(frozen=True)
class Retention:
    """How many backups stay: the newest of each of the last so many days, weeks, months."""

    daily: int = 7
    weekly: int = 0
    monthly: int = 0


@dataclass(frozen=True)
class Wal:
    """Whether and how what a database server writes is archived all the time, so that any moment can be brought back."""

    enabled: bool = False
    every_s: int = 180  # what is written is safe after so many seconds
    base_days: int = 1  # a copy of the whole server is taken so often
    keep_days: int = 7  # moments of so many days can be brought back
    server: str = "postgresql_postgresql"  # Swarm service
    volume: str = "postgresql-wal"  # where the server puts finished segments
    data: str = "postgresql-data"  # where its databases are


@dataclass(frozen=True)
class Config:
    """The whole of it. ``fingerprints`` are of secrets by name, never their values."""

    environment: str
    path: str  # folder of the local repository
    password_file: str
    services: t.Mapping[str, ServiceData]
    release: str = ""
    retention: Retention = Retention()
    remotes: t.Sequence[Remote] = ()
    fingerprints: t.Mapping[str, str] = field(default_factory=dict)
    upload_kib_s: int = 0  # 0: no limit
    floor_percent: int = 50  # a dump smaller than this share of the one before is doubted
    zone: str = ""
    notices: t.Mapping[str, t.Any] = field(default_factory=dict)  # see notice.py
    wal: Wal = Wal()

    @property
    def host(self) -> str:
        """The host name under which snapshots are filed: the environment's, so that a new machine finds them."""
        return f"smos-{self.environment}"


def read(path: Path = PATH) -> Config:
    """The configuration of this machine. Raises ConfigError."""
    try:
        return of(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(f"{path} is not there: this machine was not set up for backups") from None
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise ConfigError(f"{path} cannot be used: {exc}") from exc


def of(data: t.Mapping[str, t.Any]) -> Config:
    """The configuration in a JSON document. Raises KeyError and TypeError where it has another shape."""
    services = {name: _service(name, each) for name, each in data["services"].items()}
    return Config(
        **{
            **data,
            "services": services,
            "retention": Retention(**data.get("retention", {})),
            "remotes": tuple(Remote(**each) for each in data.get("remotes", ())),
            "wal": Wal(**data.get("wal", {})),
        }
    )


def _service(name: str, data: t.Mapping[str, t.Any]) -> ServiceData:
    attachments = data.get("attachments")
    return ServiceData(
        **{**data, "name": name, "attachments": Attachments(**attachments) if attachments else None},
    )
