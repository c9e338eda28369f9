# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The tenant store: a folder with one YAML file per tenant, ``spec`` (people's) and ``status`` (the runs') apart.

Every change re-reads the file under its lock, replaces the text of one block, reads the result back, and puts it in
place whole and durably, or changes nothing. All errors are :class:`StoreError` or, from reading, :class:`BrokenFile`.
"""

from __future__ import annotations

import copy
import os
import re
import typing as t
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.registry import (
    disk,
    render,
    spec_edit,
    splice,
    yaml_text,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.errors import (
    BrokenFile,
    StoreError,
    TenantExists,
    TenantMissing,
    broken,
    from_os,
)

SUFFIX = ".yml"
_RUT = re.compile(r"[0-9]{1,8}-[0-9K]\Z")
_WRITERS = 16
"""Threads of :meth:`Registry.update_many`: what overlaps is the waiting for the disk."""

Data = dict[str, t.Any]
Change = t.Union[t.Mapping[str, t.Any], t.Callable[[Data], t.Mapping[str, t.Any]]]


@dataclass(frozen=True)
class Written:
    """What :meth:`Registry.update_many` did: RUTs whose file changed, RUTs that needed none, and errors by RUT."""

    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    failed: dict[str, StoreError] = field(default_factory=dict)


class Registry:
    """The tenants in one folder (``specs/tenants/registry``)."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._swept = False

    def path(self, rut: str) -> Path:
        """Where the file of this tenant is or would be. Raises StoreError for what is no canonical RUT."""
        if not isinstance(rut, str) or not _RUT.match(rut):
            raise StoreError(
                "Find the tenant file", self.folder, f"{rut!r} is no canonical RUT", "Write it like 76086428-5"
            )
        return self.folder / f"{rut}{SUFFIX}"

    def exists(self, rut: str) -> bool:
        """Whether there is a file for this tenant, broken or not."""
        return os.path.lexists(self.path(rut))

    def read(self, rut: str) -> Data:
        """The document of one tenant. Raises TenantMissing, BrokenFile, StoreError."""
        return self._parsed(rut, f"Read tenant {rut}")[1].document

    def documents(self) -> t.Iterator[tuple[Path, Data | BrokenFile]]:
        """Every tenant file in the order of names, with its document or with what is wrong with the file."""
        for name in names(self.folder):
            yield self.folder / name, read_document(self.folder / name)

    def create(self, rut: str, document: t.Mapping[str, t.Any], header_comment: str = "") -> Path:
        """Write the file of a new tenant. Raises TenantExists where there is one, even a broken one."""
        what, path = f"Register tenant {rut}", self.path(rut)
        try:
            wanted = render.plain_data(document)
            text = "\n".join([*_comment(header_comment), *render.block(wanted)]) + "\n"
            self.folder.mkdir(parents=True, exist_ok=True)
            self._sweep()
            with disk.locked(self.folder, path.name):
                self._put(path, text, wanted, what, new=True)
        except FileExistsError:
            raise TenantExists(
                what, path, "there is a file for this tenant already", "Change that one, or remove it"
            ) from None
        except (OSError, TypeError) as error:
            raise _explained(what, path, error) from error
        return path

    def set_status(self, rut: str, env: str, block: t.Mapping[str, t.Any], *, sync: bool = True) -> bool:
        """Make ``status.<env>`` exactly this; the other environments' blocks stay. False: it was so already."""
        return self.update_status(rut, env, lambda _old: block, sync=sync)

    def update_status(self, rut: str, env: str, change: Change, *, sync: bool = True) -> bool:
        """Change ``status.<env>``: merge a mapping into it (mappings merge, all else replaces), or let a function
        give the new block for a copy of the old one. False: nothing to change, nothing written."""

        def edit(text: str, parsed: yaml_text.Parsed) -> tuple[str, Data]:
            status = parsed.document.get("status") or {}
            if not isinstance(status, dict):
                raise BrokenFile("status must be a mapping")
            old = status.get(env) or {}
            new = change(copy.deepcopy(old)) if callable(change) else merge(old, change)
            after = {**status, env: render.plain_data(new)}
            if after == status:
                return text, parsed.document
            return splice.with_block(text, parsed, "status", after), {**parsed.document, "status": after}

        return self._edit(rut, f"Write the status of tenant {rut}", edit, sync)

    def remove_status(self, rut: str, env: str) -> bool:
        """Take ``status.<env>`` away; the other environments' blocks stay. False: there was none."""

        def edit(text: str, parsed: yaml_text.Parsed) -> tuple[str, Data]:
            status = parsed.document.get("status") or {}
            if not isinstance(status, dict) or env not in status:
                return text, parsed.document
            after = {name: block for name, block in status.items() if name != env}
            return splice.with_block(text, parsed, "status", after), {**parsed.document, "status": after}

        return self._edit(rut, f"Write the status of tenant {rut}", edit, sync=True)

    def update_many(self, items: t.Iterable[tuple[str, str, Change]], *, merging: bool = False) -> Written:
        """Write ``status.<environment>`` of many tenants at once: ``(rut, environment, block)``, where the block takes
        the place of the old one, is merged into it (``merging``), or is a function as in :meth:`update_status`.

        One tenant's error spares the others: look at ``failed``. On return all of it is durable.
        """
        todo = list(items)
        self._sweep()

        def one(item: tuple[str, str, Change]) -> bool | StoreError:
            rut, env, change = item
            try:
                write = self.update_status if merging or callable(change) else self.set_status
                return write(rut, env, t.cast(t.Any, change), sync=False)
            except StoreError as error:
                return error

        with ThreadPoolExecutor(min(_WRITERS, len(todo)) or 1) as pool:
            outcomes = list(pool.map(one, todo))
        failed = {rut: outcome for (rut, _e, _c), outcome in zip(todo, outcomes) if isinstance(outcome, StoreError)}
        changed = dict.fromkeys(rut for (rut, _e, _c), outcome in zip(todo, outcomes) if outcome is True)
        if changed:
            self._sync_folder(f"Write the status of {len(changed)} tenants")
        unchanged = dict.fromkeys(rut for rut, _e, _c in todo if rut not in changed and rut not in failed)
        return Written(tuple(changed), tuple(unchanged), failed)

    def edit_spec(self, rut: str, change: t.Callable[[t.Any], None]) -> bool:
        """Let ``change`` alter the spec in place (a mapping that keeps comments and order). False: nothing changed.

        Needs ruamel.yaml; raises StoreError without it.
        """
        what = f"Edit the spec of tenant {rut}"
        if not spec_edit.HAS_RUAMEL:
            raise StoreError(
                what, self.folder, "the Python package ruamel.yaml is not installed", "Install ruamel.yaml"
            )

        def edit(text: str, parsed: yaml_text.Parsed) -> tuple[str, Data]:
            edited, spec = spec_edit.with_changed_spec(text, parsed, change)
            same = spec == parsed.document["spec"]
            return (text, parsed.document) if same else (edited, {**parsed.document, "spec": spec})

        return self._edit(rut, what, edit, sync=True)

    def remove(self, rut: str) -> bool:
        """Remove the file of a tenant, broken or not. False: there was none."""
        path = self.path(rut)
        try:
            with disk.locked(self.folder, path.name):
                path.unlink()
                disk.sync_folder(self.folder)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise from_os(f"Remove tenant {rut}", path, error) from error
        return True

    def sweep(self) -> list[str]:
        """Remove what writers that were killed left behind; gives the names. Each registry does it before its first write."""
        return disk.sweep(self.folder) if self.folder.is_dir() else []

    def _sweep(self) -> None:
        if not self._swept:
            self._swept = True
            self.sweep()

    def _edit(
        self, rut: str, what: str, edit: t.Callable[[str, yaml_text.Parsed], tuple[str, Data]], sync: bool
    ) -> bool:
        path = self.path(rut)
        try:
            if not os.path.lexists(path):
                raise _missing(what, path)
            self._sweep()
            with disk.locked(self.folder, path.name):
                text, parsed = self._parsed(rut, what)
                if path.is_symlink():
                    raise StoreError(what, path, "it is a symbolic link", "Replace the link by the file itself")
                edited, wanted = edit(text, parsed)
                if edited == text:
                    return False
                self._put(path, edited, wanted, what, sync=sync)
        except BrokenFile as error:
            raise broken(what, path, error) from None
        except (OSError, TypeError, ValueError) as error:
            raise _explained(what, path, error) from error
        return True

    def _put(self, path: Path, text: str, wanted: Data, what: str, *, new: bool = False, sync: bool = True) -> None:
        """Read back what would be written, compare it with what is wanted, and only then write it."""
        try:
            result = yaml_text.parse(text).document
        except BrokenFile as error:
            raise StoreError(
                what, path, f"the result would not be readable ({error})", "Correct the file by hand"
            ) from None
        if result != wanted:
            raise StoreError(
                what,
                path,
                "the result would change more than was asked",
                "Write the file in plain block style, then run again",
            )
        disk.put(self.folder, path.name, text.encode("utf-8"), new=new, sync=sync)

    def _parsed(self, rut: str, what: str) -> tuple[str, yaml_text.Parsed]:
        path = self.path(rut)
        try:
            if path.is_symlink():
                inside(path)
            text = yaml_text.decode(disk.read(path)[0])
        except FileNotFoundError:
            raise _missing(what, path) from None
        except OSError as error:
            raise from_os(what, path, error) from error
        return text, yaml_text.parse(text)

    def _sync_folder(self, what: str) -> None:
        try:
            disk.sync_folder(self.folder)
        except OSError as error:
            raise from_os(what, self.folder, error) from error


