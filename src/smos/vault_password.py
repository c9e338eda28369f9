# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Where `smos` finds the password of an environment's vault, and how a play gets it: by a private file, never by an argument."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from smos import envfiles, exitcodes
from smos.outcome import Failure, failure

FILE, KEYRING = "SMOS_VAULT_PASSWORD_FILE", "SMOS_VAULT_KEYRING"
ANSIBLES_OWN = ("ANSIBLE_VAULT_PASSWORD_FILE", "ANSIBLE_VAULT_IDENTITY_LIST")
SANDBOX = "sandbox"  # its plays make their password themselves
OWN_FILE = ".vault-password"
PATIENCE_S = 60.0  # a password program may have to ask a person


@dataclass
class _Session:
    """What this process has found, by environment: a program that asks a person is to ask once."""

    passwords: dict[str, str | None] = field(default_factory=dict)


_session = _Session()


def ready(env: str) -> str | None:
    """Find the password once, before anything is begun; None where Ansible or the play finds it by itself, or nobody does.

    Raises Failure (3) where a source is named and gives none; that no source is named is told by the play that needs one.
    """
    if env == SANDBOX or any(os.environ.get(name) for name in ANSIBLES_OWN):
        return None
    if env not in _session.passwords:
        _session.passwords[env] = find(env, os.environ)
    return _session.passwords[env]


def arguments(env: str, folder: Path) -> list[str]:
    """What `ansible-playbook` is told of the vault's password: nothing, or a file in the run's private folder."""
    password = ready(env)
    if password is None:
        return []
    path = folder / "vault-password"
    path.touch(mode=0o600)
    path.write_text(f"{password}\n", encoding="utf-8")
    return ["--vault-password-file", str(path)]


def find(env: str, variables: Mapping[str, str]) -> str | None:
    """The password of an environment's vault: of a file or program, of the keyring, or of the environment's own file."""
    if variables.get(FILE):
        return _of_file(Path(variables[FILE]).expanduser().absolute(), FILE)
    if variables.get(KEYRING):
        return _of_keyring(variables[KEYRING])
    own = envfiles.folder_of(env, variables) / OWN_FILE
    return _of_file(own, "vault password", may_run=False) if own.exists() else None


def _of_file(path: Path, named_by: str, *, may_run: bool = True) -> str:
    """The content of a file, or what a program says."""
    try:
        mode = path.stat().st_mode
        if may_run and stat.S_ISREG(mode) and os.access(path, os.X_OK):
            return _said([str(path)], named_by, str(path))
        if mode & 0o077 and stat.S_ISREG(mode):
            why = f"others than its owner may use it (mode {stat.S_IMODE(mode):04o})"
            raise _unusable(named_by, why, str(path), f"chmod 600 {path}")
        text = path.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise _unusable(
            named_by, exc.strerror or "it cannot be read", str(path), "Name a file that you can read"
        ) from None
    except UnicodeDecodeError:
        raise _unusable(named_by, "it is no text", str(path), "Name the file that holds the password") from None
    if not text:
        raise _unusable(named_by, "it is empty", str(path), "Put the password into it")
    return text


def _of_keyring(entry: str) -> str:
    """The password of `service/user` in the desktop's keyring."""
    service, slash, user = entry.rpartition("/")
    if not slash or not service or not user:
        raise failure(exitcodes.INVALID, KEYRING, "it is not service/user", entry, f"{KEYRING}=smarteros/production")
    for program, line in (
        ("keyring", ["keyring", "get", service, user]),
        ("secret-tool", ["secret-tool", "lookup", "service", service, "username", user]),
    ):
        if shutil.which(program):
            return _said(line, KEYRING, program)
    why = "neither the program keyring nor secret-tool is installed"
    raise _unusable(KEYRING, why, entry, f"Install one of them, or use {FILE}")


def _said(line: Sequence[str], named_by: str, program: str) -> str:
    """What a program says. What it writes to stderr is for the person before the terminal."""
    try:
        ended = subprocess.run(line, stdout=subprocess.PIPE, timeout=PATIENCE_S, check=False)
        text = ended.stdout.decode("utf-8").strip()
    except subprocess.TimeoutExpired:
        raise _unusable(
            named_by, f"it gave no password within {PATIENCE_S:.0f} s", program, "Unlock it first"
        ) from None
    except (OSError, UnicodeDecodeError) as exc:
        raise _unusable(named_by, f"it cannot be run: {exc}", program, "Try it by hand") from None
    if ended.returncode != 0 or not text:
        why = f"it ended with {ended.returncode} and " + ("said nothing" if not text else "is not trusted therefore")
        raise _unusable(named_by, why, program, f"Try it by hand: {' '.join(line)}")
    return text


def _unusable(what: str, why: str, where: str, following: str) -> Failure:
    return failure(exitcodes.UNUSABLE, what, why, where, following)
