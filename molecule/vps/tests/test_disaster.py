"""The machine is lost with all that is on it, and comes back from the remote: docs/disaster-recovery.md, command by command.

Comes after everything else: the machine of the other tests is thrown away here.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import secrets
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

STATE = Path(os.environ["SMOS_STATE_DIR"])
SPECS = Path(os.environ["SMOS_SPECS_REPO"])
HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "docs/disaster-recovery.md"
VARIABLES = HERE.parent / "vars/acme.yml"
VAULT = STATE / "sandbox/vault.yml"
REMOTE = "offsite"
SERVICES = yaml.safe_load((SPECS / "services/registry.yml").read_text())["services"]
KEPT = [entry["backup"] for entry in SERVICES.values() if entry.get("backup")]
DATABASES = {name: each.get("server", "postgresql_postgresql") for each in KEPT for name in each.get("databases", ())}
PLACES = [
    *(f"/var/lib/docker/volumes/{name}/_data" for each in KEPT for name in each.get("volumes", ())),
    *(path for each in KEPT for path in each.get("folders", ())),
]
OF_A_START = ("./crash.journal", "./n8nEventLog.log", "./n8nEventLog-1.log", "./portainer.json", "./portainer.lock")
ENTRY = re.compile(r"-- (?:Data for )?Name: (.*?); Type: (.*?); Schema: (.*?); Owner:")
DRILL_S = 180  # what a drill of this test bed may take


# --- the machine


def known() -> dict[str, Any]:
    """The machine as the sandbox reaches it now: a new one has other ports."""
    return dict(json.loads((STATE / "sandbox/vps/machines.json").read_text())["machines"][0])


def on_machine(script: str, given: str = "") -> str:
    """What a shell of root on the machine prints."""
    machine = known()
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    login = ["ssh", *options, "-i", machine["key"], "-p", str(machine["port"]), f"root@{machine['host']}"]
    done = subprocess.run([*login, f"set -eu\n{script}"], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inside(service: str) -> str:
    """The words that run something in a service's container."""
    return f"docker exec -i $(docker ps -q -f label=com.docker.swarm.service.name={service})"


def server(database: str) -> str:
    """The same for a database's server, as its superuser."""
    user = "dokploy" if DATABASES[database] == "dokploy_dokploy-postgres" else "postgres"
    return f"{inside(DATABASES[database]).replace('-i', f'-i -u postgres -e PGUSER={user}')}"


def psql(database: str, sql: str) -> str:
    return on_machine(f"{server(database)} psql -d {database} -qtA -v ON_ERROR_STOP=1", sql).strip()


def redis(words: str) -> str:
    asked = f"REDISCLI_AUTH=$(cat /run/secrets/redis_password) redis-cli -n 7 --no-raw {words}"
    return on_machine(f"{inside('redis_redis')} sh -c '{asked}'").strip()


def dumped(database: str) -> dict[str, str]:
    """A checksum of each entry of the database's dump, so that a difference has a name.

    Without the rows of schema health: each machine's collector goes on writing there, whenever its timer says.
    """
    sums: dict[str, Any] = {}
    name = ""
    for line in on_machine(f"{server(database)} pg_dump --exclude-table-data='health.*' {database}").splitlines():
        found = ENTRY.match(line)
        name = " ".join(found.groups()) if found else name
        if not line.startswith(("\\restrict ", "\\unrestrict ")):  # a random word
            sums.setdefault(name, hashlib.sha256()).update(line.encode() + b"\n")
    return {name: each.hexdigest() for name, each in sums.items()}


def files(folder: str) -> dict[str, str]:
    """Kind, mode, owner, target, time and content of everything in a folder, by path; without what each start writes anew."""
    told = on_machine(
        f"cd {folder}\n"
        "find . -printf '%p\\t%y %m %U:%G %n %l\\t%T+\\n' | sort\n"
        "echo\nfind . -type f -print0 | sort -z | xargs -0r sha256sum"
    )
    rows, _empty, sums = told.partition("\n\n")
    contents = {name: value for value, name in (line.split("  ", 1) for line in sums.splitlines())}
    found = {}
    for path, about, written in (row.split("\t") for row in rows.splitlines()):
        # The folder itself is another one: its own time is that of the deploy
        found[path] = about if path == "." else f"{about} {written} {contents.get(path, '')}"
    return {path: each for path, each in found.items() if path not in OF_A_START}


# --- what is on it

