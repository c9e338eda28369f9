"""A real Odoo 11 on PostgreSQL: the JSON-RPC transport and the database, user and company calls.

Old and unpatched, for loopback only. It proves the protocol ("Odoo 11 protocol"), not the models of Odoo 17.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from real import installs
from real.postgres import Postgres
from real.processes import free_port, running, wait_until

START = 'import os; os.environ["TZ"] = "UTC"; import odoo; odoo.cli.main()'


@dataclass(frozen=True)
class Odoo11:
    """A server that answers; `url` is the base address, `master_password` guards the database calls."""

    url: str
    database: str
    login: str
    password: str
    master_password: str
    log: Path


@contextmanager
def server(postgres: Postgres) -> Iterator[Odoo11]:
    """Odoo 11 with a Chilean database; stopped and forgotten afterwards. Making the database takes half a minute."""
    python = installs.odoo11()
    folder = Path(tempfile.mkdtemp(prefix="smos-odoo-"))
    try:
        port, database, log = free_port(), f"odoo11_{free_port()}", folder / "odoo.log"
        config = folder / "odoo.conf"
        config.write_text(_config(folder, port, postgres))
        odoo = [str(python), "-c", START, "-c", str(config), "-d", database]
        modules = ["-i", "base,l10n_cl,account_invoicing", "--without-demo=all", "--stop-after-init"]
        with (folder / "init.log").open("w") as out:
            subprocess.run([*odoo, *modules], stdout=out, stderr=out, cwd=folder, check=True, timeout=1200)
        url = f"http://127.0.0.1:{port}"
        with running(odoo, log=log, cwd=folder) as process:
            # The first request always fails (a stray addon of this packaging), later ones work.
            wait_until(lambda: _speaks_json_rpc(url), "Odoo 11", process=process, log=log)
            yield Odoo11(url, database, "admin", "admin", "loopback-master", log)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _config(folder: Path, port: int, postgres: Postgres) -> str:
    return f"""[options]
admin_passwd = loopback-master
data_dir = {folder}/data
db_host = {postgres.host}
db_port = {postgres.port}
db_user = {postgres.user}
db_password = {postgres.password}
xmlrpc_interface = 127.0.0.1
xmlrpc_port = {port}
longpolling_port = {free_port()}
max_cron_threads = 0
workers = 0
"""


def _speaks_json_rpc(url: str) -> bool:
    call = {
        "jsonrpc": "2.0",
        "method": "call",
        "id": 1,
        "params": {"service": "common", "method": "version", "args": []},
    }
    try:
        answer = requests.post(f"{url}/jsonrpc", json=call, timeout=20)
        return answer.ok and "server_version" in answer.json().get("result", {})
    except requests.RequestException:
        return False
