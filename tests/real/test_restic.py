"""The engine's repository with the real restic: what is saved is what comes back, and whatever is cut off leaves no harm."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import restic_run
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import restic_told as told
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import (
    Incomplete,
    Repository,
    ResticError,
    SourceFailed,
)
from real import restic
from real.tools import needing_tools
from support import stack_files

HOST = "smos-sandbox"
TAGS = ["smos", "id=20250601-020000", "service=odoo", "part=volume:odoo_data"]
ROOT = os.geteuid() == 0


@pytest.fixture
def repository(tmp_path: Path, templates: restic.Templates) -> Repository:
    """A new repository below the test's folder."""
    return templates.plant(tmp_path)


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def errors_of(caught: pytest.ExceptionInfo[ResticError]) -> tuple[str, str]:
    return caught.value.kind, caught.value.message


def test_a_folder_comes_back_byte_for_byte_with_modes_and_owners(repository: Repository, tmp_path: Path) -> None:
    source, target = restic.fill(tmp_path / "source", count=3), tmp_path / "target"
    (source / "ñandú 😀").mkdir(mode=0o750)
    (source / "ñandú 😀" / "a, b").write_text("x")
    (source / "0.bin").chmod(0o640)
    (source / "link").symlink_to("0.bin")
    os.link(source / "1.bin", source / "hard.bin")
    if ROOT:
        os.chown(source / "2.bin", 101, 102)
    saved = repository.backup_folder(source, HOST, TAGS)
    assert saved.files == 5
    assert saved.bytes == 4 * 200_000 + 1
    assert 600_000 <= saved.added < 700_000
    repository.restore(saved.snapshot, target)
    told_by = ["find", ".", "-mindepth", "1", "-printf", "%P %y %m %U %G %s %T@ %l\n"]
    before, after = (
        subprocess.run(told_by, cwd=where, capture_output=True, text=True).stdout.splitlines()
        for where in (source, target)
    )
    # how large a folder itself is, is its file system's affair
    assert sorted(map(_without_folder_sizes, before)) == sorted(map(_without_folder_sizes, after))
    assert subprocess.run(["diff", "-r", "--no-dereference", source, target]).returncode == 0
    assert (target / "1.bin").stat().st_ino == (target / "hard.bin").stat().st_ino


def _without_folder_sizes(line: str) -> str:
    words = line.rsplit(" ", 7)
    return " ".join(words[:5] + words[6:]) if words[1] == "d" else line


def test_a_snapshot_is_listed_with_its_whole_id_and_tags(repository: Repository, tmp_path: Path) -> None:
    odd = ["smos", "id=20250601-020000", "service=files", "part=folder:/srv/a, b=c%"]
    folder = restic.fill(tmp_path / "source", count=1)
    saved = repository.backup_folder(folder, HOST, odd)
    repository.backup_folder(folder, HOST, TAGS)
    (found,) = repository.snapshots("smos", odd[3])
    assert len(saved.snapshot) == 64
    assert found.id == found.original == saved.snapshot
    assert found.host == HOST
    assert dict(found.tags) == {"smos": "", "id": "20250601-020000", "service": "files", "part": "folder:/srv/a, b=c%"}
    assert repository.snapshots("smos", "id=20250601-020000")[0].id == saved.snapshot
    assert repository.snapshots("smos", "id=20250602-020000") == []


def test_an_unchanged_folder_adds_next_to_nothing(repository: Repository, tmp_path: Path) -> None:
    folder = restic.fill(tmp_path / "source")
    assert repository.backup_folder(folder, HOST, TAGS).added > 4_000_000
    again = repository.backup_folder(folder, HOST, TAGS)
    assert again.added < 10_000
    assert again.bytes == 4_000_000