SHOP = """
CREATE EXTENSION pgcrypto; CREATE EXTENSION hstore; CREATE EXTENSION pg_trgm; CREATE EXTENSION vector;
CREATE SCHEMA tienda AUTHORIZATION smarteros;
SET ROLE smarteros;
CREATE TYPE tienda.estado AS ENUM ('nuevo', 'pagado', 'enviado ✓');
CREATE TABLE tienda.pedido (
  id bigint GENERATED BY DEFAULT AS IDENTITY (START WITH 1000 INCREMENT BY 7) PRIMARY KEY, cliente text NOT NULL,
  estado tienda.estado NOT NULL, total numeric(18, 4) CHECK (total >= 0), hecho timestamptz, datos jsonb, etiquetas hstore,
  parecido vector(3), foto bytea, bruto numeric GENERATED ALWAYS AS (total * 1.19) STORED);
CREATE INDEX ON tienda.pedido USING gin (cliente gin_trgm_ops);
CREATE INDEX ON tienda.pedido USING hnsw (parecido vector_l2_ops);
CREATE SEQUENCE tienda.folio MINVALUE -5 INCREMENT BY -1 MAXVALUE 3 START WITH 3 CYCLE;
SELECT nextval('tienda.folio'), nextval('tienda.folio');
INSERT INTO tienda.pedido (cliente, estado, total, hecho, datos, etiquetas, parecido, foto)
  SELECT 'Ñandú & Compañía 株式会社 🛒 ' || n, 'enviado ✓', n * 1.2345, '1999-12-31 23:59:59.999999-03'::timestamptz + n * interval '1 h',
    jsonb_build_object('nombre', 'Ürgüp “' || n || '”', 'vacío', NULL), hstore('talla', E'á\\té"'), ARRAY[n, 1, 2]::vector,
    gen_random_bytes(1000) || gen_random_bytes(1000) || gen_random_bytes(1000) || gen_random_bytes(1000)
  FROM generate_series(1, 15000) n;
DELETE FROM tienda.pedido WHERE id % 5 = 0;
CREATE MATERIALIZED VIEW tienda.ventas AS SELECT estado, sum(total) FROM tienda.pedido GROUP BY estado;
COMMENT ON TABLE tienda.pedido IS 'Pedidos de la tienda: 100 % reales ✓';
GRANT SELECT ON tienda.pedido TO n8n;
CREATE TABLE tienda.contrato (id int PRIMARY KEY, papel oid NOT NULL);
INSERT INTO tienda.contrato SELECT n, lo_from_bytea(0, gen_random_bytes(1024)) FROM generate_series(1, 50) n;
INSERT INTO tienda.contrato
  SELECT 51, lo_from_bytea(0, (SELECT string_agg(gen_random_bytes(1024), '') FROM generate_series(1, 5000)));
SELECT lo_unlink(papel) FROM tienda.contrato WHERE id = 3;
"""

# One folder of attachments as Odoo keeps them, with their rows; and what a file system can hold at all
FILES = r"""
import os, sys
volumes = "/var/lib/docker/volumes"
store = f"{volumes}/odoo-data/_data/filestore/odoo"
for number in range(150):
    content = os.urandom(40_000)
    name = f"{number:040x}"
    os.makedirs(f"{store}/{name[-2:]}", exist_ok=True)
    with open(f"{store}/{name[-2:]}/{name}", "wb") as file:
        file.write(content)
    print(f"{name[-2:]}/{name}")
for folder, folders, names in os.walk(f"{volumes}/odoo-data/_data/filestore"):
    for each in (folder, *(f"{folder}/{name}" for name in names)):
        os.chown(each, 101, 101)
os.makedirs(f"{store}/checklist", mode=0o750)
root = f"{volumes}/chatwoot-storage/_data"
for name, mode, owner in (
    ("ñandú 株式会社 💚.txt", 0o640, (1000, 1001)), ("only root's", 0o400, (0, 0)), ("run me", 0o6755, (12345, 54321))
):
    with open(f"{root}/{name}", "w") as file:
        file.write(name)
    os.chown(f"{root}/{name}", *owner)
    os.chmod(f"{root}/{name}", mode)
    os.utime(f"{root}/{name}", (0, 915148800.5))
os.symlink("nowhere/at all", f"{root}/dangling")
os.link(f"{root}/run me", f"{root}/the same")
os.mkdir(f"{root}/empty")
os.chown(f"{root}/empty", 33, 33)
os.chmod(f"{root}/empty", 0o2770)
with open(f"{root}/holes", "wb") as file:
    file.seek(3_000_000)
    file.write(b"end")
os.chown(root, 1000, 1000)
os.chmod(root, 0o711)
"""


def secret(name: str) -> str:
    words = ["ansible-vault", "view", "--vault-password-file", str(STATE / "sandbox/.vault-password"), str(VAULT)]
    return str(yaml.safe_load(subprocess.run(words, capture_output=True, text=True, check=True).stdout)[name])


