# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Archives of bots: gzipped tar files as Botpress 12 exports and imports them, the same bytes for the same files."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import typing as t
import zlib

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

MAX_FILES = 5000
MAX_SIZE = 64 * 1024 * 1024  # bytes of all files of one bot
_PART = r"[A-Za-z0-9_$@+,()=~ \u00c0-\u024f-][A-Za-z0-9_$@+,()=~ .\u00c0-\u024f-]*"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")


def pack(files: t.Mapping[str, bytes]) -> bytes:
    """The files (path in the bot's folder -> content) as an archive without a leading folder.

    Order, times, owners and modes are fixed, so that equal files give equal bytes.
    """
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(files):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(files[path]), 0o644
            tar.addfile(entry, io.BytesIO(files[path]))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=6, mtime=0) as zipped:
        zipped.write(raw.getvalue())
    return packed.getvalue()


def unpack(archive: t.Any) -> dict[str, bytes]:
    """The files of an archive by path, sorted. Nothing is written anywhere.

    Raises ApiError for what is no archive, for paths that lead out of it, and for more than ``MAX_SIZE`` bytes.
    """
    if not isinstance(archive, bytes):
        raise ApiError("expected the archive of a bot, got something else")
    files: dict[str, bytes] = {}
    left = MAX_SIZE
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(archive)) as zipped:
            raw = zipped.read(MAX_SIZE * 2 + 1)
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:") as tar:
            for entry in tar:
                if entry.isdir():
                    continue
                left -= entry.size
                if left < 0 or len(files) >= MAX_FILES:
                    raise ApiError("the archive of the bot is too large")
                handle = tar.extractfile(entry) if entry.isreg() else None
                path = entry.name.removeprefix("./")
                if handle is None or not _PATH.fullmatch(path):
                    raise ApiError(f"the archive of the bot has an entry that is no plain file: {path[:80]!r}")
                files[path] = handle.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error, ValueError) as exc:
        raise ApiError(f"the archive of the bot cannot be read ({type(exc).__name__})") from None
    return dict(sorted(files.items()))
