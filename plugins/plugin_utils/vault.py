# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The vault of an environment: one file in Ansible's own format, which holds every service's secrets.

Decrypted it is a YAML mapping from name to value, and two further keys: ``_meta`` says when each was made, ``_previous``
keeps the former value of one that is being rotated. ``ansible-vault view`` and ``edit`` work on it. No message from here
ever holds a value.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import stat
import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, VaultSecret, parse_vaulttext_envelope

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import documents
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import UNUSABLE, Stop

SANDBOX = "sandbox"
OURS = "_"  # what begins like this is no secret's name
META, PREVIOUS, MADE_AT = "_meta", "_previous", "made_at"
DEFAULT_ID = "default"  # Ansible's word for a password without a label
LARGEST = 1024 * 1024  # bytes; thirty secrets are 5 KB
_HEADER = "# The secrets of this environment. `smos secrets` keeps them; see docs/secrets.md.\n"

Password = tuple[str, t.Any]
"""A vault id and Ansible's VaultSecret."""
Row = dict[str, str]


class VaultError(Stop):
    """The vault cannot be used; ends a command with 3. ``error`` says what to do about it."""

    def __init__(self, why: str, path: Path, following: str) -> None:
        self.error = row("vault", why, str(path), following)
        super().__init__(UNUSABLE, [self.error])


@dataclass
class Content:
    """What a vault holds. Not for messages."""

    values: dict[str, str] = field(default_factory=dict, repr=False)
    meta: dict[str, dict[str, str]] = field(default_factory=dict)
    previous: dict[str, str] = field(default_factory=dict, repr=False)

    def put(self, name: str, value: str) -> bool:
        """Keep a value; says whether that changed anything."""
        if self.values.get(name) == value:
            return False
        self.values[name] = value
        self.meta[name] = {MADE_AT: now()}
        return True


