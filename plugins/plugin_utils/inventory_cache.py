# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The registry as the inventory, the playbooks and the command line see it: read, judged and merged, and remembered.

Reading, judging and merging a tenant file takes some 0.25 ms. What came of it is kept by what it depends on: the file
(name, times in nanoseconds, size, inode) and the fingerprint of everything else (the other spec files, this code, the
environment). A file that is unchanged is not opened; with 10,000 tenants and nothing new, a load is a look at the folder.
Without a place for the cache everything works the same, only slower.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from ansible_collections.smartercl.smarteros.plugins.module_utils.registry import disk
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import in_parallel
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.cache_file import CacheFile, Item
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import Mistake

Data = dict[str, Any]

ALL_ENVIRONMENTS = "sandbox"
"""The environment that shows every tenant, wherever it lives."""
_CODE = Path(__file__).resolve().parents[1]
_REGISTRY = Path("tenants", "registry")
_SUFFIX = ".yml"
_ODD = "!"
"""Marks the state of what is no regular file; alone, of what cannot even be looked at."""
_JUST_NOW_NS = 20_000_000
"""A file changed less than this before it was read may change again without its times showing it: they tick in steps."""


class Row(NamedTuple):
    """A tenant in a list. ``phase`` is that of the environment; ``valid`` is False for one that no run would touch."""

    id: str
    name: str
    slug: str
    domain: str
    custom_domain: str
    plan: str
    phase: str
    created_at: str
    lives_here: bool
    valid: bool


@dataclass
class Entry:
    """One tenant file: what it says, what is wrong with it, and what comes of it in an environment.

    ``broken`` says why a file cannot be read. ``lives_here`` is False for a tenant of other environments only.
    """

    rut: str
    path: Path
    row: Row
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)
    broken: str = ""
    body: str = field(default="\n", repr=False)

    @property
    def slug(self) -> str:
        """The inventory host name; empty where the file does not say it."""
        return self.row.slug

    @property
    def lives_here(self) -> bool:
        """Whether the tenant is one of this environment's."""
        return self.row.lives_here

    @cached_property
    def merged(self) -> Data:
        """The tenant as runs see it: template, plan and spec in one. Empty where there are mistakes in the file."""
        found: Data = json.loads(self.body.partition("\n")[0] or "{}")
        return found

    @cached_property
    def document(self) -> Any:
        """The file's content; None where it cannot be read. With ``mistakes``, it may be anything that YAML can say."""
        return json.loads(self.body.partition("\n")[2] or "null")


def load_all(root: Path, env: str | None = None, cache: Path | None = None, keep: bool = False) -> list[Entry]:
    """Every tenant file in the order of names, the broken and the invalid ones too.

    ``root`` is the folder ``specs``; ``env`` None means the sandbox; ``cache`` None means :func:`default_cache`. With ``keep``
    this process, and its forks, take later what is unchanged from memory: Ansible starts a fork for every task.
    Raises SpecError where the specs themselves are broken.
    """
    with _View(root, env, cache) as view:
        heads = view.heads()
        entries = view.entries(heads)
        if keep:
            view.keep(heads, entries)
        return entries


def load_some(root: Path, env: str | None, names: Iterable[str], cache: Path | None = None) -> dict[str, Entry]:
    """The entries of these inventory host names (slugs), in their order. Unknown, broken and invalid ones are left out."""
    return _chosen(root, env, names, "slug", cache)


def load_ruts(root: Path, env: str | None, ruts: Iterable[str], cache: Path | None = None) -> dict[str, Entry]:
    """The entries of these RUTs, in their order. Unknown, broken and invalid ones are left out."""
    return _chosen(root, env, ruts, "id", cache)


def list_rows(root: Path, env: str | None = None, cache: Path | None = None) -> list[Row]:
    """What a list of the environment's tenants shows, in the order of RUTs. Takes no long text from the cache."""
    with _View(root, env, cache) as view:
        rows = (head.row for head in view.heads().values())
        return [row for row in rows if row.lives_here]


