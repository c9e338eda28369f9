"""Copies: the manifest last, each place by itself, and nothing is removed where something is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import catalogue, copies, manifest
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import restic_told as told
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, Remote, Retention
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import Manifest, Part, ServicePart
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository, ResticError, Snapshot
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.retention import moment

NOW = moment("20250630-020000")
HOST = "smos-sandbox"


class Fake:
    """A repository in memory that keeps a record of what is done to it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.cache = folder / "restic"
        self.made = True
        self.there: list[Snapshot] = []
        self.files: dict[str, bytes] = {}
        self.done: list[str] = []
        self.wrong: dict[str, ResticError] = {}  # by what is asked
        self.lost: set[str] = set()  # originals that never arrive

    def _ask(self, what: str) -> None:
        self.done.append(what)
        if what in self.wrong:
            raise self.wrong[what]

    def exists(self) -> bool:
        self._ask("exists")
        return self.made

    def init(self, like: Fake) -> None:
        self._ask(f"init like {like.name}")
        self.made = True

    def unlock(self) -> None:
        self._ask("unlock")

    def check(self, subset: str = "") -> None:
        self._ask("check")

    def prune(self) -> None:
        self._ask("prune")

    def snapshots(self, *tags: str) -> list[Snapshot]:
        return [each for each in self.there if all(self._has(each, tag) for tag in tags)]

    @staticmethod
    def _has(each: Snapshot, tag: str) -> bool:
        name, _, value = tag.partition("=")
        return each.tags.get(name) == value

    def read(self, snapshot: str, filename: str) -> bytes:
        return self.files[snapshot]

    def forget(self, ids: list[str]) -> None:
        self._ask("forget")
        self.there = [each for each in self.there if each.id not in set(ids)]

    def copy_to(self, other: Fake, ids: list[str]) -> None:
        for each in list(self.there):
            if each.id in set(ids) and each.original not in other.lost | {one.original for one in other.there}:
                other._ask(f"copy {each.tags['part']}")
                copied = Snapshot(f"{other.name}-{each.id}", each.original, each.time, each.tags, (), each.host)
                other.there.append(copied)
                other.files[copied.id] = self.files.get(each.id, b"")

    def put(self, one: Manifest, host: str = HOST, *, whole: bool = True) -> None:
        rows = [(name, part.key, part.snapshot) for name, service in one.services.items() for part in service.parts]
        for service, part, snapshot in [*rows, *([("smos", "manifest", f"m{one.id}")] if whole else [])]:
            tags = dict(tag.partition("=")[::2] for tag in manifest.tags(one.id, service, part))
            self.there.append(Snapshot(snapshot, snapshot, f"{len(self.there):09}", tags, (), host))
            self.files[snapshot] = one.to_json()

    @property
    def whole(self) -> list[str]:
        return catalogue.listing(self).whole  # type: ignore[arg-type] # stands for a Repository


def backup(day: int, *services: str, broken: str = "", month: int = 6) -> Manifest:
    made = f"2025{month:02}{day:02}-020000"
    parts = {name: ServicePart((Part("database", name, f"{made}-{name}"),)) for name in services}
    parts.update({broken: ServicePart(error="it failed")} if broken else {})
    return Manifest(made, "sandbox", "v1.0.0", "machine", parts)


class Bed:
    """One machine and two remotes."""

    def __init__(self, folder: Path, *remotes: Remote) -> None:
        self.folder = folder
        self.config = Config(
            "sandbox",
            "/backups",
            "/password",
            {},
            retention=Retention(daily=3),
            remotes=remotes or (Remote("a", "s3:a"),),
        )
        self.local = Fake(folder, "local")
        self.places = {each.name: Fake(folder, each.name) for each in self.config.remotes}

    @property
    def a(self) -> Fake:
        return self.places["a"]

    def copy(self, **more: Any) -> list[copies.CopyOutcome]:
        places: dict[str, Repository] = dict(self.places)  # type: ignore[arg-type] # stands for a Repository
        more = {"remotes": places, "now": NOW, "verified": self.folder / "verified.json", **more}
        return copies.copy_all(self.config, self.local, **more)  # type: ignore[arg-type] # stands for a Repository