def now() -> str:
    """This moment as the vault writes it down."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Vault:
    """A vault file with the passwords that may open it. ``sought`` says in words where passwords were looked for."""

    path: Path
    passwords: Sequence[Password] = field(repr=False)
    sought: Sequence[str] = ()
    own: str = ""
    """The environment's own password file, whether it is there or not."""

    @property
    def exists(self) -> bool:
        """Whether there is a file yet."""
        return self.path.is_file()

    def read(self) -> Content:
        """What it holds; nothing where there is no file yet. Raises VaultError."""
        raw = self._raw()
        return Content() if raw is None else self._opened(raw)[0]

    @contextlib.contextmanager
    def changing(self) -> Iterator[Content]:
        """Its content to change, written whole when the block ends well and something differs; others wait meanwhile."""
        with self._locked():
            raw = self._raw()
            content, password = (Content(), self.password_of_new()) if raw is None else self._opened(raw)
            before = _text(content)
            yield content
            after = _text(content)
            if raw is None or after != before:
                self._write(after, password)

    def password_of_new(self) -> Password:
        """The password that a new file is made with. Raises VaultError."""
        if not self.passwords:
            made = f"Make one: (umask 077; openssl rand -base64 33 > {self.own}). " if self.own else ""
            raise VaultError("there is no password to make it with", self.path, made + self._following())
        return self.passwords[0]

    def _raw(self) -> bytes | None:
        try:
            with self.path.open("rb") as file:
                raw = file.read(LARGEST + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise VaultError(str(error.strerror), self.path, "Make it readable for you") from None
        if len(raw) > LARGEST:
            raise VaultError("it is too large for a vault", self.path, "Look whether that is the right file")
        return raw

    def _opened(self, raw: bytes) -> tuple[Content, Password]:
        """The content, and the password that opened it under the id that the file names."""
        if not VaultLib.is_encrypted(raw):
            why = "it is not encrypted as Ansible Vault does it"
            raise VaultError(why, self.path, f"Encrypt it: ansible-vault encrypt {self.path}")
        if not self.passwords:
            raise VaultError("no password for it was found", self.path, self._following())
        try:
            label = str(parse_vaulttext_envelope(raw)[3] or DEFAULT_ID)
            plaintext, _id, secret = VaultLib(list(self.passwords)).decrypt_and_get_vault_id(raw)
        except AnsibleError:
            why = "none of the passwords that were found opens it, or it is damaged"
            raise VaultError(why, self.path, self._following()) from None
        return _content(plaintext, self.path), (label, secret)

    def _write(self, text: str, password: Password) -> None:
        """Put the new content in place in one step, with the password and id that the file had."""
        label, secret = password
        raw = VaultLib([password]).encrypt(text, secret, vault_id=None if label == DEFAULT_ID else label)
        part = self.path.with_name(
            f".{self.path.name.lstrip('.')}.part"
        )  # hidden: an inventory folder is not to read it
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                os.fchmod(file.fileno(), 0o600)  # it may be the rest of one that died
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
        except OSError as error:
            raise VaultError(
                f"it cannot be written: {error.strerror}", self.path, "Repair that; it is as it was"
            ) from None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Be the only one that changes it. The lock is on the folder, so that no further file lies about."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path.parent, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise VaultError(f"its folder cannot be used: {error.strerror}", self.path, "Repair that") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def _following(self) -> str:
        looked = "; ".join(self.sought)
        return f"Give its password. It was looked for in: {looked}" if looked else "Give its password"


# --- reading and writing the plain text --------------------------------------------------------------------------------


def _content(plaintext: bytes, path: Path) -> Content:
    try:
        document = documents.parse(plaintext.decode("utf-8"), "vault")
    except (UnicodeDecodeError, documents.DocumentError) as error:
        line = error.mistake.line if isinstance(error, documents.DocumentError) else 0
        raise _misshapen(f"line {line} of what is in it is no YAML that we read", path) from None
    document = {} if document is None else document
    if not isinstance(document, dict):
        raise _misshapen("what is in it is no mapping of names to texts", path)
    wrong = sorted(name for name, value in document.items() if not name.startswith(OURS) and not isinstance(value, str))
    if wrong:
        raise _misshapen(f"in it, {', '.join(wrong)}: not a text; put the value in quotes", path)
    values = {name: value for name, value in document.items() if not name.startswith(OURS)}
    meta = {
        name: {key: str(each) for key, each in value.items()}
        for name, value in (document.get(META) or {}).items()
        if isinstance(value, dict)
    }
    previous = {name: str(value) for name, value in (document.get(PREVIOUS) or {}).items()}
    return Content(values, meta, previous)


def _misshapen(why: str, path: Path) -> VaultError:
    return VaultError(why, path, f"Correct it: ansible-vault edit {path}")


def _text(content: Content) -> str:
    lines = [f"{name}: {_quoted(content.values[name])}" for name in sorted(content.values)]
    lines += _block(META, {name: each for name, each in content.meta.items() if name in content.values})
    lines += _block(PREVIOUS, content.previous)
    return _HEADER + "".join(f"{line}\n" for line in lines)


def _block(title: str, entries: Mapping[str, t.Any]) -> list[str]:
    if not entries:
        return []
    return [f"{title}:", *(f"  {name}: {_shown(entries[name])}" for name in sorted(entries))]


def _shown(value: str | Mapping[str, str]) -> str:
    if isinstance(value, str):
        return _quoted(value)
    return "{" + ", ".join(f"{key}: {_quoted(each)}" for key, each in value.items()) + "}"


def _quoted(value: str) -> str:
    """In quotes, so that a person who edits the file sees that it is a text, whatever it looks like."""
    text: str = yaml.safe_dump(value, default_style='"', allow_unicode=True, width=LARGEST)
    return text.strip()


# --- finding vault and password ----------------------------------------------------------------------------------------


def opened(
    variables: Mapping[str, t.Any], loader: t.Any, template: Callable[[t.Any], t.Any], path: str | Path | None = None
) -> Vault:
    """The vault of a play, with the passwords that Ansible was started with, or else that of the environment's own file.

    ``smos_vault_file`` names the vault and ``smos_vault_password_file`` the own file; the sandbox makes its own by itself.
    Raises VaultError.
    """

    def value(name: str) -> str:
        return str(template(variables[name])) if variables.get(name) else ""

    named = str(path or value("smos_vault_file"))
    if not named:
        raise VaultError(
            "no file is named", Path("smos_vault_file"), "Set the variable smos_vault_file in the inventory"
        )
    file, own = Path(named), value("smos_vault_password_file")
    passwords: list[Password] = list(getattr(loader._vault, "secrets", None) or [])
    sought = _sought(bool(passwords))
    makes_its_own = value("smos_environment") == SANDBOX
    if own and (makes_its_own or not passwords):  # in the sandbox, a password in the shell is another environment's
        mine = own_password(Path(own), make=makes_its_own)
        sought.append(f"{own} ({'read' if mine else 'not there'})")
        passwords = [mine] if mine else passwords
    return Vault(file, passwords, sought, own)


def _sought(given: bool) -> list[str]:
    """Where a password may come from besides the own file, and what was there."""
    looked = [f"--vault-password-file, --vault-id or ANSIBLE_VAULT_PASSWORD_FILE ({'given' if given else 'not given'})"]
    for_smos = ("SMOS_VAULT_PASSWORD_FILE", "SMOS_VAULT_KEYRING")
    return looked + [f"{name} ({'set' if os.environ.get(name) else 'not set'})" for name in for_smos]


def own_password(path: Path, *, make: bool = False) -> Password | None:
    """The password in an environment's own file; None where there is none. ``make``: a missing one is made."""
    if make:
        _make(path)
    try:
        _mind_the_mode(path)
        password = path.read_bytes().strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise VaultError(
            f"its password file cannot be read: {error.strerror}", path, "Make it readable for you"
        ) from None
    if not password:
        raise VaultError("its password file is empty", path, "Put the password into it")
    return DEFAULT_ID, VaultSecret(password)


def _mind_the_mode(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        why = f"others than its owner may use its password file (mode {mode:04o})"
        raise VaultError(why, path, f"chmod 600 {path}")


def _make(path: Path) -> None:
    """Make a password where there is none; of two that try at once, one makes it."""
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.touch(mode=0o600)
    part.write_text(f"{secrets.token_urlsafe(32)}\n", encoding="ascii")
    try:
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        part.unlink()
