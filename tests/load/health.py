# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How long the collector takes for one look, and how much memory: 14 services' worth of rows and many tenants that answer by TLS.

    python tests/load/health.py                  # 1,000 tenants
    python tests/load/health.py --smoke          # few: only whether it still works

Tenants are one HTTPS server on loopback with 50 ms of latency; services and backups are stood in for, as there is no Engine here. The
database is a real PostgreSQL of its own. Times are never asserted; it fails when something is missing in the database.
"""

from __future__ import annotations

import argparse
import http.server
import os
import resource
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "collections"), str(ROOT / "tests")]

from ansible_collections.smartercl.smarteros.plugins.module_utils import probe, vps_status
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.place import Place
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import config, program
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.kept import Kept
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.store import Store
from real import postgres

SERVICES = 14
LATENCY_S = 0.05
Questions = Mapping[str, probe.Question]
GOALS = {"a pass": "10 s", "memory": "150 MB"}


class Shop(http.server.BaseHTTPRequestHandler):
    """A shop that takes a moment."""

    def do_GET(self) -> None:
        """Answer."""
        time.sleep(LATENCY_S)
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


def serve(folder: Path) -> int:
    """The shops' server in a process of its own; gives its port."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    request = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "90",
    ]
    names = ["-subj", "/CN=shop.example.com", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*request, *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    server.daemon_threads = True
    server.request_queue_size = 1024
    server.socket.listen(1024)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def measure(tenants: int, folder: Path, server: postgres.Postgres) -> tuple[list[float], int]:
    """Seconds of three passes, and the rows of tenants that the database has then."""
    port = serve(folder)
    service = {"state": "up", "latency_ms": 5.0, "version": "1", "message": ""}
    status = {
        "services": {f"service-{number}": service for number in range(SERVICES)},
        "certificates": {},
        "backups": {},
        "host": {"engine": "29"},
    }
    vps_status.status = lambda *_given: status  # there is no Engine here
    asked = probe.ask_all

    def ask_all(questions: Questions, timeout_s: float, at_once: int = probe.MOST_AT_ONCE) -> dict[str, probe.Probe]:
        there = {name: probe.Question(each.host, each.path, "127.0.0.1", port) for name, each in questions.items()}
        return asked(there, timeout_s, at_once)

    probe.ask_all = ask_all
    shops = {
        f"{76_000_000 + number}-0": config.Watched(f"shop-{number}.example.com", "/", title=f"Shop {number}")
        for number in range(tenants)
    }
    known = config.Config("production", ZoneInfo("America/Santiago"), config.Rules(), tenants=shops)
    database = server.create_database(f"health_{os.getpid()}")
    known_by = {"PGHOST": server.host, "PGPORT": str(server.port), "PGPASSWORD": server.password}
    here = Place(environment={**known_by, "PATH": f"{server.bin}{os.pathsep}{os.environ['PATH']}"})
    store = Store(Server(Engine(), "postgresql", here, server.user), database)
    files, took, now = Kept(folder / "state"), [], int(time.time())
    for number in range(3):
        began = time.perf_counter()
        with files.alone():
            code = program.one_pass(known, files, Engine(), store, now + 300 * number)
        took.append(time.perf_counter() - began)
        if code:
            return took, -1
    found = store.history(2, "America/Santiago")["subjects"]
    return took, sum(each["kind"] == "tenant" and each["state"] == "up" for each in found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when a result is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=1000)
    parser.add_argument("--smoke", action="store_true", help="few tenants, for every run of the tests")
    options = parser.parse_args(arguments)
    tenants = 20 if options.smoke else options.tenants
    with tempfile.TemporaryDirectory(prefix="smos-load-") as folder, postgres.cluster() as server:
        took, found = measure(tenants, Path(folder), server)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{SERVICES} services, {tenants} tenants, {os.cpu_count()} cores")
    print("passes:", ", ".join(f"{each:.1f} s" for each in took), f"(goal {GOALS['a pass']})")
    print(f"memory {memory:.0f} MB, with the shops' own server; goal {GOALS['memory']}")
    if found != tenants:
        print(f"WRONG RESULT: the database knows {found} tenants", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
