# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The archive of a tenant's export: a tar.gz with a manifest that names every file with its size and checksum."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import typing as t
from dataclasses import dataclass
from pathlib import Path

FORMAT = 1
MANIFEST = "manifest.json"
DOCUMENT = "tenant.json"
MAX_BYTES = 2 * 1024**3  # of one file inside


class ArchiveError(Exception):
    """An archive cannot be written or trusted; the message says why."""


@dataclass(frozen=True)
class Archive:
    """An archive that was read and whose checksums are right. ``files`` by path, ``manifest`` without them."""

    manifest: t.Mapping[str, t.Any]
    files: t.Mapping[str, bytes]

    @property
    def document(self) -> dict[str, t.Any]:
        """The tenant's document (``spec``, and ``status`` of the environment that it was exported from)."""
        return t.cast("dict[str, t.Any]", json.loads(self.files[DOCUMENT]))

    def of(self, service: str) -> dict[str, bytes]:
        """The files of one service by their names inside its folder."""
        return {path.partition("/")[2]: data for path, data in self.files.items() if path.startswith(f"{service}/")}


def write(path: Path, about: t.Mapping[str, t.Any], files: t.Mapping[str, bytes]) -> dict[str, t.Any]:
    """Write an archive whole or not at all, readable by its owner only; gives ``file, sha256, bytes``.

    ``about`` is what the manifest tells besides the files. Raises ArchiveError.
    """
    listed = [
        {"path": name, "bytes": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest()}
        for name in sorted(files)
    ]
    manifest = json.dumps({"format": FORMAT, **about, "files": listed}, indent=2, ensure_ascii=False).encode() + b"\n"
    packed = _packed({MANIFEST: manifest, **{name: files[name] for name in sorted(files)}})
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _put(path, packed, path.with_name(f".{about.get('environment')}.{about.get('tenant')}.part"))
    except OSError as exc:
        raise ArchiveError(f"{path} cannot be written: {exc.strerror}") from exc
    return {"file": str(path), "sha256": hashlib.sha256(packed).hexdigest(), "bytes": len(packed)}


def is_whole(export: t.Mapping[str, t.Any]) -> bool:
    """Whether the archive that a status speaks of is there with its checksum."""
    try:
        with open(export["file"], "rb") as file:
            return bool(hashlib.file_digest(file, "sha256").hexdigest() == export["sha256"])
    except (OSError, KeyError):
        return False


def read(path: Path) -> Archive:
    """The archive; raises ArchiveError when it is damaged, incomplete, or none of ours."""
    try:
        unpacked = gzip.decompress(path.read_bytes())  # to its last byte: tarfile would not miss the end
        with tarfile.open(fileobj=io.BytesIO(unpacked)) as tar:
            found = {member.name: _content(tar, member) for member in tar}
        manifest = json.loads(found.pop(MANIFEST))
        listed = {row["path"]: row for row in manifest.pop("files")}
    except (OSError, tarfile.TarError, EOFError, KeyError, TypeError, ValueError) as exc:
        raise ArchiveError(f"{path} is no archive of an export, or it is damaged: {exc}") from exc
    if manifest.get("format") != FORMAT:
        raise ArchiveError(f"{path} has the format {manifest.get('format')}; this release reads {FORMAT}")
    for name in sorted({*listed, *found}):
        if name not in found or name not in listed:
            raise ArchiveError(f"{path}: {name} is {'missing' if name in listed else 'not in the manifest'}")
        if hashlib.sha256(found[name]).hexdigest() != listed[name]["sha256"]:
            raise ArchiveError(f"{path}: the checksum of {name} is wrong")
    return Archive(manifest, found)


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member) if member.isreg() and member.size <= MAX_BYTES else None
    if file is None:
        raise ArchiveError(f"{member.name} is no plain file of a size that an export has")
    return file.read()


def _packed(files: t.Mapping[str, bytes]) -> bytes:
    """A tar.gz in which nothing but the content varies: no times, no users."""
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o600
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _put(path: Path, data: bytes, draft: Path) -> None:
    """Write ``path`` by way of ``draft``. What a run that died left of a draft goes with the next one."""
    draft.unlink(missing_ok=True)
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
