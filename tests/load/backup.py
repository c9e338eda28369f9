"""How fast are backups? Measures them against restic and PostgreSQL's own tools, by turns, and prints goals and figures.

    python tests/load/backup.py                  # 2 GB, half of it in databases; a quarter of an hour, 16 GB of disk
    python tests/load/backup.py --mb 200
    python tests/load/backup.py --smoke          # only whether it still works

The control is what somebody would write by hand: ``pg_dump -Fc | restic backup --stdin`` and ``restic backup`` of the
folder for each service, and the way back. Both do the same to the same data, each in a repository of its own.

Times are never asserted: machines differ. It fails when what comes back is not what was there. Needs restic and
PostgreSQL's server; everything happens in a temporary folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "collections"), str(ROOT / "tests")]


from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import config as configs
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import take
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Attachments, Config, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.journal import Journal
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore import Restoration
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_world import Machine
from real import postgres, restic
from real.bed import connected, server_of
from real.postgres import Postgres
from real.restic_key import make_cheap
from real.swarm import Swarm

MB = 1_000_000
SERVICES = {"odoo": "tienda", "n8n": "flujos"}  # and the database of each
FIRST, SECOND, BACK = "first backup", "second backup, nothing changed", "restore"
GOALS = {FIRST: 1.25, SECOND: 1.5, BACK: 1.25}  # times the control
PROGRAMS = "the largest program, restic as a rule"
MEMORY_MB = 300
STAGED_MB = 64  # restic's own: packs that are not full yet
LOOK_S = 0.2  # how often it is looked at what programs have on disk
WORDS = [
    *["pedido", "cliente", "despacho", "boleta", "factura", "ñandú", "camión", "日本語"],
    *["región", "comuna", "precio", "total", "envío", "bodega"],
]


class WrongResult(Exception):
    """What came back is not what was there; the message says what."""


@dataclass(frozen=True)
class Bed:
    """A machine of two services: each with a database and a volume."""

    folder: Path
    postgres: Postgres

    @property
    def volumes(self) -> Path:
        return self.folder / "volumes"

    @property
    def environment(self) -> dict[str, str]:
        there = self.postgres
        return {"PGHOST": there.host, "PGPORT": str(there.port), "PGPASSWORD": there.password, "PGUSER": there.user}

    def files(self, service: str) -> Path:
        """The folder of a service's volume."""
        return self.volumes / f"{service}-data" / "_data"

    def repository(self, name: str) -> Repository:
        """One of this name."""
        return Repository(
            str(self.folder / name), str(self.folder / "password"), {}, str(self.folder / f"{name}.cache")
        )

    def config(self, repository: Repository) -> Config:
        """As the role would write it."""
        services = {
            name: ServiceData(name, "test", {database: ("filas",)}, (f"{name}-data",), writers=(f"{name}_{name}",))
            for name, database in SERVICES.items()
        }
        asked = Attachments("tienda", "SELECT ruta FROM adjuntos", "odoo-data", "")
        services["odoo"] = ServiceData(**{**vars(services["odoo"]), "attachments": asked})
        return Config("production", repository.location, repository.password_file, services, release="0.2.0")

    def ways(self, repository: Repository) -> take.Ways:
        """How our code gets at it."""
        state = self.folder / f"{Path(repository.location).name}.state"
        return take.Ways(
            repository=repository,
            server=lambda _name: server_of(self.postgres),
            last=state / "last.json",
            verified=state / "verified.json",
        )

    def state(self) -> dict[str, Any]:
        """All that must come back: rows and files by their sums."""
        rows = {}
        for database in SERVICES.values():
            with connected(self.postgres, database) as connection:
                rows[database] = connection.execute(
                    "SELECT count(*), sum(hashtext(texto)::bigint), sum(length(datos)) FROM filas"
                ).fetchone()
        return {"rows": rows, "files": {service: _tree(self.files(service)) for service in SERVICES}}