def test_what_is_left_out_is_left_out_here_and_nowhere_else(repository: Repository, tmp_path: Path) -> None:
    folder = tmp_path / "so[u]rce"
    for name in ("cache/a", "deep/cache/b", "tmp/c", "deep/tmp/d", "keep"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    saved = repository.backup_folder(folder, HOST, TAGS, ["/cache", "tmp"])
    assert {node.path for node in repository.ls(saved.snapshot) if node.type == "file"} == {"/deep/cache/b", "/keep"}


@pytest.mark.parametrize("left_out", [[], ["/*"]])
def test_a_folder_that_holds_nothing_comes_back_so(repository: Repository, tmp_path: Path, left_out: list[str]) -> None:
    """A volume that was never written to is no failure."""
    folder, target = tmp_path / "source", tmp_path / "target"
    folder.mkdir()
    if left_out:
        restic.fill(folder, count=1)
    saved = repository.backup_folder(folder, HOST, TAGS, left_out)
    assert (saved.files, saved.bytes) == (0, 0)
    assert [each.id for each in repository.snapshots(*TAGS)] == [saved.snapshot]
    assert list(repository.ls(saved.snapshot)) == []
    repository.restore(saved.snapshot, target)
    assert list(target.iterdir()) == []


def test_a_file_that_vanishes_meanwhile_is_no_failure(repository: Repository, tmp_path: Path) -> None:
    """Sessions and temporary files come and go in a volume that is in use."""
    folder = restic.fill(tmp_path / "source", count=300, size=20_000)
    stop = threading.Event()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            (folder / f"session-{number}").write_text("x")
            (folder / f"session-{number - 50}").unlink(missing_ok=True)
            number += 1

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(3):
            assert repository.backup_folder(folder, HOST, TAGS).files >= 300
    finally:
        stop.set()
        thread.join()


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_kept(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = restic.fill(tmp_path / "source", count=2)
    (folder / "0.bin").chmod(0)
    if ROOT:  # who can read everything, unless it gives that up
        shim = tmp_path / "bin" / "restic"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec setpriv --bounding-set -dac_override,-dac_read_search {restic.tool()} "$@"\n')
        shim.chmod(0o755)
        monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    with pytest.raises(Incomplete, match=r"a file could not be read: .*0\.bin") as caught:
        repository.backup_folder(folder, HOST, TAGS)
    assert list(caught.value.unread) == [str(folder / "0.bin")]
    assert caught.value.saved.files == 1
    assert [node.path for node in repository.ls(caught.value.saved.snapshot)] == ["/1.bin"]


def test_a_folder_that_is_not_there_is_said(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(ResticError, match="source is not there"):
        repository.backup_folder(tmp_path / "source", HOST, TAGS)


# Streams


def test_a_stream_comes_back_byte_for_byte(repository: Repository, tmp_path: Path) -> None:
    data = os.urandom(3 * restic.MIB)
    (tmp_path / "data").write_bytes(data)
    saved = repository.backup_stream(["cat", str(tmp_path / "data")], "odoo.dump", HOST, TAGS)
    assert (saved.bytes, saved.files) == (len(data), 1)
    assert repository.read(saved.snapshot, "odoo.dump") == data
    done = repository.stream_into(saved.snapshot, "odoo.dump", ["sha256sum"])
    assert done.code == 0
    assert done.stdout.split()[0] == subprocess.check_output(["sha256sum", tmp_path / "data"], text=True).split()[0]


@pytest.mark.parametrize("script", ["exit 3", "head -c 5000000 /dev/urandom; echo 'it broke' >&2; exit 3"])
def test_a_source_that_fails_leaves_no_snapshot(repository: Repository, script: str) -> None:
    with pytest.raises(SourceFailed) as caught:
        repository.backup_stream(shell(script), "odoo.dump", HOST, TAGS)
    assert caught.value.code == 3
    assert ("it broke" in str(caught.value)) is ("it broke" in script)
    assert repository.snapshots() == []
    repository.unlock()
    assert restic.sound(repository)


def test_a_source_that_is_killed_leaves_no_snapshot(repository: Repository) -> None:
    with pytest.raises(SourceFailed) as caught:
        repository.backup_stream(shell("head -c 100000 /dev/urandom; kill -9 $$"), "odoo.dump", HOST, TAGS)
    assert caught.value.code == -signal.SIGKILL
    assert restic.listed(repository) == []


def test_a_source_that_has_nothing_to_say_is_no_backup(repository: Repository) -> None:
    with pytest.raises(SourceFailed, match="it wrote nothing"):
        repository.backup_stream(["true"], "odoo.dump", HOST, TAGS)
    assert restic.listed(repository) == []


def test_a_source_that_is_not_installed_is_said(repository: Repository) -> None:
    with pytest.raises(SourceFailed, match="no-such-program is not installed"):
        repository.backup_stream(["no-such-program"], "odoo.dump", HOST, TAGS)


def test_restic_that_dies_first_is_what_is_told_and_the_source_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The source writes for ever, or waits for ever: neither may outlive its reader."""
    monkeypatch.setattr(restic_run, "BROKEN_S", 0.5)
    with needing_tools():
        absent = restic.repository(tmp_path)
    for script in ("cat /dev/zero", "sleep infinity"):
        with pytest.raises(ResticError) as caught:
            absent.backup_stream(["sh", "-c", f"exec {script}"], "odoo.dump", HOST, TAGS)
        assert caught.value.kind == told.ABSENT


def test_a_source_keeps_nothing_in_our_memory_or_on_disk(repository: Repository, tmp_path: Path) -> None:
    """100 MB through the pipe: this process grows by next to nothing."""
    script = (
        "import resource, sys; from pathlib import Path;"
        "from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository;"
        f"r = Repository({repository.location!r}, {repository.password_file!r}, {{}}, Path({str(repository.cache)!r}));"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        f"s = r.backup_stream(['head', '-c', '100000000', '/dev/zero'], 'z', 'h', {TAGS!r});"
        "print(s.bytes, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=_importing())
    size, grown = map(int, done.stdout.split())
    assert size == 100_000_000
    assert grown < 20_000  # KiB


def test_a_reader_that_fails_is_told_by_its_own_code(repository: Repository) -> None:
    saved = repository.backup_stream(["head", "-c", "3000000", "/dev/urandom"], "odoo.dump", HOST, TAGS)
    done = repository.stream_into(
        saved.snapshot, "odoo.dump", shell("head -c 10 >/dev/null; echo 'no such role' >&2; exit 7")
    )
    assert (done.code, done.stderr.strip()) == (7, "no such role")


def test_a_reader_never_sees_the_end_of_a_file_that_cannot_be_read_to_its_end(
    repository: Repository, tmp_path: Path
) -> None:
    """To psql half of a dump would look like all of it."""
    saved = repository.backup_stream(["head", "-c", "24000000", "/dev/urandom"], "odoo.dump", HOST, TAGS)
    largest = max(Path(repository.location).glob("data/*/*"), key=lambda one: one.stat().st_size)
    _flip(largest, largest.stat().st_size // 2)
    ended = tmp_path / "ended"
    with pytest.raises(ResticError):
        repository.stream_into(saved.snapshot, "odoo.dump", shell(f"cat >/dev/null && touch {ended}"))
    assert not ended.exists()


def test_bytes_come_back(repository: Repository) -> None:
    data = json.dumps({"ñ": list(range(50_000))}).encode()
    saved = repository.backup_bytes(data, "manifest.json", HOST, TAGS)
    assert repository.read(saved.snapshot, "manifest.json") == data


def test_what_is_not_there_is_said(repository: Repository) -> None:
    saved = repository.backup_bytes(b"x", "a", HOST, TAGS)
    for ask in (
        lambda: repository.read(saved.snapshot, "b"),
        lambda: repository.read("f" * 64, "a"),
        lambda: list(repository.ls("f" * 64)),
        lambda: repository.stream_into("f" * 64, "a", ["cat"]),
    ):
        with pytest.raises(ResticError) as caught:
            ask()
        assert caught.value.kind == told.MISSING, caught.value.message


def test_a_listing_that_nobody_reads_to_its_end_leaves_no_process(repository: Repository, tmp_path: Path) -> None:
    saved = repository.backup_folder(restic.fill(tmp_path / "source", count=2000, size=10), HOST, TAGS)
    listing = repository.ls(saved.snapshot)
    assert next(listing).path
    listing.close()  # type: ignore[attr-defined] # a generator
    assert subprocess.run(["pgrep", "-f", str(repository.password_file)], capture_output=True, text=True).stdout == ""


# Secrets


def test_no_secret_is_in_arguments(repository: Repository) -> None:
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"rest:http://someone:aVerySecretWord@127.0.0.1:{server.getsockname()[1]}/x"

        def look() -> None:
            # Whoever connects is restic, and it lives until it is answered.
            connection, _ = server.accept()
            for each in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.append(each.read_bytes())
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=look)
        thread.start()
        with pytest.raises(ResticError) as caught:
            replace(repository, location=address).exists()
        thread.join()
    assert any(b"restic" in each for each in seen)
    assert not [each for each in seen if b"aVerySecretWord" in each or restic.PASSWORD.encode() in each]
    assert "aVerySecretWord" not in caught.value.message


def test_no_secret_is_in_messages(repository: Repository) -> None:
    address = "rest:http://someone:aVerySecretWord@127.0.0.1:9/x"
    with pytest.raises(ResticError) as caught:
        replace(repository, location=address).exists()
    assert "aVerySecretWord" not in caught.value.message
    assert "rest:http://127.0.0.1:9/x" in caught.value.message
    assert caught.value.kind == told.UNREACHABLE


def test_variables_of_the_caller_do_not_lead_astray(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTIC_REPOSITORY_FILE", "/nowhere")
    monkeypatch.setenv("RESTIC_PASSWORD_COMMAND", "false")
    monkeypatch.setenv("RESTIC_COMPRESSION", "no such")
    assert repository.snapshots() == []


# What is wrong with a repository


def test_a_wrong_password_is_said_in_so_many_words(repository: Repository, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("another one")
    other = replace(repository, password_file=str(wrong))
    for ask in (other.snapshots, other.check, lambda: other.backup_bytes(b"x", "a", HOST, TAGS)):
        with pytest.raises(ResticError) as caught:
            ask()
        assert caught.value.kind == told.PASSWORD
        assert caught.value.message == f"repository {repository.location}: the password does not open it"
        assert "backup_password" in caught.value.following


def test_a_password_file_that_is_not_there_is_said(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(ResticError) as caught:
        replace(repository, password_file=str(tmp_path / "none")).snapshots()
    assert caught.value.kind == told.PASSWORD
    assert "does not exist" in caught.value.message


def test_no_repository_is_told_from_one_that_is_there(tmp_path: Path) -> None:
    with needing_tools():
        absent = restic.repository(tmp_path)
    assert not absent.exists()
    with pytest.raises(ResticError) as caught:
        absent.snapshots()
    assert caught.value.kind == told.ABSENT
    absent.init()
    assert absent.exists()
    assert json.loads(restic.ask(absent, "cat", "config").stdout)["version"] == 2
    with pytest.raises(ResticError, match="already"):
        absent.init()
    Path(absent.password_file).write_text("another one")
    with pytest.raises(ResticError) as caught:
        absent.snapshots()
    assert caught.value.kind == told.PASSWORD


def test_an_init_that_was_cut_off_is_gone_over(tmp_path: Path) -> None:
    """It leaves a key without a configuration; a second key beside it would fit nothing."""
    with needing_tools():
        made = restic.repository(tmp_path)
    place = Path(made.location)
    (place / "keys").mkdir(parents=True)  # as one that was killed sooner leaves it
    env = {**os.environ, "RESTIC_REPOSITORY": made.location}
    killed = subprocess.Popen([restic.tool(), "--password-file", made.password_file, "init"], env=env)
    restic.until(lambda: len(_whole(place, "keys/*")) == 1 or killed.poll() is not None, "a key")
    killed.kill()
    killed.wait()
    assert _whole(place, "keys/*")
    (place / "config").unlink(missing_ok=True)  # where it was faster than we are
    made.init()
    restic.make_cheap(place, restic.PASSWORD)  # there is no other key
    made.backup_bytes(b"x", "a", HOST, TAGS)
    assert restic.sound(made)


def test_a_flipped_byte_is_found_when_the_data_is_read(repository: Repository, tmp_path: Path) -> None:
    repository.backup_folder(restic.fill(tmp_path / "source"), HOST, TAGS)
    repository.check()
    repository.check("100%")
    largest = max(Path(repository.location).glob("data/*/*"), key=lambda one: one.stat().st_size)
    _flip(largest, 1000)
    repository.check()  # the structure is sound: only reading finds it
    with pytest.raises(ResticError) as caught:
        repository.check("100%")
    assert caught.value.kind == told.DAMAGED
    assert largest.name[:8] in caught.value.message


def test_a_pack_that_is_gone_is_found_without_reading(repository: Repository, tmp_path: Path) -> None:
    repository.backup_folder(restic.fill(tmp_path / "source"), HOST, TAGS)
    max(Path(repository.location).glob("data/*/*"), key=lambda one: one.stat().st_size).unlink()
    with pytest.raises(ResticError) as caught:
        repository.check()
    assert caught.value.kind == told.DAMAGED


def test_damage_is_seen_when_files_are_brought_back(repository: Repository, tmp_path: Path) -> None:
    saved = repository.backup_folder(restic.fill(tmp_path / "source"), HOST, TAGS)
    largest = max(Path(repository.location).glob("data/*/*"), key=lambda one: one.stat().st_size)
    _flip(largest, 1000)
    with pytest.raises(ResticError) as caught:
        repository.restore(saved.snapshot, tmp_path / "target")
    assert caught.value.kind == told.DAMAGED, caught.value.message


def test_forgetting_drops_these_and_no_others(repository: Repository, tmp_path: Path) -> None:
    """Never by restic's own grouping: all of them have the same host and path."""
    kept, gone = [], []
    for number in range(3):
        folder = restic.fill(tmp_path / "source", count=3, seed=f"{number}-")
        kept.append(repository.backup_folder(folder, HOST, TAGS).snapshot)
        gone.append(repository.backup_stream(["head", "-c", "3000000", "/dev/urandom"], "d", HOST, TAGS).snapshot)
    before = repository.size()
    repository.forget([*gone, "f" * 64])
    repository.forget([])
    repository.prune()
    assert sorted(each.id for each in repository.snapshots()) == sorted(kept)
    assert before - repository.size() > 8_000_000
    assert restic.sound(repository)


# Killed


def test_a_backup_that_is_killed_leaves_what_the_next_one_works_with(repository: Repository, tmp_path: Path) -> None:
    folder = restic.fill(tmp_path / "source", count=10)
    first = repository.backup_folder(folder, HOST, TAGS)
    for moment in ("locks/*", "data/*/*", "index/*"):
        restic.fill(folder, count=20, size=restic.MIB, seed=moment.partition("/")[0])
        _killed(repository, f"r.backup_folder({str(folder)!r}, 'h', {TAGS!r})", moment)
    repository.unlock()
    assert list(Path(repository.location).glob("locks/*")) == []
    assert list(Path(repository.location).rglob("*-tmp-*")) == []
    repository.check()
    again = repository.backup_folder(folder, HOST, TAGS)
    assert again.files == first.files + 60
    repository.prune()
    assert restic.sound(repository)


def test_a_prune_that_is_killed_leaves_what_the_next_one_works_with(repository: Repository, tmp_path: Path) -> None:
    kept = repository.backup_folder(restic.fill(tmp_path / "kept", count=10), HOST, TAGS).snapshot
    for moment in ("locks/*", "index/*", "data/*/*"):
        folder = restic.fill(tmp_path / "source", count=10, seed=moment.partition("/")[0])
        repository.forget([repository.backup_folder(folder, HOST, TAGS).snapshot])
        _killed(repository, "r.prune()", moment)
        repository.unlock()  # else its exclusive lock keeps everybody out
        repository.check()
    repository.prune()
    assert [each.id for each in repository.snapshots()] == [kept]
    repository.restore(kept, tmp_path / "target")
    assert subprocess.run(["diff", "-r", tmp_path / "kept", tmp_path / "target"]).returncode == 0
    assert restic.sound(repository)


def test_who_started_it_is_killed_and_nothing_runs_on_or_is_kept(repository: Repository, tmp_path: Path) -> None:
    """An end of the dump's input by our own death must not look like the end of the dump."""
    told_by = tmp_path / "process"  # it is there once restic has nearly all of it
    source = f"head -c 3000000 /dev/urandom; echo $$ >{told_by}; exec sleep infinity"
    process = _started(repository, f"r.backup_stream(['sh', '-c', {source!r}], 'd', 'h', {TAGS!r})")
    restic.until(lambda: told_by.exists() and told_by.read_text().endswith("\n"), "the dump")
    program = Path("/proc") / told_by.read_text().strip() / "cmdline"
    process.kill()
    process.wait()
    restic.until(lambda: not program.exists() or b"sleep" not in program.read_bytes(), "the end of the source")
    restic.until_nobody_uses(repository)
    repository.unlock()
    assert repository.snapshots() == []
    assert restic.sound(repository)


def test_a_lock_that_somebody_holds_is_said_and_respected(repository: Repository) -> None:
    holder = _holding(repository)
    try:
        repository.unlock()  # frees only what is nobody's
        with pytest.raises(ResticError) as caught:
            repository.prune()
        assert caught.value.kind == told.LOCKED, caught.value.message
        assert repository.snapshots() == []  # looking is always possible
    finally:
        holder.kill()
        holder.wait()
    repository.unlock()
    repository.prune()


def test_where_nothing_is_locked_restic_is_not_asked(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    repository.unlock()


def test_a_lock_of_a_process_that_is_gone_is_freed_even_where_its_number_lives_on(repository: Repository) -> None:
    """After a reboot another program has the number; restic itself would wait for half an hour."""
    holder = _holding(repository)
    holder.kill()
    os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)  # it is dead, and its number is still taken
    repository.unlock()
    repository.prune()
    holder.wait()


def test_a_full_disk_is_said(tmp_path: Path, templates: restic.Templates) -> None:
    if not ROOT:
        pytest.skip("NOT RUN: only root can mount a small file system")
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("NOT RUN: nothing can be mounted here")
    try:
        made = templates.plant(small)
        kept = made.backup_bytes(b"x", "a", HOST, TAGS)
        with pytest.raises(ResticError) as caught:
            made.backup_stream(["head", "-c", "30000000", "/dev/urandom"], "d", HOST, TAGS)
        assert caught.value.kind == told.FULL, caught.value.message
        made.unlock()
        assert [each.id for each in made.snapshots()] == [kept.snapshot]
        made.prune()
        assert restic.sound(made)
        made.backup_bytes(b"y", "a", HOST, TAGS)
    finally:
        subprocess.run(["umount", small], check=True)


def _flip(path: Path, position: int) -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(position)
        byte = file.read(1)[0]
        file.seek(position)
        file.write(bytes([byte ^ 1]))


def _importing() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(stack_files.ROOT / "collections")}


def _whole(place: Path, pattern: str) -> set[Path]:
    """Files of a repository that are written to their end: those have no other name any more."""
    return {each for each in place.glob(pattern) if "-tmp-" not in each.name}


def _holding(repository: Repository) -> subprocess.Popen[bytes]:
    """A restic that waits for what to back up, and has its lock."""
    env = {**os.environ, "RESTIC_REPOSITORY": repository.location}
    argv = [restic.tool(), "--password-file", repository.password_file, "backup", "--stdin"]
    holder = subprocess.Popen(
        argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    restic.until(lambda: _whole(Path(repository.location), "locks/*"), "a lock")
    return holder


def _started(repository: Repository, call: str) -> subprocess.Popen[bytes]:
    """Another process that does it."""
    script = (
        "from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository;"
        f"r = Repository({repository.location!r}, {repository.password_file!r}, {{}}, {str(repository.cache)!r}); {call}"
    )
    return subprocess.Popen([sys.executable, "-c", script], env=_importing(), stderr=subprocess.DEVNULL)


def _killed(repository: Repository, call: str, moment: str) -> None:
    """Another process does it and is killed, as by the kernel, once these files of the repository are others; what it
    started goes with it.
    """
    place = Path(repository.location)
    before = _whole(place, moment)
    process = _started(repository, call)
    restic.until(lambda: _whole(place, moment) != before or process.poll() is not None, moment)
    process.kill()
    process.wait()
    restic.until_nobody_uses(repository)