def n8n(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Ask n8n as its users do, through the proxy."""
    loose = ssl.create_default_context()
    loose.check_hostname, loose.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPConnection("n8n.smarterbot.cl", timeout=30)
    line = socket.create_connection(("127.0.0.1", known()["https_port"]), timeout=30)
    with loose.wrap_socket(line, server_hostname="n8n.smarterbot.cl") as connection.sock:
        given = {"Content-Type": "application/json", **{name.replace("_", "-"): each for name, each in headers.items()}}
        connection.request(method, path, None if body is None else json.dumps(body), given)
        answer = connection.getresponse()
        text = answer.read().decode()
    return answer.status, json.loads(text) if text.startswith(("{", "[")) else text


def api(path: str, body: Any = None) -> Any:
    code, found = n8n("POST", f"/api/v1{path}", body or {}, X_N8N_API_KEY=secret("n8n_api_key"))
    assert code == 200, found
    return found


def make_a_workflow(word: str) -> None:
    """It answers twice the number that it is sent, to those who know the word, which n8n keeps encrypted."""
    kept = api(
        "/credentials", {"name": "Tienda", "type": "httpHeaderAuth", "data": {"name": "X-Tienda", "value": word}}
    )
    hook = {"httpMethod": "POST", "path": "doble", "authentication": "headerAuth", "responseMode": "lastNode"}
    twice = {"name": "doble", "value": "={{ $json.body.number * 2 }}", "type": "number", "id": "1"}
    nodes = [
        {
            "id": "a",
            "name": "Webhook",
            "type": "n8n-nodes-base.webhook",
            "typeVersion": 2,
            "position": [0, 0],
            "parameters": hook,
            "webhookId": "doble",
            "credentials": {"httpHeaderAuth": {"id": kept["id"], "name": "Tienda"}},
        },
        {
            "id": "b",
            "name": "Doble",
            "type": "n8n-nodes-base.set",
            "typeVersion": 3.4,
            "position": [200, 0],
            "parameters": {"assignments": {"assignments": [twice]}, "options": {}},
        },
    ]
    joined = {"Webhook": {"main": [[{"node": "Doble", "type": "main", "index": 0}]]}}
    made = api("/workflows", {"name": "Doble ñ", "nodes": nodes, "connections": joined, "settings": {}})
    api(f"/workflows/{made['id']}/activate")


def fill(word: str) -> None:
    psql("smarteros", SHOP)
    psql("smarteros", "INSERT INTO health.days SELECT current_date - 2, 'service:n8n', 80000, 0, 6400, 0")
    stored = on_machine("python3 -", FILES).split()
    rows = ", ".join(f"('foto {number} ñ', '{name}')" for number, name in enumerate(stored))
    table = "CREATE TABLE ir_attachment (id serial PRIMARY KEY, name text, store_fname text)"
    psql("odoo", f"SET ROLE odoo; {table}; INSERT INTO ir_attachment (name, store_fname) VALUES {rows}")
    psql("dokploy", "CREATE TABLE project (id int, name text); INSERT INTO project VALUES (1, 'año nuevo')")
    redis("RPUSH cola uno dos tres")
    make_a_workflow(word)


# --- the walk


@dataclass(frozen=True)
class Held:
    """What a machine holds."""

    databases: dict[str, dict[str, str]]
    files: dict[str, dict[str, str]]
    queue: str

    @classmethod
    def now(cls) -> Held:
        return cls(
            {name: dumped(name) for name in DATABASES}, {path: files(path) for path in PLACES}, redis("DUMP cola")
        )


@dataclass(frozen=True)
class Lost:
    """A machine that is no more, and its last backup."""

    held: Held
    word: str
    document: dict[str, Any]

    @property
    def backup(self) -> str:
        return str(self.document["result"]["backup"])


@dataclass
class Walk:
    """The way back: the document that each command of the page wrote, and the seconds that each took."""

    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def take(self, words: Sequence[str]) -> None:
        name = " ".join(words[:2])
        began = time.monotonic()
        self.documents[name] = smos(*words)
        self.seconds[name] = round(time.monotonic() - began, 1)


def smos(*words: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "smos", "-e", f"@{VARIABLES}", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return dict(json.loads(done.stdout))


def commands(backup: str) -> Iterator[list[str]]:
    """What the page has one type from the second step on, with this sandbox's names for those of production."""
    page = PAGE.read_text()
    steps = page[page.index("\n## 2. ") : page.index("\n## Only a part")]
    before = ".smos/vault-before.yml"
    names = {
        "20261122-050000": backup,
        "inventories/production/.vault.yml": str(VAULT),
        before: str(STATE / Path(before).name),
    }
    for line in "".join(re.findall(r"```sh\n(.*?)```", steps, re.DOTALL)).splitlines():
        # The safe is where it always was here
        if line and "…" not in line and "system/env/production" not in line:
            yield [names.get(word, word) for word in shlex.split(line, comments=True)]


def throw_away(machine: dict[str, Any]) -> None:
    """The container and its disk; what is beside it, the storage among that, is somebody else's."""
    for words in (["rm", "--force", "--volumes"], ["volume", "rm"]):
        subprocess.run(["docker", *words, machine["container"]], check=True, capture_output=True)


@pytest.fixture(scope="module")
def lost() -> Lost:
    """Filled, used, backed up, gone."""
    word = secrets.token_hex(16)
    fill(word)
    assert twice(21, word) == (200, {"doble": 42})
    written = (
        "SELECT count(*) FROM \"user\" WHERE settings::jsonb ? 'userActivated'"  # the last thing that n8n writes of it
    )
    until(lambda: psql("n8n", written) == "1")
    held = Held.now()
    document = smos("backup", "all")
    machine = known()
    throw_away(machine)
    smos("sandbox", "up", "--vps", "--suite", machine["suite"])
    assert on_machine("command -v dockerd restic || ls -A /backups /etc/smarteros 2>/dev/null || true") == ""
    return Lost(held, word, document)


@pytest.fixture(scope="module")
def walk(lost: Lost) -> Walk:
    """The page, command by command; each must succeed."""
    walk = Walk()
    for words in commands(lost.backup):
        if words[0] == "cp":
            shutil.copy(*words[1:])
        else:
            assert words[:3] == ["./smos", "--env", "production"]
            walk.take(words[3:])
    walk.take(["restore", "latest", "--drill"])
    (STATE / "disaster.json").write_text(json.dumps(walk.seconds, indent=1) + "\n")
    return walk


def twice(number: int, word: str) -> tuple[int, Any]:
    return n8n("POST", "/webhook/doble", {"number": number}, X_Tienda=word)


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.5)