def default_cache() -> Path:
    """Where the cache lies: in the state folder, that is SMOS_STATE_DIR or ``.smos`` of the project."""
    state = os.environ.get("SMOS_STATE_DIR")
    return (Path(state) if state else _CODE.parent / ".smos") / "cache" / "registry.sqlite"


def _chosen(root: Path, env: str | None, keys: Iterable[str], by: str, cache: Path | None) -> dict[str, Entry]:
    with _View(root, env, cache) as view:
        heads = {getattr(head.row, by): head for head in view.heads().values() if head.row.valid}
        wanted = {key: heads[key] for key in keys if key in heads}
        entries = {entry.rut: entry for entry in view.entries({head.name: head for head in wanted.values()})}
        return {key: entries[head.row.id] for key, head in wanted.items()}


@dataclass
class _Head:
    """What is known of one file besides its long text, and the stamp that it is valid for."""

    name: str
    stamp: str
    row: Row
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)
    broken: str = ""

    def text(self) -> str:
        told = [[astuple(mistake) for mistake in some] for some in (self.mistakes, self.warnings)]
        return json.dumps([self.row, *told, self.broken])

    @classmethod
    def from_text(cls, name: str, stamp: str, text: str) -> _Head:
        row, mistakes, warnings, broken = json.loads(text)
        if not (mistakes or warnings or broken):
            return cls(name, stamp, Row._make(row))
        told, noted = ([Mistake(*one) for one in some] for some in (mistakes, warnings))
        return cls(name, stamp, Row._make(row), told, noted, broken)


class _Kept(NamedTuple):
    """What this process remembers of one file; nobody changes either."""

    head: _Head
    entry: Entry


_KEPT: dict[str, dict[str, _Kept]] = {}
"""By scope and file name. It is asked for the stamps that the folder shows now, as the cache file is."""


class _View:
    """The registry of one spec folder in one environment, at the moment that it is looked at."""

    def __init__(self, root: Path, env: str | None, cache: Path | None) -> None:
        self._root = Path(root).resolve()
        self._env = env or ALL_ENVIRONMENTS
        self._folder = self._root / _REGISTRY
        self._scope = _digest(f"{self._root}\n{self._env}")
        self._cache = CacheFile(cache or default_cache())
        self._kept = _KEPT.get(self._scope, {})
        self._fresh: dict[str, str] = {}
        self._count = 0

    def __enter__(self) -> _View:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._cache.close()

    @cached_property
    def _judge(self) -> _Judge:
        return _Judge(self._root, self._env)

    def heads(self) -> dict[str, _Head]:
        """What is known of every file, by name and in the order of names."""
        stamps = _stamps(self._folder, _fingerprint(self._root, self._env))
        self._count = len(stamps)
        if not stamps:
            self._judge  # noqa: B018  # an empty registry must not hide that the specs are broken, or not there
        heads = {name: kept.head for name, kept in self._kept.items() if kept.head.stamp == stamps.get(name)}
        if len(heads) < len(stamps):
            heads.update(self._looked_up({name: stamp for name, stamp in stamps.items() if name not in heads}, stamps))
        heads = {name: heads[name] for name in stamps}
        self._compare(heads)
        return heads

    def _looked_up(self, wanted: dict[str, str], stamps: dict[str, str]) -> Iterator[tuple[str, _Head]]:
        """The heads of the wanted files from the cache, and of those that it does not know from the files themselves."""
        known = self._cache.heads(self._scope)
        missing = [name for name, stamp in wanted.items() if name not in known or known[name][0] != stamp]
        items = self._examined(missing, stamps)
        gone = [name for name in known if name not in stamps]
        if items or gone:
            self._cache.store(self._scope, [item for item in items if item.stamp], gone)
        for name in wanted.keys() - set(missing):
            yield name, _Head.from_text(name, wanted[name], known[name][1])
        for item in items:
            yield item.name, _Head.from_text(item.name, item.stamp, item.head)

    def keep(self, heads: dict[str, _Head], entries: list[Entry]) -> None:
        """Remember these in this process, except what other files or the moment have a say in."""
        _KEPT[self._scope] = {
            head.name: _Kept(head, entry)
            for head, entry in zip(heads.values(), entries, strict=True)
            if head.stamp and head.row.valid
        }

    def entries(self, heads: dict[str, _Head]) -> list[Entry]:
        """The entries of these files, in their order."""
        found = {name: kept.entry for name, kept in self._kept.items() if kept.head is heads.get(name)}
        if len(found) < len(heads):
            left = {name: head for name, head in heads.items() if name not in found}
            found.update((entry.path.name, entry) for entry in self._filled(left))
        return [found[name] for name in heads]

    def _filled(self, heads: dict[str, _Head]) -> list[Entry]:
        missing = [name for name in heads if name not in self._fresh]
        kept = self._cache.bodies(self._scope, missing if len(missing) * 4 < self._count else None) if missing else {}
        lost = [name for name in missing if name not in kept or kept[name][0] != heads[name].stamp]
        if lost:  # changed or damaged since we looked
            self._examined(lost, dict.fromkeys(lost, ""))
        return [
            Entry(
                name[: -len(_SUFFIX)],
                self._folder / name,
                head.row,
                head.mistakes,
                head.warnings,
                head.broken,
                self._fresh[name] if name in self._fresh else kept[name][1],
            )
            for name, head in heads.items()
        ]

    def _examined(self, names: list[str], stamps: dict[str, str]) -> list[Item]:
        if not names:
            return []
        judge = self._judge
        items = in_parallel.mapped(lambda name: judge.item(self._folder / name, stamps[name]), names)
        self._fresh.update((item.name, item.body) for item in items)
        return items

    def _compare(self, heads: dict[str, _Head]) -> None:
        """Add to the heads what is wrong between files. Only files that share something are judged together."""
        suspects = _suspects(heads)
        if not suspects:
            return
        entries = self.entries({name: heads[name] for name in suspects})
        for name, mistakes in self._judge.together(entries).items():
            head = heads[Path(name).name]
            heads[head.name] = replace(head, mistakes=mistakes, row=head.row._replace(valid=False))


