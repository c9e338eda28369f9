"""What follows the services: manifest, check, copies, retention; and what each failure leaves undone."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import (
    catalogue,
    copies,
    journal,
    machine,
    manifest,
    retention,
    take,
    take_files,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.catalogue import Held, Listing
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, Remote, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Incomplete, ResticError, Saved

BROKEN = ResticError("no space is left", 1, "full")


@dataclass
class Fake:
    """A repository that remembers what was asked of it. ``broken``: methods that fail."""

    broken: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)
    saved: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    there: bool = True
    written: bytes = b""
    archives: list[bytes] = field(default_factory=list)

    def _did(self, what: str) -> None:
        self.done.append(what)
        if what in self.broken:
            raise BROKEN

    def exists(self) -> bool:
        return self.there

    def init(self) -> None:
        self._did("init")
        self.there = True

    def unlock(self) -> None:
        self._did("unlock")

    def prune(self) -> None:
        self._did("prune")

    def forget(self, ids: Any) -> None:
        self.done.append(f"forget {' '.join(ids)}")

    def backup_folder(self, path: Path, host: str, tags: list[str], exclude: Any = ()) -> Saved:
        self._did("folder")
        saved = self._save(tags)
        if path.name == "unreadable":
            raise Incomplete("1 files could not be read, for example /x", saved, ["/x"])
        return saved

    def backup_bytes(self, data: bytes, filename: str, host: str, tags: list[str]) -> Saved:
        if filename.endswith(".tar"):
            self._did("archive")
            self.archives.append(data)
            return self._save(tags)
        self._did("bytes")
        self.written = data
        return self._save(tags)

    def _save(self, tags: list[str]) -> Saved:
        told = dict(tag.partition("=")[::2] for tag in tags)
        self.saved.append((f"s{len(self.saved)}", told))
        return Saved(self.saved[-1][0], 2 << 20, 3, 10)


@dataclass
class World:
    """A machine on which ``there`` runs, and what was kept before."""

    config: Config
    repository: Fake
    folder: Path
    known: dict[str, Held] = field(default_factory=dict)
    loose: dict[str, Any] = field(default_factory=dict)
    arrives: bool = True
    machine: tuple[str, ...] = ()
    elsewhere: dict[str, Held] | ResticError | None = None  # what the remote holds, or why it does not say

    def listing(self, repository: Any, *_: Any) -> Listing:
        if repository is self.repository:
            return Listing(dict(self.known), {}, self.loose)
        if isinstance(self.elsewhere, ResticError):
            raise self.elsewhere
        return Listing(dict(self.elsewhere or {}), {}, {})

    def verify(self, repository: Fake, **_: Any) -> Listing:
        repository._did("check")
        whole = manifest.of(json.loads(repository.written))
        own = Held(whole, {}, "own", () if self.arrives else ("x volume:x",), ("all-of-it",))
        return Listing({**self.known, whole.id: own})

    def take(self, *wanted: str, **more: Any) -> take.Taken:
        repository: Any = self.repository
        last, verified = self.folder / "last.json", self.folder / "verified.json"
        remotes: Any = {"offsite": object()}
        ways = take.Ways(repository, remotes=remotes, last=last, verified=verified, machine=self.machine)
        engine: Any = object()
        return take.take(self.config, engine, wanted, ways=ways, **more)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    services = {}
    for name in ("traefik", "dokploy"):
        (tmp_path / name).mkdir()
        services[name] = ServiceData(name, folders=(str(tmp_path / name),), keys=(f"{name}_key",))
    config = Config("staging", str(tmp_path), "/p", services, fingerprints={"traefik_key": "1", "other": "2"})
    made = World(config, Fake(), tmp_path)
    monkeypatch.setattr(machine, "look", lambda _: {})
    monkeypatch.setattr(journal, "unfinished", lambda *_: "")
    monkeypatch.setattr(catalogue, "listing", made.listing)
    monkeypatch.setattr(catalogue, "verify", made.verify)
    monkeypatch.setattr(retention, "to_forget", lambda known, *_: sorted(one.id for one in known)[:-1])
    return made


def former(backup: str) -> Held:
    whole = manifest.Manifest(backup, "staging", "", "vps", {"traefik": manifest.ServicePart()})
    return Held(whole, {}, "m", (), (f"{backup}-a", f"{backup}-b"))


def test_services_then_manifest_then_check_then_room(world: World) -> None:
    world.known = {"20261101-020000": former("20261101-020000")}
    taken = world.take()
    assert taken.ok
    assert world.repository.done == [
        "unlock",
        "folder",
        "folder",
        "bytes",
        "check",
        "forget 20261101-020000-a 20261101-020000-b",
        "prune",
    ]
    assert taken.removed == ["20261101-020000"]
    own = world.repository.saved[-1][1]
    assert (own["service"], own["part"], own["id"]) == ("smos", "manifest", taken.manifest.id)
    assert taken.manifest.keys == {"traefik_key": "1"}
    assert taken.added == 30
    assert taken.outcome.ok
    assert taken.outcome.held == ["dokploy", "traefik"]
    told = taken.to_json()
    assert {"backup", "services", "bytes", "files", "verified"} <= set(told)
    assert told["services"]["traefik"]["parts"] == [f"folder:{world.folder}/traefik"]


def test_a_service_that_fails_spares_the_others_and_nothing_is_let_go(world: World, monkeypatch: Any) -> None:
    world.known = {"20261101-020000": former("20261101-020000")}
    monkeypatch.setattr(retention, "to_forget", lambda known, *_: [])
    (world.folder / "traefik").rmdir()
    world.config = replace(world.config, services={**world.config.services})
    with pytest.raises(Refused, match="traefik does not run"):
        world.take("traefik")
    monkeypatch.setattr(machine, "look", lambda _: {"traefik": machine.Seen("traefik:3", "cafe")})
    taken = world.take()
    assert not taken.ok
    assert taken.manifest.state == manifest.PARTIAL
    assert "does not exist" in taken.manifest.services["traefik"].error
    assert taken.manifest.services["traefik"].image == "traefik:3"
    assert not taken.manifest.services["dokploy"].error
    assert taken.verified
    assert not taken.removed
    assert [each["where"] for each in taken.errors] == ["traefik"]
    assert not taken.outcome.ok
    assert "backup of traefik" in taken.outcome.message
    assert taken.outcome.held == ["dokploy"]


def test_files_that_cannot_be_read_make_it_partial_and_keep_the_rest(world: World) -> None:
    (world.folder / "unreadable").mkdir()
    services = {"traefik": ServiceData("traefik", folders=(str(world.folder / "unreadable"),))}
    world.config = replace(world.config, services=services)
    taken = world.take()
    service = taken.manifest.services["traefik"]
    assert "could not be read" in service.error
    assert len(service.parts) == 1


def test_nothing_that_could_be_saved_makes_no_backup(world: World) -> None:
    world.repository.broken = {"folder"}
    taken = world.take()
    assert not taken.ok
    assert not taken.verified
    assert "bytes" not in world.repository.done
    assert len(taken.errors) == 2


@pytest.mark.parametrize(("broken", "what"), [("bytes", "the manifest"), ("check", "check of the repository")])
def test_without_a_manifest_or_a_good_check_nothing_is_copied_or_removed(world: World, broken: str, what: str) -> None:
    world.known = {"20261101-020000": former("20261101-020000")}
    world.repository.broken = {broken}
    taken = world.take()
    assert not taken.ok
    assert not taken.verified
    assert [each["what"] for each in taken.errors] == [what]
    assert taken.errors[0]["next"]
    assert "prune" not in world.repository.done


def test_a_part_that_is_not_listed_is_no_verified_backup(world: World) -> None:
    world.arrives = False
    taken = world.take()
    assert not taken.verified
    assert "x volume:x of this backup is not in it" in taken.errors[0]["why"]


def test_old_ones_that_cannot_be_removed_are_told_and_the_backup_is_one(world: World) -> None:
    world.known = {"20261101-020000": former("20261101-020000")}
    world.repository.broken = {"prune"}
    taken = world.take()
    assert taken.verified
    assert not taken.ok
    assert taken.errors[0]["what"] == "removing old backups"


def test_a_copy_that_does_not_arrive_is_a_warning_and_a_notice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    late = copies.CopyOutcome("offsite", (), "no answer", "Check the network")
    monkeypatch.setattr(copies, "copy_all", lambda *_, **__: [late])
    taken = world.take()
    assert taken.ok
    assert taken.warnings == ["not copied to offsite: no answer; the next backup catches up"]
    assert not taken.outcome.ok
    assert taken.outcome.held == []

    def broken(*_: Any, **__: Any) -> Any:
        raise BROKEN

    monkeypatch.setattr(copies, "copy_all", broken)
    world.config = replace(world.config, remotes=(Remote("offsite", "s3:x"),))
    assert world.take().copies[0].error == "no space is left"


@pytest.mark.parametrize("reason", ["restore", "rollback"])
def test_during_a_restore_nothing_is_let_go_and_nothing_waited_for(world: World, reason: str) -> None:
    world.known = {"20261101-020000": former("20261101-020000")}
    world.loose = {"20261102-020000": [type("S", (), {"id": "left"})()]}
    world.config = replace(world.config, remotes=(Remote("offsite", "s3:x"),))
    taken = world.take(reason=reason)
    assert taken.ok
    assert taken.swept == ["20261102-020000"]
    assert world.repository.done == ["unlock", "forget left", "folder", "folder", "bytes", "check"]
    assert not taken.copies
    assert "not copied elsewhere now" in taken.notes[-1]


def test_leftovers_alone_are_reason_enough_to_prune_and_foreign_snapshots_stay(world: World) -> None:
    left = type("S", (), {"id": "left"})()
    world.loose = {"20261102-020000": [left], "": [left], "mine": [left]}
    world.take()
    assert world.repository.done[-1] == "prune"
    assert world.repository.done.count("forget left") == 1


def test_two_backups_within_a_second_have_ids_of_their_own(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(take.time, "time", lambda: 1_795_400_000.0)
    first = world.take().manifest.id
    world.known = {first: former(first)}
    assert world.take().manifest.id > first


def test_a_new_repository_is_made_and_a_lost_one_is_not(world: World) -> None:
    world.repository.there = False
    assert world.take().ok
    assert world.repository.done[0] == "init"
    world.repository.there = False
    (world.folder / "last.json").write_text('{"backup": {"good": {"id": "20261101-020000", "at": "then", "added": 3}}}')
    with pytest.raises(Refused, match="is gone") as refused:
        world.take()
    assert (refused.value.exit_code, "Mount its disk" in refused.value.following) == (3, True)


@pytest.mark.parametrize(("free", "enough"), [((5 << 30) + 1, True), (3 << 30, False)])
def test_what_is_enough_for_a_first_backup_is_enough_for_any(
    world: World, monkeypatch: pytest.MonkeyPatch, free: int, enough: bool
) -> None:
    (world.folder / "last.json").write_text('{"backup": {"good": {"id": "i", "at": "then", "added": 8000000000}}}')
    monkeypatch.setattr(take.volumes, "size", lambda _: (4 << 30, 1))
    monkeypatch.setattr(take.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free})())
    if enough:
        assert world.take().ok
        return
    with pytest.raises(Refused, match=r"3\.0 GiB are free .* and 4\.0 GiB must be") as refused:
        world.take()
    assert refused.value.exit_code == 4
    assert not world.repository.saved


def test_what_was_asked_for_is_known_or_refused(world: World) -> None:
    notes: list[str] = []
    here = {"traefik": machine.Seen("x", "y")}
    assert [each.name for each in take.choose(world.config, here, ["all"], notes)] == ["traefik", "dokploy"]
    with pytest.raises(Refused, match="no backup of a service trafik: known are traefik") as refused:
        take.choose(world.config, here, ["trafik"], notes)
    assert refused.value.exit_code == 2
    empty = replace(world.config, services={"n8n": ServiceData("n8n", databases={"n8n": ()})})
    with pytest.raises(Refused, match="nothing that is backed up runs") as refused:
        take.choose(empty, here, [], notes)
    assert refused.value.exit_code == 3
    assert notes == ["n8n does not run on this machine and is not in this backup"]


ACCOUNTS = take_files.accounts({"tenants.json": b"[]", "vercel-a.json": b"{}"}, notes=["supabase: no address is set"])


def members(world: World) -> dict[str, tarfile.TarInfo]:
    """What is in the last archive that was saved before the manifest."""
    with tarfile.open(fileobj=io.BytesIO(world.repository.archives[-1])) as tar:
        return {each.name: each for each in tar}


def test_accounts_elsewhere_and_the_machine_s_own_files_go_along_with_all(world: World) -> None:
    (world.folder / "stack.yml").write_text("{}")
    world.machine = (f"{world.folder}/*.yml",)
    taken = world.take("all", accounts=ACCOUNTS)
    assert taken.ok
    assert list(taken.manifest.services) == ["traefik", "dokploy", "accounts", "machine"]
    (part,) = taken.manifest.services["accounts"].parts
    assert (part.key, part.files) == ("file:accounts.tar", 2)
    assert "supabase: no address is set" in taken.notes
    assert list(members(world)) == [f"{world.folder}/stack.yml".lstrip("/")]
    assert taken.to_json()["services"]["accounts"]["parts"] == ["file:accounts.tar"]


def test_an_account_that_failed_makes_only_its_own_part_partial(world: World) -> None:
    error = {"what": "export of vercel", "why": "no answer", "where": "", "next": "Check the token"}
    files = take_files.accounts({"tenants.json": b"[]"}, [error])
    taken = world.take(accounts=files)
    assert (taken.ok, taken.verified, taken.manifest.state) == (False, True, manifest.PARTIAL)
    assert taken.errors == [error]
    assert {name: each.error for name, each in taken.manifest.services.items()} == {
        "traefik": "",
        "dokploy": "",
        "accounts": "export of vercel: no answer",
    }
    assert list(members(world)) == ["tenants.json"]


def test_files_that_cannot_be_saved_spare_the_services(world: World) -> None:
    world.repository.broken = {"archive"}
    taken = world.take(accounts=ACCOUNTS)
    assert not taken.manifest.services["traefik"].error
    assert taken.verified
    assert [(each["what"], each["why"]) for each in taken.errors] == [("backup of accounts", "no space is left")]


def test_what_goes_along_with_all_is_left_out_where_a_service_is_named(world: World) -> None:
    world.machine = (f"{world.folder}/*",)
    assert list(world.take("traefik", accounts=ACCOUNTS).manifest.services) == ["traefik"]
    assert list(world.take("accounts", accounts=ACCOUNTS).manifest.services) == ["accounts"]
    both = world.take("accounts", "traefik", accounts=ACCOUNTS)
    assert list(both.manifest.services) == ["traefik", "accounts"]


@pytest.mark.parametrize(
    ("name", "following"), [("accounts", "smos backup all"), ("machine", "smos deploy backend")], ids=str
)
def test_what_nobody_read_cannot_be_backed_up(world: World, name: str, following: str) -> None:
    with pytest.raises(Refused) as refused:
        world.take(name, accounts=take_files.accounts({}))
    assert refused.value.exit_code == 3
    assert following in refused.value.following
    assert list(world.take().manifest.services) == ["traefik", "dokploy"], "the timer has no tokens"


# --- a machine that took the place of another one


def lost(size: int, backup: str = "20261101-020000", reason: str = "timer") -> dict[str, Held]:
    """What was backed up of the machine that is gone."""
    part = manifest.Part(manifest.DATABASE, "odoo", "s", bytes=size)
    services = {name: manifest.ServicePart((part,)) for name in ("traefik", "dokploy")}
    return {backup: Held(manifest.Manifest(backup, "staging", "", "vps", services, reason), {}, "m")}


@pytest.fixture
def anew(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """It has a remote, and nothing of its own yet; what is done after the services is not of interest."""
    monkeypatch.setattr(copies, "copy_all", lambda *_, **__: [])
    world.config = replace(world.config, remotes=(Remote("offsite", "s3:x"),))
    return world


def before(world: World, monkeypatch: pytest.MonkeyPatch, **more: Any) -> tuple[list[str], take.Taken]:
    """The backups that the services were held against."""
    seen: list[str] = []
    whole = take.ServiceTaker

    def taker(around: Any, *given: Any) -> Any:
        seen[:] = [each.id for each in around.before]
        return whole(around, *given)

    monkeypatch.setattr(take, "ServiceTaker", taker)
    return seen, world.take(**more)


def test_a_machine_without_backups_is_held_against_those_elsewhere(anew: World, monkeypatch: Any) -> None:
    anew.elsewhere = lost(1 << 31)
    assert before(anew, monkeypatch)[0] == ["20261101-020000"]
    seen, _taken = before(anew, monkeypatch, reason="deploy")
    assert seen == [], "a deploy has to go on, and its backup goes nowhere"


def test_what_a_deploy_backed_up_on_a_new_machine_does_not_stand_for_what_was_lost(
    anew: World, monkeypatch: Any
) -> None:
    anew.elsewhere = lost(1 << 31)
    anew.known = lost(10, "20261102-020000", "deploy")
    assert before(anew, monkeypatch)[0] == ["20261101-020000"]


def test_a_machine_that_has_its_own_asks_nobody(anew: World, monkeypatch: Any) -> None:
    anew.elsewhere = ResticError("nobody is asked", 1)
    anew.known = lost(10, "20261102-020000")
    seen, taken = before(anew, monkeypatch)
    assert (seen, taken.warnings) == (["20261102-020000"], [])


@pytest.mark.parametrize(("kind", "told"), [("unreachable", 1), ("absent", 0)])
def test_a_place_that_does_not_answer_is_told_and_hinders_nothing(
    anew: World, monkeypatch: Any, kind: str, told: int
) -> None:
    anew.elsewhere = ResticError("no answer", 1, kind)
    seen, taken = before(anew, monkeypatch)
    assert (seen, taken.ok, len(taken.warnings)) == ([], True, told)