def names(folder: Path) -> list[str]:
    """The names of the tenant files of a folder, sorted. Hidden files, temp files and other endings are none. No folder: none."""
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith(SUFFIX) and not name.startswith("."))
    except FileNotFoundError:
        return []


def read_document(path: Path) -> Data | BrokenFile:
    """The document of one file, or what is wrong with the file; never raises."""
    try:
        if path.is_symlink():
            inside(path)
        return yaml_text.parse(yaml_text.decode(disk.read(path)[0])).document
    except BrokenFile as error:
        return error
    except OSError as error:
        return BrokenFile(os.strerror(error.errno) if error.errno else str(error))


def inside(path: Path) -> None:
    """Raises BrokenFile where a symbolic link leads out of the folder that it lies in."""
    if path.resolve().parent != path.parent.resolve():
        raise BrokenFile("a symbolic link that leads out of the registry")


def merge(old: t.Mapping[str, t.Any], new: t.Mapping[str, t.Any]) -> Data:
    """``new`` over ``old``: mappings merge key by key, everything else replaces. Neither is altered."""
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        merged[key] = merge(before, value) if isinstance(before, dict) and isinstance(value, t.Mapping) else value
    return merged


def _comment(text: str) -> list[str]:
    return [line if line.startswith("#") else f"# {line}".rstrip() for line in text.splitlines()]


def _missing(what: str, path: Path) -> TenantMissing:
    return TenantMissing(what, path, "there is no file for this tenant", "Create the tenant first")


def _explained(what: str, path: Path, error: Exception) -> StoreError:
    if isinstance(error, OSError):
        return from_os(what, path, error)
    return StoreError(what, path, str(error), "Correct the value, then run the same command again")
