"""Copies in an S3 storage: they count only where they arrived whole, catch up by themselves, and hurt nobody when away."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import catalogue, copies, manifest
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import restic as engine
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import restic_told as told
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, Remote, Retention
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.manifest import Manifest, Part, ServicePart
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository, ResticError
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.retention import moment
from real import restic
from real.processes import free_port
from real.tools import needing_tools
from support import stack_files


@dataclass
class Bed:
    """A machine with its repository, and one remote."""

    folder: Path
    config: Config
    local: Repository
    remote: Repository
    verified: Path
    bucket: str

    def back_up(self, backup: str, *services: str, size: int = 300_000) -> Manifest:
        """A backup as the engine takes it: a stream and a folder per service, then the manifest."""
        parts = {}
        for service in services:
            stream = self.local.backup_stream(
                ["head", "-c", str(size), "/dev/urandom"],
                f"{service}.dump",
                self.config.host,
                manifest.tags(backup, service, f"database:{service}"),
            )
            source = restic.fill(self.folder / service, count=2, size=size // 4, seed=f"{backup}-")
            files = self.local.backup_folder(
                source, self.config.host, manifest.tags(backup, service, f"volume:{service}")
            )
            parts[service] = ServicePart(
                (
                    Part("database", service, stream.snapshot, stream.bytes, stream.files),
                    Part("volume", service, files.snapshot, files.bytes, files.files),
                )
            )
        made = Manifest(backup, self.config.environment, "v1.0.0", "machine", parts)
        self.local.backup_bytes(
            made.to_json(), catalogue.FILE, self.config.host, manifest.tags(backup, "smos", "manifest")
        )
        return made

    def copy(self, **more: object) -> copies.CopyOutcome:
        """What the one remote came to."""
        places = {"offsite": self.remote}
        now = moment("20250620-030000")
        (outcome,) = copies.copy_all(
            self.config,
            self.local,
            remotes=places,
            now=now,
            verified=self.verified,
            **more,  # type: ignore[arg-type] # keywords of several types
        )
        return outcome

    def every(self, errors: list[dict[str, object]] | None = None) -> list[catalogue.Found]:
        """All backups as they are listed."""
        return catalogue.every(self.local, {"offsite": self.remote}, errors, verified=self.verified)


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[restic.Storage]:
    with needing_tools(), restic.storage(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def bed(absent: Bed, s3: restic.Storage, templates: restic.Templates) -> Bed:
    """One whose remote has an empty repository already."""
    templates.plant_there(s3.on_disk(absent.bucket))
    return absent


@pytest.fixture
def absent(tmp_path: Path, s3: restic.Storage, templates: restic.Templates, request: pytest.FixtureRequest) -> Bed:
    """One that has never been copied from."""
    bucket = f"b{abs(hash(request.node.name)) % 10**9}"
    local = templates.plant(tmp_path)
    credentials = tmp_path / "offsite.env"
    credentials.write_text("# of the tests\n" + "".join(f"{name}={value}\n" for name, value in restic.keys().items()))
    place = Remote("offsite", s3.at(bucket), str(credentials))
    config = Config("sandbox", local.location, local.password_file, {}, remotes=(place,))
    remote = replace(engine.remote(config, place), cache=local.cache)
    return Bed(tmp_path, config, local, remote, tmp_path / "state" / "verified.json", bucket)


def test_a_copy_arrives_whole_and_is_verified(absent: Bed, tmp_path: Path) -> None:
    bed = absent
    made = bed.back_up("20250601-020000", "n8n", "odoo")
    assert not bed.every()[0].verified
    assert bed.copy() == copies.CopyOutcome("offsite", ("20250601-020000",))
    (found,) = bed.every()
    assert (found.id, found.locations, found.verified) == ("20250601-020000", ["local", "offsite"], True)
    assert found.manifest == made
    assert restic.sound(replace(bed.remote, environment=restic.keys()))
    # ids differ there: the manifest's are translated
    part = made.services["odoo"].parts[1]
    there = found.snapshots["offsite"][part.snapshot]
    assert there != part.snapshot
    assert found.snapshots["local"][part.snapshot] == part.snapshot
    bed.remote.restore(there, tmp_path / "target")
    assert subprocess.run(["diff", "-r", tmp_path / "odoo", tmp_path / "target"]).returncode == 0
    dump = made.services["odoo"].parts[0].snapshot
    assert bed.remote.read(found.snapshots["offsite"][dump], "odoo.dump") == bed.local.read(dump, "odoo.dump")


def test_it_stores_nothing_twice(bed: Bed) -> None:
    bed.back_up("20250601-020000", "odoo", size=4_000_000)
    bed.copy()
    first = bed.remote.size()
    assert first < 1.1 * bed.local.size()
    assert list(bed.copy().ids) == []
    assert bed.remote.size() == first


def test_a_remote_that_was_away_catches_up_with_all_it_lacks(bed: Bed) -> None:
    for day in (1, 2, 3):
        bed.back_up(f"2025060{day}-020000", "odoo", size=50_000)
    bed.back_up("20250604-020000", "n8n", size=50_000)
    outcome = bed.copy()
    assert list(outcome.ids) == ["20250604-020000", "20250603-020000", "20250602-020000", "20250601-020000"]
    assert not outcome.error
    assert all(found.locations == ["local", "offsite"] for found in bed.every())


def test_a_remote_that_cannot_be_reached_is_told_soon_and_hurts_nobody(bed: Bed) -> None:
    bed.back_up("20250601-020000", "odoo", size=50_000)
    away = replace(bed.remote, location=f"s3:http://127.0.0.1:{free_port()}/bucket/backups")
    errors: list[dict[str, object]] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine, "PROBE", engine.Limits(total_s=2))
        patched.setattr(engine, "LISTING", engine.Limits(total_s=2))
        outcome = replace(bed, remote=away).copy()
        (found,) = replace(bed, remote=away).every(errors)
    assert "s3:http://127.0.0.1" in outcome.error
    assert "did not end within 2 s" in outcome.error
    assert "next run catches up" in outcome.following
    assert (found.locations, [each["where"] for each in errors]) == (["local"], ["offsite"])
    assert list(bed.copy().ids) == ["20250601-020000"]


def test_a_remote_that_accepts_and_never_answers_is_given_up(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PROBE", engine.Limits(total_s=2))
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        location = f"s3:http://127.0.0.1:{deaf.getsockname()[1]}/bucket/backups"
        with pytest.raises(ResticError, match="did not end within 2 s") as caught:
            replace(bed.remote, location=location).exists()
    assert caught.value.kind == told.UNREACHABLE


def test_a_remote_that_stops_moving_in_the_middle_is_given_up(
    bed: Bed, s3: restic.Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storage is stopped, not ended: connections stay, and nothing comes any more."""
    monkeypatch.setattr(engine, "LONG", engine.Limits(still_s=4))
    bed.back_up("20250601-020000", "odoo", size=10_000_000)
    slow = replace(bed.remote, upload_kib_s=1000)
    stopped = threading.Timer(6, os.kill, (s3.pid, signal.SIGSTOP))
    stopped.start()
    began = time.monotonic()
    try:
        with pytest.raises(ResticError, match="moved no data for 4 s"):
            bed.local.copy_to(slow, [each.id for each in bed.local.snapshots()])
        assert time.monotonic() - began > 6  # a slow one that moves is not given up
    finally:
        stopped.join()
        os.kill(s3.pid, signal.SIGCONT)
    assert bed.copy().ids == ("20250601-020000",)