def test_a_new_place_is_made_like_the_local_one(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    bed.a.made = False
    bed.local.put(backup(1, "odoo"))
    assert bed.copy() == [copies.CopyOutcome("a", ("20250601-020000",))]
    assert bed.a.done == ["exists", "init like local", "unlock", "copy database:odoo", "copy manifest", "check"]


def test_without_remotes_nothing_is_asked(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    assert copies.copy_all(Config("sandbox", "/backups", "/password", {}), bed.local) == []  # type: ignore[arg-type] # stands for a Repository


def test_the_manifest_follows_only_what_arrived(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    bed.local.put(backup(1, "n8n", "odoo"))
    bed.a.lost = {"20250601-020000-odoo"}
    (outcome,) = bed.copy()
    assert outcome.error == "database:odoo of backup 20250601-020000 did not arrive"
    assert outcome.ids == ()
    assert "copy manifest" not in bed.a.done
    bed.a.lost = set()
    assert bed.copy()[0] == copies.CopyOutcome("a", ("20250601-020000",))


def test_only_what_is_whole_here_is_copied(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    bed.local.put(backup(1, "odoo"), whole=False)
    bed.local.put(backup(2, "odoo"))
    bed.local.there = [each for each in bed.local.there if each.id != "20250602-020000-odoo"]
    bed.local.put(backup(3, "odoo"))
    assert bed.copy()[0].ids == ("20250603-020000",)


def test_a_place_that_fails_spares_the_others(tmp_path: Path) -> None:
    bed = Bed(tmp_path, Remote("a", "s3:a"), Remote("b", "sftp:b"))
    bed.local.put(backup(1, "odoo"))
    bed.a.wrong["exists"] = ResticError("it is away", 0, told.UNREACHABLE)
    first, second = bed.copy()
    assert (first.error, first.following) == ("it is away", told.NEXT[told.UNREACHABLE])
    assert second == copies.CopyOutcome("b", ("20250601-020000",))


def test_a_copy_that_is_not_sound_is_none(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    for day in range(1, 7):
        bed.a.put(backup(day, "odoo"))
    bed.local.put(backup(7, "odoo"))
    bed.a.wrong["check"] = ResticError("it is damaged", 1, told.DAMAGED)
    (outcome,) = bed.copy()
    assert (outcome.ids, outcome.removed, outcome.error) == ((), (), "it is damaged")
    assert "forget" not in bed.a.done
    assert "prune" not in bed.a.done


def test_old_ones_go_and_are_not_sent_again(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    for day in range(1, 6):
        bed.a.put(backup(day, "odoo"))
        bed.local.put(backup(day, "odoo"))
    bed.local.put(backup(6, "odoo"))
    (outcome,) = bed.copy()
    assert outcome.ids == ("20250606-020000",)
    assert outcome.removed == ("20250601-020000", "20250602-020000", "20250603-020000")
    bed.a.done.clear()
    assert bed.copy() == [copies.CopyOutcome("a")]
    assert bed.a.done == ["exists", "unlock", "check"]


def test_what_is_asked_for_by_name_is_sent_and_nothing_else(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    for day in range(1, 4):
        bed.local.put(backup(day, "odoo"))
    assert bed.copy(ids=["20250602-020000"])[0].ids == ("20250602-020000",)
    assert bed.a.whole == ["20250602-020000"]


def test_nothing_goes_after_a_partial_backup_which_is_copied_all_the_same(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    for day in range(1, 6):
        bed.a.put(backup(day, "n8n", "odoo"))
    bed.local.put(backup(6, "odoo", broken="n8n"))
    (outcome,) = bed.copy()
    assert (list(outcome.ids), list(outcome.removed)) == (["20250606-020000"], [])
    assert len(bed.a.whole) == 6


def test_what_something_else_needs_stays_there_too(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    for day in range(1, 6):
        bed.a.put(backup(day, "odoo"))
    bed.local.put(backup(6, "odoo"))
    (outcome,) = bed.copy(keep=["20250601-020000"])
    assert list(outcome.removed) == ["20250602-020000", "20250603-020000"]


def test_leftovers_of_copies_go_when_their_original_is_gone(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    bed.a.put(backup(1, "odoo"), whole=False)
    bed.a.put(backup(2, "odoo"), host="smos-production", whole=False)
    bed.local.put(backup(3, "odoo"))
    bed.copy()
    assert [each.id for each in bed.a.there if each.id.endswith("-odoo")] == [
        "20250602-020000-odoo",
        "a-20250603-020000-odoo",
    ]
    assert "prune" in bed.a.done


def test_an_empty_local_repository_removes_nothing_there(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    bed.a.put(backup(1, "odoo"))
    bed.a.put(backup(2, "odoo"), whole=False)
    assert bed.copy() == [copies.CopyOutcome("a")]
    assert len(bed.a.there) == 3


def test_a_retention_that_fails_leaves_the_copy_good_and_is_told(tmp_path: Path) -> None:
    bed = Bed(tmp_path)
    for day in range(1, 6):
        bed.a.put(backup(day, "odoo"))
    bed.local.put(backup(6, "odoo"))
    bed.a.wrong["prune"] = ResticError("it is read-only", 1, told.REFUSED)
    (outcome,) = bed.copy()
    assert outcome.ids == ("20250606-020000",)
    assert outcome.error == "copied and verified, but old backups could not be removed there: it is read-only"