class _Judge:
    """Reads, judges and merges tenant files by the specs. Loads what it needs when it is first needed."""

    def __init__(self, root: Path, env: str) -> None:
        # not at the top: none of it is needed, and half of the time of a short command, while nothing has changed
        from ansible_collections.smartercl.smarteros.plugins.plugin_utils import documents, rules, specs, tenant

        self._documents, self._rules, self._tenant = documents, rules, tenant
        self._specs = specs.load(root)
        self._shown = specs.shown_path(root / _REGISTRY, root)
        self._env = env

    def item(self, path: Path, stamp: str) -> Item:
        """What the cache keeps of a file; its stamp is empty where the file cannot be trusted to stay as it was read."""
        document: Any = None
        broken, merged = "", {}
        warnings: list[Mistake] = []
        try:
            document = self._read(path, stamp)
            mistakes = self._rules.judge_tenant(document, self._specs, self._env, path)
        except self._documents.DocumentError as error:
            broken, mistakes = error.mistake.message, [error.mistake]
        if not mistakes:
            merged = self._tenant.merged(document, self._specs, self._env)
            warnings = self._rules.warn_tenant(document, self._specs, self._env, path)
        row = self._row(path, document, merged, not mistakes)
        head = _Head(path.name, stamp, row, mistakes, warnings, broken)
        body = f"{json.dumps(merged) if merged else ''}\n{json.dumps(document)}"
        return Item(path.name, stamp if _stays(path, stamp) else "", head.text(), body)

    def together(self, entries: list[Entry]) -> dict[str, list[Mistake]]:
        """What is wrong with these files when they are judged as one registry, by path."""
        tenants = [(entry.path, entry.document) for entry in entries if not entry.broken]
        return dict(self._rules.judge_registry(tenants, self._specs, self._env))

    def _read(self, path: Path, stamp: str) -> Any:
        shown = f"{self._shown}/{path.name}"
        problem = "" if stamp and _ODD not in stamp else _problem(path)
        if problem:
            rule = "A tenant file is a regular file of the registry."
            raise self._documents.DocumentError(Mistake(shown, 0, "", rule, problem, "Put the file itself there."))
        try:
            text = disk.read(path)[0].decode("utf-8-sig")
        except (OSError, UnicodeDecodeError):
            text = self._documents.read(path, shown)  # slower, and tells what is wrong
        return self._documents.parse(text, shown)

    def _row(self, path: Path, document: Any, merged: Data, valid: bool) -> Row:
        spec = document.get("spec") if isinstance(document, dict) else None
        said = spec if isinstance(spec, dict) else {}
        words = [said.get(key) for key in ("name", "slug", "domain", "custom_domain", "plan")]
        name, slug, domain, custom, plan = (word if isinstance(word, str) else "" for word in words)
        lives_here = self._tenant.lives_in(document, self._env) if valid else True
        rut = said.get("rut")
        return Row(
            rut if isinstance(rut, str) else path.stem,
            name,
            slug,
            domain,
            custom,
            plan,
            merged.get("phase") or "",
            merged.get("created_at") or "",
            lives_here,
            valid,
        )