def test_a_wrong_secret_is_refused_and_said(bed: Bed) -> None:
    bed.back_up("20250601-020000", "odoo", size=50_000)
    wrong = replace(bed.remote, environment_file="", environment=restic.keys("another secret"))
    outcome = replace(bed, remote=wrong).copy()
    assert "credentials" in outcome.following
    assert outcome.error.endswith("unable to open config file: Stat: Access Denied.")
    assert "another secret" not in outcome.error
    with pytest.raises(ResticError) as caught:
        wrong.exists()
    assert caught.value.kind == told.REFUSED


def test_credentials_that_are_not_there_are_said(bed: Bed) -> None:
    outcome = replace(bed, remote=replace(bed.remote, environment_file="/nowhere/offsite.env")).copy()
    assert "its credentials cannot be read" in outcome.error


def test_a_repository_of_another_password_is_not_made_anew(bed: Bed, tmp_path: Path) -> None:
    bed.back_up("20250601-020000", "odoo", size=50_000)
    bed.copy()
    other = tmp_path / "other"
    other.write_text("another password")
    outcome = replace(bed, remote=replace(bed.remote, password_file=str(other))).copy()
    assert "the password does not open it" in outcome.error


def test_what_is_half_uploaded_is_not_there_and_is_completed_later(bed: Bed) -> None:
    made = bed.back_up("20250601-020000", "n8n", "odoo", size=50_000)
    bed.local.copy_to(bed.remote, [part.snapshot for part in made.parts[:3]])
    (found,) = bed.every()
    assert found.locations == ["local"]
    # also not where the manifest arrived, whatever brought it
    bed.local.copy_to(bed.remote, [each.id for each in bed.local.snapshots("part=manifest")])
    errors: list[dict[str, object]] = []
    (found,) = bed.every(errors)
    assert found.locations == ["local"]
    assert errors[0]["why"] == "1 of its 4 parts are missing, for example odoo volume:odoo"
    assert bed.copy().ids == ("20250601-020000",)
    assert bed.every()[0].locations == ["local", "offsite"]