@dataclass
class Figures:
    """What was measured, by step: seconds of the control and ours, and the most that ours took of what there is."""

    seconds: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    most: dict[str, float] = field(default_factory=dict)  # MB

    def took(self, step: str, whose: str, seconds: float) -> None:
        """One turn."""
        self.seconds.setdefault((step, whose), []).append(seconds)
        print(f"  {step}, {whose}: {seconds:.2f} s", file=sys.stderr, flush=True)

    def saw(self, what: str, mb: float) -> None:
        """Keep the most."""
        self.most[what] = max(mb, self.most.get(what, 0.0))

    def median(self, step: str, whose: str) -> float:
        """Seconds."""
        return statistics.median(self.seconds[step, whose])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything and print the table; gives the exit code."""
    options = _options(arguments)
    if options.work:
        return _work(json.loads(options.work))
    figures = Figures()
    try:
        with tempfile.TemporaryDirectory(prefix="smos-load-") as folder, postgres.cluster() as server:
            _measure(Bed(Path(folder), server), options, figures)
    except WrongResult as wrong:
        print(f"WRONG RESULT: {wrong}", file=sys.stderr)
        return 1
    print(_table(options, figures))
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=2000, help="megabytes, half in databases and half in files (2000)")
    parser.add_argument("--turns", type=int, default=3, help="how often each is measured (default 3)")
    parser.add_argument("--smoke", action="store_true", help="small, for every run of the tests")
    parser.add_argument(
        "--work", default="", help=argparse.SUPPRESS
    )  # what a process of ours does while it is measured
    options = parser.parse_args(arguments)
    if options.smoke:
        options.mb, options.turns = 10, 1
    return options


def _table(options: argparse.Namespace, figures: Figures) -> str:
    rows = [("what", "goal", "figure")]
    for step, goal in GOALS.items():
        control, ours = figures.median(step, "control"), figures.median(step, "ours")
        rows.append((step, f"{goal:g} times", f"{ours / control:.2f} times ({ours:.1f} s, control {control:.1f} s)"))
    for whose in ("Python", PROGRAMS):
        figure = f"{figures.most[whose]:.0f} MB"
        rows += [(f"memory of {whose}", f"{MEMORY_MB} MB", figure)]
    staged = f"{figures.most['staged by ours']:.0f} MB (control {figures.most['staged by control']:.0f} MB)"
    rows.append(("staged on disk, packs of restic included", f"{STAGED_MB} MB", staged))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    title = f"{options.mb} MB, median of {options.turns}, {os.cpu_count()} cores, Python {sys.version.split()[0]}"
    return "\n".join(["", title, lines[0], "-" * max(map(len, lines)), *lines[1:]])


# --- the measuring


def _measure(bed: Bed, options: argparse.Namespace, figures: Figures) -> None:
    _need_room(bed, options.mb)
    _fill(bed, options.mb)
    (bed.folder / "password").write_text(restic.PASSWORD)
    bed.repository("template").init()
    if options.smoke:  # half a second less for each restic command: no figure of such a run means anything
        make_cheap(bed.folder / "template", restic.PASSWORD)
    before = bed.state()
    for turn in range(options.turns):
        for whose in ("control", "ours"):
            shutil.copytree(bed.folder / "template", bed.folder / whose)
        steps: dict[str, dict[str, Callable[[], float]]] = {
            FIRST: {"control": partial(_control_backup, bed, figures), "ours": partial(_ours, bed, figures, "take")},
            SECOND: {"control": partial(_control_backup, bed, figures), "ours": partial(_ours, bed, figures, "take")},
            BACK: {"control": partial(_control_restore, bed), "ours": partial(_ours, bed, figures, "restore")},
        }
        for step, both in steps.items():
            for whose in sorted(both, reverse=bool(turn % 2)):
                figures.took(step, whose, both[whose]())
        if bed.state() != before:
            raise WrongResult("rows or files are not those that were backed up")
        for whose in ("control", "ours"):
            for made in bed.folder.glob(f"{whose}*"):
                shutil.rmtree(made)


def _need_room(bed: Bed, mb: int) -> None:
    free = shutil.disk_usage(bed.folder).free // MB
    if free < 8 * mb:
        raise SystemExit(f"{8 * mb} MB must be free below {bed.folder}, there are {free}")


def _ours(bed: Bed, figures: Figures, what: str) -> float:
    """A process of our code alone, so that its memory is its own."""
    given = {"folder": str(bed.folder), "postgres": asdict(bed.postgres), "what": what}
    words = [sys.executable, __file__, "--work", json.dumps(given, default=str)]
    with _staging(bed, "ours", figures) as environment:
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, env=environment, check=False)
    if done.returncode:
        raise WrongResult(f"{what} ended with {done.returncode}")
    told = json.loads(done.stdout)
    figures.saw("Python", told["self_kib"] * 1024 / MB)
    figures.saw(PROGRAMS, told["programs_kib"] * 1024 / MB)
    return float(told["seconds"])


def _work(given: Mapping[str, Any]) -> int:
    """What such a process does: told at its end how long it took, without the start of Python."""
    bed = Bed(Path(given["folder"]), Postgres(**{**given["postgres"], "bin": Path(given["postgres"]["bin"])}))
    repository = bed.repository("ours")
    engine: Any = Swarm(bed.volumes, tuple(SERVICES))
    known, ways = configs.of(json.loads(json.dumps(asdict(bed.config(repository))))), bed.ways(repository)
    began = time.perf_counter()
    if given["what"] == "take":
        taken = take.take(known, engine, [], ways=ways, reason="timer")
        if not taken.ok or taken.warnings:
            raise WrongResult(f"{taken.outcome.message} {taken.warnings}")
    else:
        world = Machine(known, engine, lambda _text: None, ways)
        Restoration(world, Journal(bed.folder / "restore.json"), lambda _text: None, safety=False).run(Asked("latest"))
    seconds = time.perf_counter() - began
    used = {who: resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)}
    told = {"self_kib": used[resource.RUSAGE_SELF], "programs_kib": used[resource.RUSAGE_CHILDREN]}
    print(json.dumps({"seconds": seconds, **told}))
    return 0


@contextmanager
def _staging(bed: Bed, whose: str, figures: Figures) -> Iterator[dict[str, str]]:
    """The environment of what is measured: its temporary files are looked at while the block runs, the removed ones that
    are still open as well.
    """
    temporary = bed.folder / f"{whose}.tmp"
    temporary.mkdir(exist_ok=True)
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_S):
            figures.saw(f"staged by {whose}", _staged(temporary) / MB)

    looker = threading.Thread(target=look)
    figures.saw(f"staged by {whose}", 0)
    looker.start()
    try:
        yield {**os.environ, "TMPDIR": str(temporary)}
    finally:
        ended.set()
        looker.join()


def _staged(folder: Path) -> int:
    """Bytes on disk that some process holds open below a folder, or that lie there."""
    found: dict[tuple[int, int], int] = {}

    def add(path: Path) -> None:
        with suppress(OSError):
            about = path.stat()
            found[about.st_dev, about.st_ino] = about.st_blocks * 512

    for each in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if str(each.readlink()).startswith(f"{folder}/"):
                add(each)
    for each in folder.rglob("*"):
        if each.is_file():
            add(each)
    return sum(found.values())


# --- the control


def _control_backup(bed: Bed, figures: Figures) -> float:
    with _staging(bed, "control", figures) as environment:
        began = time.perf_counter()
        for service, database in SERVICES.items():
            dump = [str(bed.postgres.bin / "pg_dump"), "-Fc", "-d", database]
            save = ["backup", "--stdin", "--stdin-filename", f"{database}.dump", "--tag", database]
            _piped(dump, _restic(bed, *save), {**environment, **bed.environment})
            words = _restic(bed, "backup", "--tag", service, ".")
            _done(subprocess.run(words, cwd=bed.files(service), env=environment, capture_output=True, check=False))
        return time.perf_counter() - began


def _control_restore(bed: Bed) -> float:
    environment = {**os.environ, **bed.environment}
    began = time.perf_counter()
    for service, database in SERVICES.items():
        new = f"{database}_control"
        _done(
            subprocess.run([str(bed.postgres.bin / "createdb"), new], env=environment, capture_output=True, check=False)
        )
        read = _restic(bed, "dump", "--tag", database, "latest", f"/{database}.dump")
        _piped(read, [str(bed.postgres.bin / "pg_restore"), "--exit-on-error", "-d", new], environment)
        words = _restic(bed, "restore", "--tag", service, "latest", "--target", str(bed.folder / f"control.{service}"))
        _done(subprocess.run(words, env=environment, capture_output=True, check=False))
    seconds = time.perf_counter() - began
    for database in SERVICES.values():
        drop = [str(bed.postgres.bin / "dropdb"), f"{database}_control"]
        _done(subprocess.run(drop, env=environment, capture_output=True, check=False))
    return seconds


def _restic(bed: Bed, *words: str) -> list[str]:
    there = bed.repository("control")
    where = ["--repo", there.location, "--password-file", there.password_file, "--cache-dir", str(there.cache)]
    return [restic.tool(), *where, "--quiet", *words]


def _piped(writer: Sequence[str], reader: Sequence[str], environment: Mapping[str, str]) -> None:
    with subprocess.Popen(writer, stdout=subprocess.PIPE, env=environment) as wrote:
        _done(subprocess.run(reader, stdin=wrote.stdout, env=environment, capture_output=True, check=False))
    if wrote.returncode:
        raise WrongResult(f"the control's {Path(writer[0]).name} ended with {wrote.returncode}")


def _done(done: subprocess.CompletedProcess[bytes]) -> None:
    if done.returncode:
        raise WrongResult(f"the control's {done.args[0]} ended with {done.returncode}: {done.stderr.decode()}")


# --- the data


def _fill(bed: Bed, mb: int) -> None:
    """A quarter in each database and in each volume: half of it text, which can be made smaller, and half what cannot."""
    chance = random.Random(7)
    for service, database in SERVICES.items():
        _fill_database(bed, database, mb * MB // 4)
        paths = list(_fill_folder(bed.files(service), chance, mb * MB // 4))
        with connected(bed.postgres, database) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE adjuntos (id serial PRIMARY KEY, ruta text)")
            with cursor.copy("COPY adjuntos (ruta) FROM STDIN") as copy:
                for path in paths:
                    copy.write_row([path])


def _fill_database(bed: Bed, database: str, size: int) -> None:
    """Rows of about 2 kB: an order's text, and bytes as of a picture or a key. One index."""
    with connected(bed.postgres, "postgres") as admin:
        admin.execute(f"CREATE DATABASE {database} TEMPLATE template0")
    words = ", ".join(f"'{each}'" for each in WORDS)
    with connected(bed.postgres, database) as connection:
        connection.execute("CREATE TABLE filas (id bigserial PRIMARY KEY, texto text, datos bytea)")
        connection.execute(
            "INSERT INTO filas (texto, datos) SELECT"
            f" (SELECT string_agg((ARRAY[{words}])[1 + (hashtext(n || '.' || w) & 1023) % {len(WORDS)}] || ' ' || w + n, ' ')"
            " FROM generate_series(1, 72) w),"
            " (SELECT string_agg(sha256((n || '-' || b)::bytea), '') FROM generate_series(1, 32) b)"
            f" FROM generate_series(1, {max(size // 2100, 1)}) n"
        )
        connection.execute("CREATE INDEX ON filas (left(texto, 40))")


def _fill_folder(folder: Path, chance: random.Random, size: int) -> Iterator[str]:
    """Files of 4 kB to 2 MB, as shops have: many small ones, few large ones. Gives their paths."""
    folder.mkdir(parents=True)
    number = 0
    while size > 0:
        length = min(int(4000 * 2 ** chance.uniform(0, 9)), size)
        name = f"{number % 256:02x}/{number:06x}"
        (folder / name).parent.mkdir(exist_ok=True)
        lines = " ".join(f"{each} {number}" for each in WORDS).encode() + b"\n"
        content = chance.randbytes(length) if number % 2 else (lines * (length // len(lines) + 1))[:length]
        (folder / name).write_bytes(content)
        yield name
        size -= length
        number += 1


def _tree(folder: Path) -> str:
    """One sum over names, modes, times and contents."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        total.update(f"{path.relative_to(folder)} {about.st_mode} {about.st_mtime_ns} {about.st_uid}\n".encode())
        if path.is_file():
            total.update(path.read_bytes())
    return total.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
