"""Layers of images: tar files that are the same bits whenever their content is, kept in the cache under what they are made
from.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

LEVEL = 1  # of compression: the way to the registry and from it is the loopback
GZIP = 31
KEY_LENGTH = 16
BUFFER = 1 << 20
# Debian's root has these as links; a folder of the name in a layer would take the link's place
MERGED = ("bin", "lib", "lib64", "sbin")


@dataclass(frozen=True)
class Layer:
    """A finished layer. ``digest`` is of the compressed file, ``diff`` of what is in it."""

    file: str
    digest: str
    diff: str
    size: int


class Writer:
    """Fills a layer. Names are paths in the image without a leading slash; times are all zero where nothing is copied."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self.tar = tar
        self._names: set[str] = set()  # an engine refuses a layer that has a path twice

    def folder(self, name: str, mode: int = 0o755, owner: int = 0) -> None:
        """A folder; those above it are not made."""
        self._add(name, tarfile.DIRTYPE, mode, owner)

    def file(self, name: str, content: str | bytes, mode: int = 0o644, owner: int = 0) -> None:
        """A file with this content."""
        self._add(name, tarfile.REGTYPE, mode, owner, content.encode() if isinstance(content, str) else content)

    def link(self, name: str, target: str) -> None:
        """A symbolic link."""
        self._add(name, tarfile.SYMTYPE, 0o777, 0, target=target)

    def copy(self, name: str, path: Path, mode: int | None = None) -> None:
        """A file from this machine, owned by root."""
        info = tarfile.TarInfo(name)
        info.size, info.mode = path.stat().st_size, mode if mode is not None else path.stat().st_mode & 0o755
        with path.open("rb") as content:
            self.tar.addfile(info, content)

    def tree(self, name: str, root: Path, leave: Callable[[PurePosixPath], bool] = lambda _path: False) -> None:
        """A folder from this machine with everything in it, owned by root, links as links."""
        self.folder(name)
        for path in sorted(root.iterdir()):
            where = f"{name}/{path.name}"
            if leave(PurePosixPath(where)):
                continue
            if path.is_symlink():
                self.link(where, str(path.readlink()))
            elif path.is_dir():
                self.tree(where, path, leave)
            elif path.is_file():
                self.copy(where, path)

    def archive(self, tar: tarfile.TarFile, rename: Callable[[str], str | None] = lambda name: name) -> None:
        """What another tar holds; a name that becomes None or empty is left out, and so is one that is there already."""
        for member in tar:
            name = rename(member.name.removeprefix("./").strip("/"))
            if not name or name == "." or name in self._names:
                continue
            self._names.add(name)
            content = tar.extractfile(member) if member.isreg() else None
            member.name = name
            member.pax_headers = {}
            if member.islnk():
                member.linkname = rename(member.linkname.removeprefix("./").strip("/")) or member.linkname
            self.tar.addfile(member, content)

    def _add(self, name: str, kind: bytes, mode: int, owner: int, content: bytes = b"", target: str = "") -> None:
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.uid, info.gid, info.linkname = kind, mode, owner, owner, target
        info.size = len(content)
        self._names.add(name)
        self.tar.addfile(info, io.BytesIO(content) if content else None)


def made(cache: Path, name: str, inputs: str, write: Callable[[Writer], None]) -> Layer:
    """The layer of that name made from those inputs, from the cache if it was made before."""
    key = f"{name}-{hashlib.sha256(inputs.encode()).hexdigest()[:KEY_LENGTH]}"
    note = cache / "layers" / f"{key}.json"
    note.parent.mkdir(parents=True, exist_ok=True)
    with lock(note):
        found = _kept(note)
        if found is None:
            found = _written(note.with_suffix(".tar.gz"), write)
            note.write_text(json.dumps(asdict(found)), encoding="utf-8")
    return found


def merged(name: str) -> str:
    """Where a package's file really lies on a system whose /lib is a link to /usr/lib."""
    return f"usr/{name}" if name.partition("/")[0] in MERGED else name


@contextmanager
def lock(beside: Path) -> Iterator[None]:
    """For one process or thread at a time; the kernel frees it however its holder ends."""
    with beside.with_suffix(".lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _kept(note: Path) -> Layer | None:
    try:
        layer = Layer(**json.loads(note.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    path = Path(layer.file)
    return layer if path.is_file() and path.stat().st_size == layer.size else None


def _written(path: Path, write: Callable[[Writer], None]) -> Layer:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        sink = _Sink(file)
        with tarfile.open(fileobj=sink, mode="w|", format=tarfile.GNU_FORMAT, bufsize=BUFFER) as tar:
            write(Writer(tar))
        sink.finish()
    part.replace(path)
    return Layer(str(path), f"sha256:{sink.digest.hexdigest()}", f"sha256:{sink.diff.hexdigest()}", path.stat().st_size)


class _Sink(io.RawIOBase):
    """Compresses what is written to it, and knows both checksums at the end."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file
        self._packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
        self.diff = hashlib.sha256()
        self.digest = hashlib.sha256()

    def write(self, data: Any) -> int:
        """Called by tarfile."""
        self.diff.update(data)
        self._out(self._packer.compress(data))
        return len(data)

    def finish(self) -> None:
        """Write what is still held."""
        self._out(self._packer.flush())

    def _out(self, data: bytes) -> None:
        self.digest.update(data)
        self._file.write(data)
