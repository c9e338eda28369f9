# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From specs and vault to the files by which a machine takes its backups: pure functions.

No secret is in the configuration: it names the files that hold them, and has fingerprints that nobody can guess one from.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import FOLDER, ServiceData

PASSWORD = "backup_password"  # noqa: S105 - the name of a secret
PASSWORD_FILE = f"{FOLDER}/password"
DAYS: t.Mapping[str, str] = {each.lower(): each for each in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}
SERVER = ServiceData("").server
AFTER_H = 2  # check and drill come so many hours after the backup of their day
# Work that a guesser has for each guess: about 40 ms and 16 MiB
_N, _R, _P = 2**14, 8, 1
_LINE = re.compile(r"[^\x00-\x1f\x7f]+\Z")

Document = dict[str, t.Any]


class ConfigError(Exception):
    """A value that cannot be written as it is; the text is for the operator and holds no value."""


@dataclass(frozen=True)
class About:
    """What is wanted of a machine, beside the specs' own file. ``services`` are ids of those that it carries."""

    environment: str
    zone: str
    release: str
    services: Sequence[str]
    stacks: Mapping[str, Sequence[str]] = field(default_factory=dict)  # Swarm services by id, where they are known


def document(
    about: About,
    catalogue: Sequence[Mapping[str, t.Any]],
    spec: Mapping[str, t.Any],
    secrets: Mapping[str, str],
    notices: Mapping[str, t.Any],
) -> Document:
    """The configuration. ``secrets`` are all of the vault; what is missing there has no fingerprint."""
    carried = [entry for entry in catalogue if entry["id"] in about.services and entry.get("backup")]
    keys = sorted({key for entry in carried for key in entry["backup"].get("keys", ())})
    found = {
        "environment": about.environment,
        "zone": about.zone,
        "release": about.release,
        "path": spec["path"],
        "password_file": PASSWORD_FILE,
        "services": {entry["id"]: _service(entry, about) for entry in carried},
        "retention": {
            "daily": spec["keep_days"],
            "weekly": spec.get("keep_weekly", 0),
            "monthly": spec.get("keep_monthly", 0),
        },
        "remotes": [_remote(each) for each in spec.get("remotes", ())],
        "fingerprints": {key: fingerprint(about.environment, key, secrets[key]) for key in keys if secrets.get(key)},
        "upload_kib_s": spec.get("upload_kib_s", 0),
        "floor_percent": spec.get("floor_percent", 50),
        "notices": dict(notices),
    }
    wal = spec.get("wal") or {}
    return {**found, "wal": dict(wal)} if wal.get("enabled") else found


def fingerprint(environment: str, name: str, value: str) -> str:
    """By which a secret is known again; the same value has another one in another environment, and under another name."""
    salt = f"smarteros backup {environment} {name}".encode()
    return hashlib.scrypt(value.encode(), salt=salt, n=_N, r=_R, p=_P, maxmem=64 * 1024 * 1024, dklen=16).hex()


def text(made: Document) -> str:
    """The configuration as it is written."""
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def secret_files(spec: Mapping[str, t.Any], secrets: Mapping[str, str]) -> dict[str, str]:
    """Contents by path of the files for the repositories. Raises ConfigError where a secret is missing or unfit."""
    files = {PASSWORD_FILE: _line(PASSWORD, secrets.get(PASSWORD, "")) + "\n"}
    for remote in spec.get("remotes", ()):
        values = {
            **remote.get("environment", {}),
            **{variable: _line(name, secrets.get(name, "")) for variable, name in remote.get("secrets", {}).items()},
        }
        if values:
            files[_environment_file(remote)] = "".join(f"{name}={value}\n" for name, value in sorted(values.items()))
    return files


def missing(spec: Mapping[str, t.Any], secrets: Mapping[str, str]) -> list[str]:
    """Names of the secrets that are needed and are not in the vault."""
    needed = [PASSWORD, *(name for each in spec.get("remotes", ()) for name in each.get("secrets", {}).values())]
    return [name for name in dict.fromkeys(needed) if not secrets.get(name)]


def calendar(spec: Mapping[str, t.Any], job: str) -> str:
    """When a job begins, as systemd writes it: every day the backup, once a week ``check`` and ``drill``."""
    hour, _colon, minute = str(spec["daily_at"]).partition(":")
    if job == "backup":
        return f"*-*-* {hour}:{minute}:00 {spec['timezone']}"
    if job == "wal_base":
        return f"*-*-* {(int(hour) + 1) % 24:02d}:{minute}:00 {spec['timezone']}"
    day = DAYS[spec.get(f"{job}_day") or {"check": "sat", "drill": "sun"}[job]]
    return f"{day} *-*-* {(int(hour) + AFTER_H) % 24:02d}:{minute}:00 {spec['timezone']}"


def _service(entry: Mapping[str, t.Any], about: About) -> Document:
    """A service's block, with its writers and where it answers; what is empty is left to the defaults."""
    found = {key: value for key, value in entry["backup"].items() if value}
    # Without its server and its Redis a restore could fill nothing
    needed = (found.get("server", SERVER), found.get("redis"))
    writers = [each for each in found.get("writers") or about.stacks.get(entry["id"], ()) if each not in needed]
    if writers:
        found["writers"] = writers
    path = (entry.get("health") or {}).get("path")
    if entry.get("host") and path:
        found["answers"] = f"{entry['host']}.{about.zone}{path}"
    return found


def _remote(given: Mapping[str, t.Any]) -> Document:
    has = given.get("environment") or given.get("secrets")
    return {
        "name": given["name"],
        "repository": given["repository"],
        "environment": _environment_file(given) if has else "",
        "keep_daily": given.get("keep_daily", 0),
    }


def _environment_file(remote: Mapping[str, t.Any]) -> str:
    return f"{FOLDER}/{remote['name']}.env"


def _line(name: str, value: str) -> str:
    if not _LINE.match(value):
        raise ConfigError(f"{name} is no text of one line")
    return value
