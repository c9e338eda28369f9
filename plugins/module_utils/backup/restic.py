# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A restic repository: on this machine or elsewhere. Only what restic 0.14 knows is used.

Who calls this holds the machine's lock (`job.alone`), so a lock in the repository whose process is gone is nobody's.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import restic_run as programs
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import restic_told as told
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, Remote
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic_run import Command, Done, Limits
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic_told import (
    Incomplete,
    Node,
    ResticError,
    Saved,
    Snapshot,
    SourceFailed,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Executed

__all__ = ["Incomplete", "Node", "Repository", "ResticError", "Saved", "Snapshot", "SourceFailed", "local", "remotes"]

CACHE = Path("/var/cache/smarteros/restic")
FORMAT = "2"  # of the repository: with compression
# restic itself tries again and again for a quarter of an hour, request by request: a remote must answer sooner
PROBE = Limits(total_s=45)
LISTING = Limits(total_s=600, still_s=45)
LONG = Limits(still_s=300)
UNLIMITED = Limits()
NOTHING = ".smarteros-nothing"  # stands for a folder that holds nothing: restic makes no snapshot of that
AT_ONCE = 400  # snapshots in one command

Env = t.Mapping[str, str]

_ELSEWHERE = re.compile(r"\A(s3|sftp|rest|b2|azure|gs|swift|rclone):")
_LETTERS = re.compile(r"([\\*?\[])")  # that mean something in a pattern


@dataclass(frozen=True)
class Repository:
    """The repository at a location, as restic writes it. Methods raise ResticError.

    ``environment_file`` holds NAME=value lines (credentials) and is read when they are needed.
    """

    location: str
    password_file: str
    environment: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    cache: Path | str = CACHE
    upload_kib_s: int = 0
    environment_file: str = ""

    @property
    def elsewhere(self) -> bool:
        """Whether it is reached over a network."""
        return bool(_ELSEWHERE.match(self.location))

    def exists(self) -> bool:
        """Whether there is a repository; of one elsewhere also that it answers and can be opened."""
        if not self.elsewhere:
            return (Path(self.location) / "config").is_file()
        try:
            self._do("cat", "config", "--no-lock", limits=PROBE)
        except ResticError as exc:
            if exc.kind == told.ABSENT:
                return False
            raise
        return True

    def init(self, like: Repository | None = None) -> None:
        """Make it; ``like`` is one that is copied from, so that both cut files at the same places and store nothing twice.

        What an interrupted attempt has left on this machine goes first.
        """
        if not self.elsewhere:
            self._clear_half_made()
        words, env = ["init", "--repository-version", FORMAT], None
        if like is not None:
            words += ["--from-password-file", like.password_file, "--copy-chunker-params"]
            env = self._beside(like)
        self._do(*words, env=env, limits=LISTING)
        try:
            self._do("cat", "config", "--no-lock", limits=PROBE)
        except ResticError as exc:
            why = (
                f"{exc.message}; an earlier attempt that was cut off left a key behind: empty that place by hand first"
            )
            raise ResticError(why, exc.code, exc.kind) from exc

    def snapshots(self, *tags: str) -> list[Snapshot]:
        """Those with all of these tags, oldest first."""
        words = ["snapshots", "--json", "--no-lock", *(["--tag", told.tag_words(tags)] if tags else [])]
        return told.snapshots(self._do(*words, limits=LISTING).stdout)

    def backup_folder(self, path: str | Path, host: str, tags: t.Sequence[str], exclude: t.Sequence[str] = ()) -> Saved:
        """Save what is in a folder, with owners, modes and times; not the folder itself. It may hold nothing at all.

        A pattern that begins with a slash is anchored at the folder. Files that vanish meanwhile are no failure.
        Raises Incomplete where some could not be read.
        """
        root = os.path.realpath(path)
        words = self._backup_words(host, tags)
        words += [f"--exclude={_anchored(root, pattern)}" for pattern in exclude]
        try:
            return self._saved(self._run(*words, ".", cwd=root), tags)
        except ResticError as exc:
            if exc.kind != told.EMPTY:
                raise
        mark = self.backup_bytes(b"\n", NOTHING, host, tags)
        return Saved(mark.snapshot, 0, 0, mark.added)

    def backup_stream(
        self,
        argv: t.Sequence[str],
        filename: str,
        host: str,
        tags: t.Sequence[str],
        env: Env | None = None,
    ) -> Saved:
        """Save what a program writes, as one file. Only of one that ends with 0 is anything kept. Raises SourceFailed.

        One that writes nothing has failed: no dump is empty.
        """
        words = [*self._backup_words(host, tags), "--stdin", "--stdin-filename", filename]
        source = Command(argv, os.environ if env is None else env)
        try:
            wrote, read = programs.pour(source, self._command(words))
        except programs.Missing as exc:
            raise SourceFailed(127, str(exc)) if shutil.which("restic") else self._missing(exc) from None
        except programs.Expired as exc:
            raise self._expired(exc) from None
        if read.killed:
            raise SourceFailed(wrote.code, wrote.stderr)
        try:
            saved = self._saved(read, tags)
        except ResticError as exc:
            if exc.kind != told.EMPTY:
                raise
            raise SourceFailed(wrote.code, "it wrote nothing") from None
        if not saved.bytes:  # newer versions keep even that
            self.forget([saved.snapshot])
            raise SourceFailed(wrote.code, "it wrote nothing")
        return saved

    def backup_bytes(self, data: bytes, filename: str, host: str, tags: t.Sequence[str]) -> Saved:
        """Save these bytes as one file: all of them or nothing, however we end."""
        words = [*self._backup_words(host, tags), "--stdin", "--stdin-filename", filename]
        with os.fdopen(os.memfd_create("smos"), "w+b") as memory:
            memory.write(data)
            memory.seek(0)
            return self._saved(self._run(*words, stdin=memory.fileno()), tags)

    def restore(self, snapshot: str, target: str | Path, include: t.Sequence[str] = ()) -> None:
        """Bring files back below a folder; ``include``: only what these patterns fit."""
        words = ["restore", snapshot, "--target", str(target), *(f"--include={pattern}" for pattern in include)]
        self._do(*words, limits=self._long)
        Path(target, NOTHING).unlink(missing_ok=True)

    def read(self, snapshot: str, filename: str) -> bytes:
        """The content of a small file."""
        return self._do("dump", "--no-lock", snapshot, _rooted(filename), limits=LISTING).stdout

    def stream_into(self, snapshot: str, filename: str, argv: t.Sequence[str], env: Env | None = None) -> Executed:
        """Let a program read a file; gives how the program ended. It sees the file's end only if all of it could be read."""
        source = self._command(["dump", snapshot, _rooted(filename)], limits=self._long)
        try:
            wrote, read = programs.pour(source, Command(argv, os.environ if env is None else env))
        except programs.Missing as exc:
            raise self._missing(exc) from None
        except programs.Expired as exc:
            raise self._expired(exc) from None
        if read.killed:
            raise told.error(self.location, wrote.code, wrote.stderr)
        return Executed(read.code, read.stdout.decode(errors="replace"), read.stderr)

    def ls(self, snapshot: str) -> t.Iterator[Node]:
        """What is in a snapshot, one after the other."""
        listing = self._lines("ls", "--json", "--no-lock", snapshot)
        if next(listing, None) is None:  # the first line is the snapshot's own
            raise ResticError(f"repository {told.hidden(self.location)}: no snapshot {snapshot}", 0, told.MISSING)
        for line in listing:
            found = told.node(line)
            if found and found.path != f"/{NOTHING}":
                yield found

    def forget(self, ids: t.Iterable[str]) -> None:
        """Drop snapshots; their data goes with the next `prune`. Ids that are not there are fine."""
        wanted = list(dict.fromkeys(ids))
        for start in range(0, len(wanted), AT_ONCE):
            self._do("forget", *wanted[start : start + AT_ONCE], limits=self._long)

    def prune(self) -> None:
        """Remove what no snapshot needs any more."""
        self._do("prune", limits=self._long)

    def check(self, subset: str = "") -> None:
        """Whether it is sound: its structure, and the data of a ``subset`` of it (``5%``, ``1/7``, ``100%``: all)."""
        words = ["check", *([] if self.elsewhere else ["--no-cache"])]
        if subset:
            words.append("--read-data" if subset == "100%" else f"--read-data-subset={subset}")
        self._do(*words, limits=self._long)

    def copy_to(self, other: Repository, ids: t.Iterable[str]) -> None:
        """Copy snapshots into another repository; what is there already is passed over."""
        wanted = list(dict.fromkeys(ids))
        env = other._beside(self)
        for start in range(0, len(wanted), AT_ONCE):
            words = ["copy", "--from-password-file", self.password_file, *wanted[start : start + AT_ONCE]]
            other._do(*words, env=env, limits=LONG if self.elsewhere else other._long)

    def unlock(self) -> None:
        """Free locks of processes that are gone, and remove what such processes have left half written."""
        held: list[told.Json] = []
        if self._may_be_locked():
            self._do("unlock", limits=LISTING)
            held = self._locks()
        if held and all(map(_gone, held)):
            self._do("unlock", "--remove-all", limits=LISTING)
            held = []
        for left in Path(self.cache).glob("restic-check-cache-*"):
            shutil.rmtree(left, ignore_errors=True)
        place = Path(self.location)
        if not self.elsewhere and not held:
            for left in (*place.glob("*/*-tmp-*"), *place.glob("data/*/*-tmp-*")):
                left.unlink(missing_ok=True)

    def _locks(self) -> list[told.Json]:
        """Who holds it, as they said themselves."""
        if not self._may_be_locked():
            return []
        names = self._do("list", "locks", "--no-lock", limits=LISTING).stdout.decode().split()
        return [told.whole_json(self._do("cat", "lock", each, "--no-lock", limits=LISTING).stdout) for each in names]

    def _may_be_locked(self) -> bool:
        """On this machine each lock is a file; elsewhere only asking tells."""
        return self.elsewhere or any(Path(self.location).glob("locks/*"))

    def size(self) -> int:
        """Bytes that it occupies."""
        if self.elsewhere:
            found = self._do("stats", "--json", "--no-lock", "--mode", "raw-data", limits=LISTING)
            return int(told.first_json(found.stdout).get("total_size", 0))
        total = 0
        for where, _folders, names in os.walk(self.location):
            for name in names:
                with contextlib.suppress(OSError):
                    total += os.lstat(os.path.join(where, name)).st_size
        return total

    # What the above are made of

    @property
    def _long(self) -> Limits:
        return LONG if self.elsewhere else UNLIMITED

    def _backup_words(self, host: str, tags: t.Sequence[str]) -> list[str]:
        return ["backup", "--json", "--host", host, "--tag", told.tag_words(tags)]

    def _command(
        self, words: t.Sequence[str], cwd: str | None = None, limits: Limits = UNLIMITED, env: Env | None = None
    ) -> Command:
        argv = ["restic", "--password-file", self.password_file, "--cache-dir", str(self.cache)]
        argv += ["--limit-upload", str(self.upload_kib_s)] if self.upload_kib_s else []
        return Command([*argv, *words], {**self._env(), **(env or {})}, cwd, limits)

    def _env(self) -> dict[str, str]:
        """The address is in the environment, which only root can look at: it may hold a password."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("RESTIC_")}
        return {**ours, **self.credentials(), "RESTIC_REPOSITORY": self.location, "RESTIC_PROGRESS_FPS": "0.1"}

    def credentials(self) -> dict[str, str]:
        """What the storage asks for, by name."""
        found = dict(self.environment)
        if self.environment_file:
            try:
                lines = Path(self.environment_file).read_text(encoding="utf-8").splitlines()
            except (OSError, ValueError) as exc:
                why = f"repository {told.hidden(self.location)}: its credentials cannot be read: {exc}"
                raise ResticError(why, 0, told.REFUSED) from None
            pairs = (line.partition("=") for line in map(str.strip, lines) if line and not line.startswith("#"))
            found.update({name.strip(): value.strip() for name, _equals, value in pairs})
        return found

    def _beside(self, other: Repository) -> dict[str, str]:
        """The environment by which a command of this one also reads another."""
        mine, its = self.credentials(), other.credentials()
        if any(mine.get(name, value) != value for name, value in its.items()):
            raise ResticError(
                f"{told.hidden(other.location)} and {told.hidden(self.location)} need different credentials of the same name"
            )
        return {**its, "RESTIC_FROM_REPOSITORY": other.location}

    def _run(
        self,
        *words: str,
        cwd: str | None = None,
        stdin: int | None = None,
        limits: Limits = UNLIMITED,
        env: Env | None = None,
    ) -> Done:
        try:
            return programs.run(self._command(words, cwd, limits, env), stdin)
        except programs.Missing as exc:
            raise self._missing(exc) from None
        except programs.Expired as exc:
            raise self._expired(exc) from None

    def _do(self, *words: str, limits: Limits = UNLIMITED, env: Env | None = None) -> Done:
        done = self._run(*words, limits=limits if self.elsewhere or env else UNLIMITED, env=env)
        if done.code != 0:
            raise told.error(self.location, done.code, done.stderr, done.stdout)
        return done

    def _lines(self, *words: str) -> t.Iterator[bytes]:
        try:
            done = yield from programs.lines(self._command(words, limits=self._long))
        except programs.Missing as exc:
            raise self._missing(exc) from None
        except programs.Expired as exc:
            raise self._expired(exc) from None
        if done.code != 0:
            raise told.error(self.location, done.code, done.stderr)

    def _saved(self, done: Done, tags: t.Sequence[str]) -> Saved:
        found = told.summary(done.stdout, done.stderr)
        if done.code not in (0, 3) or not found.snapshot:
            raise told.error(self.location, done.code, done.stderr)
        saved = found.saved(self._whole_id(found.snapshot, tags))
        unread = [item for item in found.unread if os.path.lexists(item)]
        if done.code == 3 and (unread or not found.unread):
            names = ", ".join(unread[:3]) or "restic does not say which"
            many = f"{len(unread)} files" if len(unread) > 1 else "a file"
            raise Incomplete(f"{many} could not be read: {names}", saved, unread)
        return saved

    def _whole_id(self, beginning: str, tags: t.Sequence[str]) -> str:
        """0.14 tells only how the id begins; on this machine the snapshot is a file of that name."""
        if len(beginning) == 64:
            return beginning
        if self.elsewhere:
            names = [each.id for each in self.snapshots(*tags) if each.id.startswith(beginning)]
        else:
            names = [
                each.name for each in (Path(self.location) / "snapshots").glob(f"{beginning}*") if len(each.name) == 64
            ]
        if len(names) != 1:
            raise ResticError(
                f"repository {told.hidden(self.location)}: snapshot {beginning} cannot be told from others"
            )
        return names[0]

    def _clear_half_made(self) -> None:
        """An attempt that was cut off leaves a key without a configuration: a second key beside it would fit nothing."""
        place = Path(self.location)
        if (place / "config").exists() or any(place.glob("snapshots/*")) or any(place.glob("data/*/*")):
            return
        for key in place.glob("keys/*"):
            key.unlink()

    def _missing(self, exc: Exception) -> ResticError:
        return ResticError(str(exc), 127)

    def _expired(self, exc: Exception) -> ResticError:
        return ResticError(f"repository {told.hidden(self.location)}: {told.hidden(str(exc))}", 0, told.UNREACHABLE)


def local(config: Config) -> Repository:
    """The repository on this machine."""
    return Repository(config.path, config.password_file)


def remote(config: Config, wanted: Remote) -> Repository:
    """A second place. Its password is the local one's."""
    return Repository(
        wanted.repository,
        config.password_file,
        upload_kib_s=config.upload_kib_s,
        environment_file=wanted.environment,
    )


def remotes(config: Config) -> dict[str, Repository]:
    """The other places, by name."""
    return {each.name: remote(config, each) for each in config.remotes}


def _anchored(root: str, pattern: str) -> str:
    """restic holds a pattern against the whole path: without its root one like ``tmp`` or ``lib`` could fit all there is."""
    return _LETTERS.sub(r"\\\1", root.rstrip("/")) + ("" if pattern.startswith("/") else "/**/") + pattern


def _gone(lock: told.Json) -> bool:
    """Whether the process that holds it was one of this machine, and is none of restic's any more. restic itself takes a
    dead process that nobody has waited for, and whatever got its number after a reboot, for a living one.
    """
    if lock.get("hostname") != os.uname().nodename:
        return False
    try:
        found = Path(f"/proc/{int(lock['pid'])}/stat").read_text(encoding="utf-8", errors="replace")
    except (OSError, KeyError, ValueError):
        return "pid" in lock
    name, _bracket, rest = found.partition("(")[2].rpartition(")")
    return name != "restic" or rest.split()[0] == "Z"


def _rooted(filename: str) -> str:
    return filename if filename.startswith("/") else f"/{filename}"
