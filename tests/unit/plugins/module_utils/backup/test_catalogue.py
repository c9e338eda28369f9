"""Which backups there are: whole only where all of them is listed, verified only where a check saw it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import catalogue, manifest
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import restic_told as told
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.catalogue import UnknownBackup
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import Manifest, Part, ServicePart
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import ResticError, Snapshot

FIRST, SECOND = "20250601-020000", "20250602-020000"
IDS = ("20250601-020000", "20250602-020000", "20250602-143000", "20250715-020000")


class Fake:
    """A repository in memory. ``wrong``: what every question raises."""

    def __init__(self, folder: Path, wrong: ResticError | None = None, copied: str = "") -> None:
        self.cache = folder / "restic"
        self.wrong = wrong
        self.there: list[Snapshot] = []
        self.files: dict[str, bytes] = {}
        self.read_so_far = 0
        self.unsound: ResticError | None = None
        self._copied = copied  # what ids begin with here, as in a copy

    def exists(self) -> bool:
        if self.wrong:
            raise self.wrong
        return True

    def snapshots(self, *tags: str) -> list[Snapshot]:
        if self.wrong:
            raise self.wrong
        return list(self.there)

    def read(self, snapshot: str, filename: str) -> bytes:
        self.read_so_far += 1
        assert filename == "manifest.json"
        return self.files[snapshot]

    def check(self, subset: str = "") -> None:
        if self.unsound:
            raise self.unsound

    def add(self, backup: str, service: str, part: str, original: str, host: str = "smos-sandbox") -> None:
        tags = dict(tag.partition("=")[::2] for tag in manifest.tags(backup, service, part))
        self.there.append(Snapshot(self._copied + original, original, f"{len(self.there):09}", tags, (), host))

    def put(self, one: Manifest, without: str = "", data: bytes = b"", host: str = "smos-sandbox") -> None:
        """A whole backup, or one without the snapshot of a part."""
        for name, service in one.services.items():
            for part in service.parts:
                if part.key != without:
                    self.add(one.id, name, part.key, part.snapshot, host)
        self.add(one.id, "smos", "manifest", f"m{one.id}", host)
        self.files[f"{self._copied}m{one.id}"] = data or one.to_json()


def backup(made: str, *services: str, environment: str = "sandbox") -> Manifest:
    parts = {
        name: ServicePart((Part("database", name, f"{made}-{name}-d"), Part("volume", name, f"{made}-{name}-v")))
        for name in services
    }
    return Manifest(made, environment, "v1.0.0", "machine", parts)


def every(folder: Path, local: Fake, **remotes: Fake) -> tuple[list[catalogue.Found], list[dict[str, Any]]]:
    errors: list[dict[str, Any]] = []
    found = catalogue.every(local, remotes, errors, verified=folder / "verified.json")  # type: ignore[arg-type] # stands for a Repository
    return found, errors


def verify(folder: Path, repository: Fake, location: str = "local") -> catalogue.Listing:
    return catalogue.verify(repository, location, verified=folder / "verified.json", now=0)  # type: ignore[arg-type] # stands for a Repository


def test_backups_are_listed_newest_first_with_where_they_are(tmp_path: Path) -> None:
    local, remote = Fake(tmp_path), Fake(tmp_path, copied="copy-of-")
    for made in (FIRST, SECOND):
        local.put(backup(made, "odoo"))
    remote.put(backup(FIRST, "odoo"))
    found, errors = every(tmp_path, local, offsite=remote)
    assert [(one.id, list(one.locations)) for one in found] == [(SECOND, ["local"]), (FIRST, ["local", "offsite"])]
    assert found[1].snapshots["offsite"][f"{FIRST}-odoo-d"] == f"copy-of-{FIRST}-odoo-d"
    assert errors == []


def test_what_has_no_manifest_is_no_backup(tmp_path: Path) -> None:
    local = Fake(tmp_path)
    local.add(FIRST, "odoo", "database:odoo", "x")
    assert every(tmp_path, local) == ([], [])


def test_one_that_lacks_a_part_is_nowhere_and_is_told(tmp_path: Path) -> None:
    local = Fake(tmp_path)
    local.put(backup(FIRST, "n8n", "odoo"), without="volume:odoo")
    (found,), (error,) = every(tmp_path, local)
    assert (found.locations, found.verified) == ([], False)
    assert error["why"] == "1 of its 4 parts are missing, for example odoo volume:odoo"


def test_a_place_that_does_not_answer_hides_no_other(tmp_path: Path) -> None:
    local, remote = Fake(tmp_path), Fake(tmp_path, ResticError("it is away", 1, told.UNREACHABLE))
    local.put(backup(FIRST, "odoo"))
    found, errors = every(tmp_path, local, offsite=remote)
    assert [one.id for one in found] == [FIRST]
    assert errors == [
        {"what": "backups at offsite", "where": "offsite", "why": "it is away", "next": told.NEXT[told.UNREACHABLE]}
    ]


def test_a_local_repository_that_is_away_hides_no_remote(tmp_path: Path) -> None:
    local, remote = Fake(tmp_path, ResticError("the disk is gone")), Fake(tmp_path)
    remote.put(backup(FIRST, "odoo"))
    found, errors = every(tmp_path, local, offsite=remote)
    assert [list(one.locations) for one in found] == [["offsite"]]
    assert [each["where"] for each in errors] == ["local"]


@pytest.mark.parametrize(
    "data", [b"", b"no JSON", b"[]", b"{}", json.dumps({**json.loads(backup(FIRST).to_json()), "format": 99}).encode()]
)
def test_a_manifest_that_cannot_be_read_is_told_and_hides_no_other(tmp_path: Path, data: bytes) -> None:
    local = Fake(tmp_path)
    local.put(backup(FIRST, "odoo"), data=data or b"\xff")
    local.put(backup(SECOND, "odoo"))
    found, errors = every(tmp_path, local)
    assert [one.id for one in found] == [SECOND]
    assert errors[0]["what"] == f"backup {FIRST} at local"
    assert errors[0]["why"]
    assert list((tmp_path / "manifests").glob(f"*{FIRST}*")) == []


def test_a_manifest_that_is_filed_as_another_is_not_believed(tmp_path: Path) -> None:
    local = Fake(tmp_path)
    local.put(backup(FIRST, "odoo"), data=backup(SECOND, "odoo").to_json())
    found, errors = every(tmp_path, local)
    assert found == []
    assert f"the manifest of {SECOND}, filed as {FIRST}" in errors[0]["why"]


def test_a_manifest_is_asked_for_once_also_of_its_copies(tmp_path: Path) -> None:
    local, remote = Fake(tmp_path), Fake(tmp_path, copied="copy-of-")
    for place in (local, remote):
        place.put(backup(FIRST, "odoo"))
    catalogue.listing(local)  # type: ignore[arg-type] # stands for a Repository
    for _ in range(3):
        every(tmp_path, local, offsite=remote)
    assert (local.read_so_far, remote.read_so_far) == (1, 0)


def test_one_that_was_kept_and_is_spoilt_is_asked_for_again(tmp_path: Path) -> None:
    local = Fake(tmp_path)
    local.put(backup(FIRST, "odoo"))
    every(tmp_path, local)
    (kept,) = (tmp_path / "manifests").iterdir()
    kept.write_text('{"half')
    assert [one.id for one in every(tmp_path, local)[0]] == [FIRST]
    assert local.read_so_far == 2


def test_verified_is_what_the_last_check_saw(tmp_path: Path) -> None:
    local = Fake(tmp_path)
    local.put(backup(FIRST, "odoo"))
    assert not every(tmp_path, local)[0][0].verified
    verify(tmp_path, local)
    local.put(backup(SECOND, "odoo"))
    assert [one.verified for one in every(tmp_path, local)[0]] == [False, True]
    verify(tmp_path, local)
    assert [one.verified for one in every(tmp_path, local)[0]] == [True, True]


def test_damage_takes_the_verification_away_and_silence_does_not(tmp_path: Path) -> None:
    local = Fake(tmp_path)
    local.put(backup(FIRST, "odoo"))
    verify(tmp_path, local)
    for kind, good in ((told.UNREACHABLE, True), (told.DAMAGED, False)):
        local.unsound = ResticError("it failed", 1, kind)
        with pytest.raises(ResticError):
            verify(tmp_path, local)
        assert every(tmp_path, local)[0][0].verified is good


def test_one_that_lost_a_part_since_the_check_is_not_verified(tmp_path: Path) -> None:
    local = Fake(tmp_path)
    local.put(backup(FIRST, "odoo"))
    verify(tmp_path, local)
    local.there.pop(0)
    assert not every(tmp_path, local)[0][0].verified


def test_a_check_of_one_place_says_nothing_of_another(tmp_path: Path) -> None:
    local, remote = Fake(tmp_path), Fake(tmp_path)
    remote.put(backup(FIRST, "odoo"))
    verify(tmp_path, remote, "offsite")
    verify(tmp_path, local)
    assert every(tmp_path, local, offsite=remote)[0][0].verified
    remote.unsound = ResticError("it failed", 1, told.DAMAGED)
    local.put(backup(FIRST, "odoo"))
    verify(tmp_path, local)
    with pytest.raises(ResticError):
        verify(tmp_path, remote, "offsite")
    assert every(tmp_path, local, offsite=remote)[0][0].verified


def test_what_is_written_down_survives_a_spoilt_file(tmp_path: Path) -> None:
    local = Fake(tmp_path)
    local.put(backup(FIRST, "odoo"))
    for text in ("", "[]", '{"local": 3}', '{"half'):
        (tmp_path / "verified.json").write_text(text)
        assert not every(tmp_path, local)[0][0].verified
    verify(tmp_path, local)
    assert every(tmp_path, local)[0][0].verified
    assert (tmp_path / "verified.json").stat().st_mode & 0o777 == 0o600


def test_a_host_sees_its_own(tmp_path: Path) -> None:
    shared = Fake(tmp_path)
    shared.put(backup(FIRST, "odoo"))
    shared.put(replace(backup(SECOND, "odoo"), environment="production"), host="smos-production")
    assert catalogue.listing(shared, "smos-sandbox").whole == [FIRST]  # type: ignore[arg-type] # stands for a Repository
    assert catalogue.listing(shared).whole == [SECOND, FIRST]  # type: ignore[arg-type] # stands for a Repository


def test_latest_is_the_newest() -> None:
    assert catalogue.choose(IDS, "latest") == "20250715-020000"
    assert catalogue.choose(IDS, IDS[0]) == IDS[0]


@pytest.mark.parametrize(
    ("wanted", "near"),
    [
        ("20250602", ["20250602-143000", "20250602-020000"]),
        ("20250602-140000", ["20250602-143000", "20250602-020000", "20250601-020000"]),
        ("20250714-020000", ["20250715-020000", "20250602-143000", "20250602-020000"]),
        ("2025-06-02-143000", ["20250602-143000", "20250602-020000", "20250601-020000"]),
        ("yesterday", ["20250715-020000", "20250602-143000", "20250602-020000"]),
        ("", ["20250715-020000", "20250602-143000", "20250602-020000"]),
    ],
)
def test_one_that_is_not_there_is_refused_with_the_nearest(wanted: str, near: list[str]) -> None:
    with pytest.raises(UnknownBackup) as caught:
        catalogue.choose(IDS, wanted)
    assert caught.value.nearest == near
    assert near[0] in caught.value.message


def test_without_any_backup_that_is_said() -> None:
    with pytest.raises(UnknownBackup, match="there is no backup yet"):
        catalogue.choose([], "latest")


@given(st.text(), st.lists(st.sampled_from(IDS), unique=True))
def test_whatever_is_asked_for_gets_an_answer(wanted: str, ids: list[str]) -> None:
    near = catalogue.nearest(wanted, ids)
    assert set(near) <= set(ids)
    assert bool(near) is bool(ids)
    try:
        assert catalogue.choose(ids, wanted) in ids
    except UnknownBackup:
        assert wanted not in ids
