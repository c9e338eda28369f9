"""A PostgreSQL cluster of our own in a temporary folder, on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from real.installs import Unavailable
from real.processes import free_port, running, wait_until

USER = "smos"
PASSWORD = "loopback-test"


@dataclass(frozen=True)
class Postgres:
    """One cluster; `user` may create databases and signs in over TCP with `password`."""

    bin: Path
    port: int
    host: str = "127.0.0.1"
    user: str = USER
    password: str = PASSWORD

    def create_database(self, name: str) -> str:
        """Make an empty database and give its name back."""
        env = {**os.environ, "PGPASSWORD": self.password}
        where = ["-h", self.host, "-p", str(self.port), "-U", self.user]
        subprocess.run([str(self.bin / "createdb"), *where, name], check=True, capture_output=True, env=env)
        return name


def binaries() -> Path:
    """Folder of the newest server binaries: on PATH or where Debian puts them."""
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]), reverse=True
    )
    found = shutil.which("initdb")
    for candidate in [*debian, *([Path(found)] if found else [])]:
        return candidate.parent
    raise Unavailable("PostgreSQL's server is needed (Debian: apt install postgresql)")


@contextmanager
def cluster(settings: Mapping[str, str] | None = None) -> Iterator[Postgres]:
    """A running cluster, with further settings; folder and process are gone afterwards."""
    where = binaries()
    # Not pytest's tmp_path: its parents are closed to the account that the server runs under.
    folder = Path(tempfile.mkdtemp(prefix="smos-pg-"))
    try:
        data, password, log = folder / "data", folder / "password", folder / "log"
        password.write_text(PASSWORD)
        as_server = _unprivileged(folder)
        text, owner = ["-E", "UTF8", "--locale=C.UTF-8"], ["-U", USER, "-A", "scram-sha-256", f"--pwfile={password}"]
        subprocess.run(
            [*as_server, str(where / "initdb"), "-D", str(data), *text, *owner, "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
        )
        port = free_port()
        # Speed before safety: nothing here outlives the test.
        careless = ["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"]
        listen = ["-c", "listen_addresses=127.0.0.1", "-c", f"port={port}", "-c", f"unix_socket_directories={folder}"]
        more = [word for name, value in (settings or {}).items() for word in ("-c", f"{name}={value}")]
        with running(
            [*as_server, str(where / "postgres"), "-D", str(data), *listen, *careless, *more], log=log, cwd=folder
        ) as server:
            answers = [str(where / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
            wait_until(
                lambda: subprocess.run(answers).returncode == 0, "PostgreSQL", process=server, log=log, seconds=120
            )
            yield Postgres(where, port)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unprivileged() -> Sequence[str]:
    """Words that start a server under the account that its files belong to."""
    for account in ("postgres", "nobody") if os.geteuid() == 0 else ():
        if subprocess.run(["id", "-u", account], capture_output=True).returncode == 0:
            return ["setpriv", "--reuid", account, "--regid", _group(account), "--clear-groups"]
    return []


def _unprivileged(folder: Path) -> Sequence[str]:
    """PostgreSQL refuses to run as root: then hand it the folder and drop to the account that is meant for it."""
    if os.geteuid() != 0:
        return []
    for account in ("postgres", "nobody"):
        if subprocess.run(["id", "-u", account], capture_output=True).returncode == 0:
            shutil.chown(folder, account)
            for inside in folder.iterdir():
                shutil.chown(inside, account)
            folder.chmod(0o755)
            # setpriv replaces itself by the server, so signals to its process id arrive there.
            return ["setpriv", "--reuid", account, "--regid", _group(account), "--clear-groups"]
    raise Unavailable("PostgreSQL needs an account other than root (postgres or nobody)")


def _group(account: str) -> str:
    return subprocess.run(["id", "-g", account], capture_output=True, text=True, check=True).stdout.strip()
