# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Docker volumes as folders of this machine: where they are, whose they are, and how one folder takes another's place.

A restored folder stands beside the volume's own, on the same file system, so that putting it in its place is a rename.
"""

from __future__ import annotations

import os
import stat
import typing as t
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.stack_state import (
    NAMESPACE_LABEL,
    OWNER,
    OWNER_LABEL,
    SERVICE_LABEL,
)

NOT_THERE = 404


class VolumeError(Exception):
    """The volume cannot be read or changed as a folder; the text is for the operator."""


def exists(engine: Engine, volume: str) -> bool:
    """Whether there is such a volume."""
    try:
        engine.get(f"/volumes/{volume}")
    except EngineError as exc:
        if exc.status == NOT_THERE:
            return False
        raise
    return True


def mountpoint(engine: Engine, volume: str) -> Path:
    """The folder that holds its files. Raises VolumeError and EngineError."""
    try:
        found = engine.get(f"/volumes/{volume}")
    except EngineError as exc:
        if exc.status == NOT_THERE:
            raise VolumeError(f"volume {volume} does not exist") from None
        raise
    where = Path(str(found.get("Mountpoint") or ""))
    if found.get("Driver") != "local" or not where.parent.is_dir():  # the folder itself may be put aside just now
        raise VolumeError(f"volume {volume} is no folder of this machine (driver {found.get('Driver')})")
    return where


def create(engine: Engine, volume: str, service: str) -> Path:
    """The folder of a volume, made where it is not there: as a deploy of the service would name and label it."""
    if not exists(engine, volume):
        labels = {OWNER_LABEL: OWNER, SERVICE_LABEL: service, NAMESPACE_LABEL: service}
        engine.post("/volumes/create", {"Name": volume, "Driver": "local", "Labels": labels})
    return mountpoint(engine, volume)


def users(engine: Engine, volume: str) -> list[str]:
    """The running containers that it is mounted in, by name."""
    return sorted(str(each["Names"][0]).lstrip("/") for each in engine.get("/containers/json", volume=[volume]))


def root_of(folder: Path) -> dict[str, int]:
    """Owner, group and mode of the folder itself, which a backup of what is in it does not hold."""
    found = folder.stat()
    return {"uid": found.st_uid, "gid": found.st_gid, "mode": stat.S_IMODE(found.st_mode)}


def give_root(folder: Path, root: t.Mapping[str, int]) -> None:
    """Give a folder its owner, group and mode back."""
    if root:
        os.chown(folder, root["uid"], root["gid"])
        folder.chmod(root["mode"])


def size(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files below a folder; what vanishes meanwhile is not counted."""
    total, files, linked = 0, 0, set()
    for where, _folders, names in os.walk(folder):
        for each in names:
            try:
                found = os.lstat(os.path.join(where, each))
            except OSError:
                continue
            files += 1
            if found.st_nlink > 1 and (found.st_dev, found.st_ino) in linked:
                continue
            linked.update([(found.st_dev, found.st_ino)] if found.st_nlink > 1 else [])
            total += found.st_size
    return total, files


def restored(folder: Path, backup: str) -> Path:
    """Where the files of a backup are put before they take the place of the volume's own."""
    return folder.with_name(f".smos-restore-{backup}")


def before(folder: Path, backup: str) -> Path:
    """Where the volume's own files are while a restore is not yet known to be good."""
    return folder.with_name(f".smos-before-{backup}")


def swap(folder: Path, new: Path, old: Path) -> None:
    """Put ``new`` in the place of ``folder``, which becomes ``old``. Asked again after an interruption, it goes on from there.

    The other way round (`swap(folder, old, new)`) it is undone. Raises VolumeError; then everything is as it was.
    """
    if not new.exists() and folder.exists() and old.exists():
        return  # done already
    if not new.is_dir():
        raise VolumeError(f"{new} is not there")
    if os.path.ismount(folder):
        raise VolumeError(f"{folder} is a mount of its own and cannot be put aside")
    if folder.exists():
        if old.exists():
            raise VolumeError(f"{old} is there already")
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError as exc:
        if old.exists():
            old.rename(folder)
        raise VolumeError(f"{new} cannot take the place of {folder}: {exc}") from exc
    _settle(folder.parent)


def _settle(folder: Path) -> None:
    """The names are on the disk when this is done, whatever happens to the power."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
