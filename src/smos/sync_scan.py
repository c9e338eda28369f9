# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Looks for secrets in what is about to be committed or pushed. Tells file and line, never the value."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.workflow_sync_secrets import (
    Known,
    scan,
    secret_named,
)
from smos import vault_password
from smos.project import Project

LARGEST = 20_000_000  # bytes of one file
FOLLOWING = (
    "Take it out; secrets belong into the vault (`smos secrets set`). If it was ever pushed, change it at its provider"
)
IN_A_COMMIT = (
    "It is in a commit that was not pushed: take it out of there (git rebase --interactive, git commit --amend), "
    "then run the same command again"
)
_HUNK = re.compile(r"@@ -\S+ \+(\d+)")

Row = dict[str, str]


def known(project: Project, env: str) -> tuple[Known, list[str]]:
    """The secrets of this environment, from its variables and its vault; and notes on what could not be looked at."""
    values = secret_named(dict(os.environ))
    path = vault_file(project, env)
    if not path.is_file():
        return Known(values), []
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import vault

    try:
        content = vault.Vault(path, _passwords(project, env)).read()
    except vault.VaultError as exc:
        return Known(values), [f"the values of the vault were not looked for: {exc.error['why']} ({path})"]
    values.update(content.values)
    values.update({f"the former {name}": value for name, value in content.previous.items()})
    return Known(values), []


def vault_file(project: Project, env: str) -> Path:
    """Where the inventories say that it is."""
    named = os.environ.get("SMOS_VAULT_FILE")
    if named:
        return Path(named).expanduser().absolute()
    if env == vault_password.SANDBOX:
        return project.state_dir / "sandbox" / "vault.yml"
    return project.root / "inventories" / env / ".vault.yml"


def _passwords(project: Project, env: str) -> list[tuple[str, object]]:
    from ansible.parsing.vault import VaultSecret

    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import vault

    if env == vault_password.SANDBOX:
        own = vault.own_password(project.state_dir / "sandbox" / ".vault-password")
        return [own] if own else []
    word = vault_password.find(env, os.environ)
    return [(vault.DEFAULT_ID, VaultSecret(word.encode()))] if word else []


def files(top: Path, paths: Iterable[str], secret: Known) -> list[Row]:
    """Rows for what looks like a secret in these files below ``top``."""
    rows = []
    for name in paths:
        path = top / name
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as file:
            text = file.read(LARGEST).decode(errors="replace")
        rows += [_row(hit.what, f"{name}:{hit.line}") for hit in scan(text, secret)]
    return rows


def patch(text: str, secret: Known) -> list[Row]:
    """Rows for what looks like a secret in the lines that a patch adds."""
    found = [_row(hit.what, f"{name}:{number}") for name, number, line in _added(text) for hit in scan(line, secret)]
    return [{**row, "next": IN_A_COMMIT} for row in found]


def _added(text: str) -> Iterator[tuple[str, int, str]]:
    name, number, inside = "", 0, False
    for line in text.split("\n"):
        if line.startswith("diff --git "):
            inside = False
        elif not inside and line.startswith("+++ "):
            name = line[4:].removeprefix("b/").rstrip("\t")
        elif line.startswith("@@ "):
            found = _HUNK.match(line)
            number, inside = int(found[1]) if found else 0, True
        elif inside and line.startswith("+"):
            yield name, number, line[1:]
            number += 1
        elif inside and line.startswith(" "):
            number += 1


def _row(what: str, where: str) -> Row:
    return {"what": "secret", "where": where, "why": f"this line holds {what}", "next": FOLLOWING}