def test_the_backup_was_whole_and_elsewhere(lost: Lost) -> None:
    result = lost.document["result"]
    assert (result["state"], result["verified"], result["locations"]) == ("complete", True, ["local", REMOTE])
    assert result["services"]["postgresql"]["bytes"] > 50_000_000
    assert result["services"]["odoo"]["attachments"] == {"rows": 150, "missing": 0}


def test_the_new_machine_found_it_in_the_remote(lost: Lost, walk: Walk) -> None:
    rows = {row["id"]: row for row in walk.documents["backups"]["result"]["backups"]}
    assert max(rows) == lost.backup
    assert (rows[lost.backup]["state"], rows[lost.backup]["location"]) == ("complete", [REMOTE])


def test_everything_is_as_it_was(lost: Lost, walk: Walk) -> None:
    now = Held.now()
    assert lost.held.databases.keys() == now.databases.keys()
    for kind in ("databases", "files"):
        for name, before in getattr(lost.held, kind).items():
            assert getattr(now, kind)[name] == before, name
    assert now.queue == lost.held.queue


def test_the_past_of_its_services_came_along(walk: Walk) -> None:
    assert (
        psql("smarteros", "SELECT subject, up_s, down_s FROM health.days WHERE day = current_date - 2")
        == "service:n8n|80000|6400"
    )


def test_n8n_reads_its_credential_and_runs_the_workflow(lost: Lost, walk: Walk) -> None:
    assert twice(21, "another word")[0] == 403
    assert twice(21, lost.word) == (200, {"doble": 42})


def test_the_key_of_before_is_let_in(walk: Walk) -> None:
    assert n8n("GET", "/api/v1/workflows", X_N8N_API_KEY=secret("n8n_api_key"))[0] == 200


def test_it_is_healthy_and_its_backups_are_where_they_should_be(lost: Lost, walk: Walk) -> None:
    states = {name: each["state"] for name, each in walk.documents["status"]["result"]["services"].items()}
    assert set(states.values()) == {"up"}, states
    told = smos("status")["result"]["backups"]
    assert (told["verified"], told["location"], told["errors"]) == (True, ["local", REMOTE], [])
    rows = {row["id"]: row for row in smos("backups")["result"]["backups"]}
    assert (rows[lost.backup]["verified"], rows[lost.backup]["location"]) == (True, [REMOTE])
    assert rows[walk.documents["backup all"]["result"]["backup"]]["location"] == ["local", REMOTE]


def test_it_took_no_longer_than_it_may(walk: Walk) -> None:
    drill = walk.documents["restore latest"]["result"]
    assert drill["ok"]
    assert drill["seconds"] <= DRILL_S
    objectives = yaml.safe_load((SPECS / "infra/backup.yml").read_text())["objectives"]
    assert sum(walk.seconds.values()) <= objectives["rto_h"] * 3600