def _suspects(heads: dict[str, _Head]) -> list[str]:
    """The files that have a RUT, slug or domain in common with another, or are not named by their RUT."""
    suspects: dict[str, None] = {}
    for position in (Row._fields.index(key) for key in ("id", "slug", "domain", "custom_domain")):
        owners: dict[str, str] = {}
        for name, head in heads.items():
            value = str(head.row[position])
            if value and owners.setdefault(value, name) is not name:
                suspects[owners[value]] = suspects[name] = None
    misnamed = [name for name, head in heads.items() if f"{head.row.id}{_SUFFIX}" != name]
    return sorted({*suspects, *misnamed})


def _stamps(folder: Path, fingerprint: str) -> dict[str, str]:
    """The tenant files of a folder in the order of names, each with what its content and its meaning depend on."""
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if entry.name.endswith(_SUFFIX) and not entry.name.startswith(".")]
    except FileNotFoundError:
        return {}
    return {entry.name: f"{fingerprint}:{_state_of(entry)}" for entry in sorted(entries, key=lambda entry: entry.name)}


def _state_of(file: os.DirEntry[str] | Path) -> str:
    """The state of a file, different after every change: times in nanoseconds, size, inode; of a link, its target's too."""
    try:
        about = file.stat(follow_symlinks=False)
        states = [about] if stat.S_ISREG(about.st_mode) else [about, file.stat()]
    except OSError:
        return _ODD
    told = [f"{one.st_mtime_ns}-{one.st_ctime_ns}-{one.st_size}-{one.st_ino}" for one in states]
    return told[0] if len(told) == 1 else _ODD + "/".join(told)


def _stays(path: Path, stamp: str) -> bool:
    """Whether the file was not touched since its stamp was taken, nor so shortly before that it would not show."""
    state = stamp.rpartition(":")[2]
    if not state or state == _ODD or state != _state_of(path):
        return False
    times = [int(time_ns) for one in state.lstrip(_ODD).split("/") for time_ns in one.split("-")[:2]]
    return time.time_ns() - max(times) > _JUST_NOW_NS


def _problem(path: Path) -> str:
    """Why a file is not to be opened: a link that leads out of the registry, a folder, a pipe. Empty: it is fine."""
    try:
        about = path.lstat()
        if stat.S_ISLNK(about.st_mode):
            if path.resolve().parent != path.parent.resolve():
                return "The file is a symbolic link that leads out of the registry."
            about = path.stat()
    except OSError as error:
        return f"The file cannot be read: {error.strerror}."
    return "" if stat.S_ISREG(about.st_mode) else "This is not a regular file."


def _fingerprint(root: Path, env: str) -> str:
    """Changes with everything that judging and merging depend on besides the tenant's own file."""
    parts = [env, sys.version, str(root)]
    for place in (root, _CODE / "plugin_utils", _CODE / "module_utils", _CODE.parent / "specs" / "schemas"):
        parts.extend(_states_below(place, skipped=root / _REGISTRY))
    return _digest("\n".join(parts))


def _states_below(place: Path, skipped: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(place):
        folders[:] = sorted(name for name in folders if name[0] not in "._" and Path(folder, name) != skipped)
        for name in sorted(files):
            if not name.startswith("."):
                path = Path(folder, name)
                yield f"{path}={_state_of(path)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:20]