def test_a_copy_that_is_killed_is_completed_by_the_next(bed: Bed, s3: restic.Storage) -> None:
    there = s3.on_disk(bed.bucket)
    bed.back_up("20250601-020000", "n8n", "odoo", size=2_000_000)
    script = (
        "from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository;"
        f"a = Repository({bed.local.location!r}, {bed.local.password_file!r}, {{}}, {str(bed.local.cache)!r});"
        f"b = Repository({bed.remote.location!r}, {bed.local.password_file!r}, {{}}, {str(bed.local.cache)!r},"
        f" 300, {bed.remote.environment_file!r});"
        "a.copy_to(b, [each.id for each in a.snapshots()])"
    )
    env = {**os.environ, "PYTHONPATH": str(stack_files.ROOT / "collections")}
    for files in ("locks/*", "data/*/*"):  # its first word there, and the first of the data
        before = set(there.glob(files))
        process = subprocess.Popen([sys.executable, "-c", script], env=env, stderr=subprocess.DEVNULL)
        restic.until(lambda: set(there.glob(files)) - before or process.poll() is not None, files)  # noqa: B023 # called now
        assert process.poll() is None
        process.kill()
        process.wait()
        restic.until_nobody_uses(bed.remote)
        assert bed.every()[0].locations == ["local"]
    assert bed.copy().ids == ("20250601-020000",)
    assert restic.sound(replace(bed.remote, environment=restic.keys()))


def test_each_place_has_its_own_retention(bed: Bed) -> None:
    place = replace(bed.config.remotes[0], keep_daily=2)
    bed.config = replace(bed.config, remotes=(place,), retention=Retention(daily=7))
    bed.back_up("20250501-020000", "n8n", size=50_000)
    for day in (1, 2, 3, 4):
        bed.back_up(f"2025060{day}-020000", "odoo", size=50_000)
    # what it would not keep is not even sent, and the only one of another service is
    assert list(bed.copy().ids) == ["20250604-020000", "20250603-020000", "20250501-020000"]
    bed.back_up("20250605-020000", "odoo", size=50_000)
    outcome = bed.copy()
    assert (list(outcome.ids), list(outcome.removed)) == (["20250605-020000"], ["20250603-020000"])
    there = [found.id for found in bed.every() if "offsite" in found.locations]
    assert there == ["20250605-020000", "20250604-020000", "20250501-020000"]
    assert len(bed.local.snapshots("part=manifest")) == 6
    assert restic.sound(replace(bed.remote, environment=restic.keys()))


def test_a_new_machine_finds_everything_in_the_remote_and_removes_nothing(
    bed: Bed, tmp_path: Path, templates: restic.Templates
) -> None:
    bed.back_up("20250601-020000", "odoo", size=50_000)
    bed.back_up("20250602-020000", "n8n", size=50_000)
    bed.copy()
    (tmp_path / "new").mkdir()
    new = replace(bed, local=restic.repository(tmp_path / "new"), verified=tmp_path / "new" / "verified.json")
    assert [(found.id, found.locations, found.verified) for found in new.every()] == [
        ("20250602-020000", ["offsite"], False),
        ("20250601-020000", ["offsite"], False),
    ]
    templates.plant(tmp_path / "new")
    assert new.copy() == copies.CopyOutcome("offsite")
    assert all(found.verified for found in new.every())


def test_damage_in_the_remote_is_told_and_nothing_is_removed_there(bed: Bed, s3: restic.Storage) -> None:
    for day in (1, 2):
        bed.back_up(f"2025060{day}-020000", "odoo", size=50_000)
    assert len(bed.copy().ids) == 2
    assert bed.every()[0].verified
    bed.config = replace(bed.config, retention=Retention(daily=1))
    bed.back_up("20250603-020000", "odoo", size=50_000)
    max(s3.on_disk(bed.bucket).rglob("data/*/*"), key=lambda one: one.stat().st_size).unlink()
    outcome = bed.copy()
    assert outcome.error
    assert (list(outcome.ids), list(outcome.removed)) == ([], [])
    assert "20250601-020000" in {each.tags["id"] for each in bed.remote.snapshots()}
    assert not any(found.verified for found in bed.every())


def test_what_another_environment_keeps_in_the_same_place_stays(bed: Bed) -> None:
    tags = manifest.tags("20250101-000000", "odoo", "database:odoo")
    other = bed.remote.backup_stream(["echo", "theirs"], "odoo.dump", "smos-production", tags)
    bed.config = replace(bed.config, retention=Retention(daily=1))
    for day in (1, 2):
        bed.back_up(f"2025060{day}-020000", "odoo", size=50_000)
        bed.copy()
    assert other.snapshot in [each.id for each in bed.remote.snapshots()]
