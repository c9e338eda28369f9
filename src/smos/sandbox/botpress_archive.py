"""Archives of bots as the sandbox's Botpress takes and gives them: gzipped tar files without a leading folder."""

from __future__ import annotations

import io
import tarfile
import zlib

CONFIG = "bot.config.json"
MAX_FILES = 10_000


class BadArchive(Exception):
    """What was sent cannot be unpacked."""


def unpack(raw: bytes) -> dict[str, bytes]:
    """The plain files by path. Raises :class:`BadArchive`."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(raw), mode="r:*") as tar:
            for entry in tar:
                handle = tar.extractfile(entry) if entry.isreg() else None
                if handle is not None and ".." not in entry.name.split("/") and len(files) < MAX_FILES:
                    files[entry.name.removeprefix("./").lstrip("/")] = handle.read()
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as exc:
        raise BadArchive(type(exc).__name__) from None
    return files


def pack(files: dict[str, bytes]) -> bytes:
    """The files as an archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for path, content in sorted(files.items()):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()
