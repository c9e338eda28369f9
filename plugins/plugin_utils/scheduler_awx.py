# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The credentials that the jobs have in AWX, and the types of those that AWX does not know.

AWX gives no secret back, and refuses to change the fields of a type that is in use. So each credential bears a fingerprint
of what it holds in its description, and the name of a type bears one of its fields: other fields are another type.
"""

from __future__ import annotations

import hashlib
import json
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import fingerprint
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import scheduler_jobs

# Keys of the key store by the built-in type that takes them, and the names of its inputs
BUILT_IN = {"machines": "Machine", "repository": "Source Control", "vault": "Vault"}
PLACES = "places"
"""The credential with what is no secret: variables that say where specs lie."""
MARK = "Made by SmarterOS. What it holds:"

Row = dict[str, t.Any]


def credentials(
    ours: str, given: t.Mapping[str, str], places: t.Mapping[str, str], existing: t.Iterable[t.Mapping[str, t.Any]]
) -> list[Row]:
    """What shall be, each with ``name``, ``type``, ``inputs`` and ``description``; ``fields`` where the type is ours as well.

    ``ours`` begins all names, ``given`` is the environment, ``existing`` are credentials as AWX lists them. Raises UnreadableKey.
    """
    told = {str(each["name"]): str(each.get("description") or "") for each in existing}
    rows = [*_built_in(ours, given), *_of_variables(ours, {PLACES: dict(places)}, secret=False)]
    rows += _of_variables(ours, scheduler_jobs.provider_variables(given), secret=True)
    for row in rows:
        row["description"] = _described(row, told.get(row["name"], ""))
    return rows


def _built_in(ours: str, given: t.Mapping[str, str]) -> t.Iterator[Row]:
    for key in scheduler_jobs.for_key_store(given):
        if key["type"] == "ssh":
            inputs = {"username": key["login"], "ssh_key_data": key["private_key"]}
        elif key["type"] == "login_password":
            inputs = {"vault_password": key["password"]}
        else:
            continue
        yield {"name": f"{ours}: {key['name']}", "type": BUILT_IN[key["name"]], "inputs": inputs, "fields": []}


def _of_variables(ours: str, groups: t.Mapping[str, t.Mapping[str, str]], *, secret: bool) -> t.Iterator[Row]:
    """A credential of a type of its own for each group of variables of the environment."""
    for group, variables in groups.items():
        if variables:
            fields = [{"id": name, "label": name, "type": "string", "secret": secret} for name in sorted(variables)]
            name = f"{ours}: {group} {_short(sorted(variables))}"
            yield {"name": name, "type": name, "inputs": dict(variables), "fields": fields}


def _short(names: t.Sequence[str]) -> str:
    return hashlib.sha256(" ".join(names).encode()).hexdigest()[:6]


def _described(row: Row, before: str) -> str:
    """The description that is there while it fits what the credential shall hold, else a new one."""
    holds = json.dumps(row["inputs"], sort_keys=True)
    kept = before.removeprefix(MARK).strip()
    if before.startswith(MARK) and fingerprint.fits(kept, holds):
        return before
    return f"{MARK} {fingerprint.make(holds)}"
