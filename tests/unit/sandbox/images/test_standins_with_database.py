"""Stand-ins whose product keeps what it knows in PostgreSQL, against a real one; Redis is played."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import chatwoot, dokploy, n8n, odoo
from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap.shape import Trouble
from real.postgres import Postgres, cluster
from real.tools import needing_tools
from smos.sandbox.images.standin.postgres import Database, DatabaseError
from smos.sandbox.images.standin.state import InFile, InTable
from unit.sandbox.images.standins import Place

pytestmark = pytest.mark.slow
HTTPS = {"X-Forwarded-Proto": "https"}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with needing_tools(), cluster() as found:
        yield found


@pytest.fixture
def database(postgres: Postgres, tmp_path: Path) -> Database:
    name = postgres.create_database(f"s{abs(hash(tmp_path)):x}")
    return Database(postgres.host, name, postgres.user, postgres.password, postgres.port)


class _Redis(socketserver.StreamRequestHandler):
    """As much of it as the stand-in asks."""

    def handle(self) -> None:
        known: dict[str, str] = self.server.known  # type: ignore[attr-defined] # ours, on a library class
        while line := self.rfile.readline():
            words = []
            for _word in range(int(line[1:])):
                length = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(length + 2)[:-2].decode())
            if words[0] == "SET":
                known[words[1]] = words[2]
            if words[0] == "DEL":
                known.pop(words[1], None)
            good = words[0] != "AUTH" or words[1] == "hush"
            value = known.get(words[1]) if words[0] == "GET" else None
            answer = "$-1\r\n" if words[0] == "GET" else "+OK\r\n"
            answer = f"${len(value)}\r\n{value}\r\n" if value is not None else answer
            self.wfile.write((answer if good else "-WRONGPASS invalid\r\n").encode())


@pytest.fixture
def redis() -> Iterator[socketserver.ThreadingTCPServer]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Redis) as server:
        server.daemon_threads = True
        server.known = {}  # type: ignore[attr-defined] # ours, on a library class
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


# --- the database itself


def test_a_wrong_password_is_refused(database: Database) -> None:
    wrong = Database(database.host, database.name, database.user, "another", database.port)
    with pytest.raises(DatabaseError, match="password authentication failed") as caught:
        wrong.connect()
    assert caught.value.code == "28P01"


def test_values_come_back_as_they_went(database: Database) -> None:
    text = "Ñandú 'quoted' \\ $1 \n end"
    assert database.ask("SELECT $1::text, $2::text, 3", text, None) == [[text, None, "3"]]


def test_a_refused_statement_leaves_the_connection_usable(database: Database) -> None:
    with database.connect() as connection:
        with pytest.raises(DatabaseError, match="does not exist"):
            connection.ask("SELECT * FROM nowhere")
        assert connection.ask("SELECT 1") == [["1"]]


def test_two_that_change_at_once_lose_nothing(database: Database, tmp_path: Path) -> None:
    for state in (InTable(database, "x"), InFile(tmp_path / "x.json")):

        def add(state: InTable | InFile = state) -> None:
            for _time in range(10):
                with state.change() as memory:
                    memory["n"] = memory.get("n", 0) + 1

        threads = [threading.Thread(target=add) for _thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert state.read() == {"n": 40}


def test_a_change_that_fails_is_no_change(database: Database, tmp_path: Path) -> None:
    for state in (InTable(database, "x"), InFile(tmp_path / "x.json")):
        with pytest.raises(ZeroDivisionError), state.change() as memory:
            memory["n"] = 1 // 0
        assert state.read() == {}


# --- n8n


def _n8n(folder: Path, database: Database, password: str) -> Place:
    secret = folder / "password"
    secret.write_text(password)
    place = Place("n8n", folder, {"STANDIN_VERSION": "2.41.1", "DB_TYPE": "postgresdb"}, ["start"])
    where = {"HOST": database.host, "PORT": str(database.port), "DATABASE": database.name, "USER": database.user}
    place.settings |= {f"DB_POSTGRESDB_{name}": value for name, value in where.items()}
    place.settings |= {"DB_POSTGRESDB_PASSWORD_FILE": str(secret), "N8N_PORT": str(place.port)}
    return place


def test_n8n_does_not_start_without_its_database(database: Database, tmp_path: Path) -> None:
    done = _n8n(tmp_path, database, "another").once("start")
    assert done.returncode == 1
    assert "password authentication failed" in done.stderr


def test_what_n8n_knows_outlives_its_volume(database: Database, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    with _n8n(first, database, database.password).served() as place:
        room = place.room()
        n8n.secure(room)
    with _n8n(second, database, database.password).served() as place:
        again = place.room(api_key=room.outcome.facts["api_key"])
        n8n.secure(again)
        assert again.outcome.changes == []


# --- Odoo


def _odoo(folder: Path, database: Database, **options: str) -> Place:
    config = folder / "odoo.conf"
    place = Place("odoo", folder, {"STANDIN_VERSION": "17.0"}, [f"--config={config}"])
    given = {
        "db_host": database.host,
        "db_port": str(database.port),
        "db_user": database.user,
        "db_password": database.password,
        "db_name": database.name,
        "http_port": str(place.port),
        "data_dir": str(folder),
        "list_db": "False",
        "without_demo": "all",
        **options,
    }
    config.write_text("[options]\n" + "".join(f"{name} = {value}\n" for name, value in given.items()))
    return place


INSTALL = ("-i", "base,contacts,account,l10n_cl", "--without-demo=all", "--load-language=es_CL", "--stop-after-init")


def _odoo_params(place: Place, database: Database) -> dict[str, Any]:
    return {
        "database": database.name,
        "config": str(place.folder / "odoo.conf"),
        "login": "smarteros",
        "company": "SmarterCL",
        "groups": ["base.group_system"],
        "modules": ["base", "l10n_cl"],
    }


def _rpc(place: Place, service: str, method: str, *args: object) -> dict[str, Any]:
    params = {"service": service, "method": method, "args": list(args)}
    body = {"jsonrpc": "2.0", "method": "call", "id": 1, "params": params}
    found: dict[str, Any] = place.ask("POST", "/jsonrpc", body).json()
    return found


def test_odoo_is_installed_by_a_job_and_secured_by_its_shell(database: Database, tmp_path: Path) -> None:
    place = _odoo(tmp_path, database)
    params = _odoo_params(place, database)
    done = place.once(*place.argv, "-d", database.name, *INSTALL, "--no-http", "--workers=0")
    assert (done.returncode, done.stderr) == (0, "")
    states = database.ask("SELECT name, state FROM ir_module_module ORDER BY 1")
    assert ["l10n_cl", "installed"] in states
    with place.served():
        assert _rpc(place, "common", "authenticate", database.name, "admin", "admin", {})["result"] == 2
        looked = place.room(check_mode=True, **params)
        odoo.secure(looked)
        assert len(looked.outcome.changes) == 5
        assert "api_key" not in looked.outcome.facts
        first = place.room(**params)
        odoo.secure(first)
        assert first.outcome.changes == looked.outcome.changes
        key = first.outcome.facts["api_key"]
        again = place.room(**{**params, "api_key": key})
        odoo.secure(again)
        assert again.outcome.changes == []
        assert _rpc(place, "common", "authenticate", database.name, "admin", "admin", {})["result"] is False
        assert _rpc(place, "common", "authenticate", database.name, "smarteros", key, {})["result"] == 6
        assert "error" in _rpc(place, "db", "list")
        assert place.ask("GET", "/web/database/manager").status == 403
        assert place.ask("GET", "/web/login").status == 200


def test_odoo_s_shell_executes_nothing_that_is_not_ours(database: Database, tmp_path: Path) -> None:
    place = _odoo(tmp_path, database)
    place.once(*place.argv, *INSTALL)
    done = place.once("shell", *place.argv, "-d", database.name, stdin="import os; os.abort()")
    assert done.returncode == 1
    assert "nothing of it was executed" in done.stderr


def test_odoo_without_modules_has_no_login_page_and_no_shell(database: Database, tmp_path: Path) -> None:
    with _odoo(tmp_path, database).served() as place:
        assert place.ask("GET", "/web/health").status == 200
        assert place.ask("GET", "/web/login").status == 500
        with pytest.raises(Trouble, match="not initialized"):
            odoo.secure(place.room(**_odoo_params(place, database)))


def test_installing_base_again_opens_odoo_again(database: Database, tmp_path: Path) -> None:
    place = _odoo(tmp_path, database)
    place.once(*place.argv, *INSTALL)
    with place.served():
        params = _odoo_params(place, database)
        odoo.secure(place.room(**params))
        place.once(*place.argv, "-i", "base", "--stop-after-init")
        room = place.room(**params)
        odoo.secure(room)
        assert "administrator's password" in [each["what"] for each in room.outcome.changes]


def test_websockets_have_a_port_of_their_own_only_with_workers(database: Database, tmp_path: Path) -> None:
    beside = Place("odoo", tmp_path, {}).port
    with _odoo(tmp_path, database, workers="2", gevent_port=str(beside)).served() as place:
        assert place.ask("GET", "/websocket/health", port=beside).json()["status"] == "pass"


def test_odoo_refuses_the_superuser_s_name(database: Database, tmp_path: Path) -> None:
    place = _odoo(tmp_path, database, db_user="postgres")
    assert "security risk" in place.once(*place.argv).stderr


# --- Chatwoot


def _chatwoot(folder: Path, database: Database, redis: socketserver.ThreadingTCPServer, **settings: str) -> Place:
    place = Place("chatwoot", folder, {"STANDIN_VERSION": "3.13.0", "FORCE_SSL": "true", "SECRET_KEY_BASE": "s"})
    place.argv = ["exec", "rails", "s", "-p", str(place.port), "-b", "0.0.0.0"]
    where = {"HOST": database.host, "PORT": str(database.port), "DATABASE": database.name, "USERNAME": database.user}
    place.settings |= {f"POSTGRES_{name}": value for name, value in where.items()}
    address = f"redis://127.0.0.1:{redis.server_address[1]}/1"
    place.settings |= {
        "POSTGRES_PASSWORD": database.password,
        "REDIS_URL": address,
        "REDIS_PASSWORD": "hush",
        **settings,
    }
    return place


def test_chatwoot_is_prepared_by_a_job_and_secured_by_its_runner(
    database: Database, tmp_path: Path, redis: socketserver.ThreadingTCPServer
) -> None:
    place = _chatwoot(tmp_path, database, redis)
    done = place.once("exec", "rails", "db:chatwoot_prepare")
    assert (done.returncode, done.stderr) == (0, "")
    with place.served():
        assert place.ask("GET", "/installation/onboarding", headers=HTTPS).status == 200
        looked = place.room(check_mode=True)
        chatwoot.secure(looked)
        assert [each["what"] for each in looked.outcome.changes] == ["super admin", "open set-up page", "platform app"]
        first = place.room()
        chatwoot.secure(first)
        again = place.room()
        chatwoot.secure(again)
        assert again.outcome.changes == []
        token = again.outcome.facts["platform_token"]
        assert token == first.outcome.facts["platform_token"]
        assert place.ask("GET", "/installation/onboarding", headers=HTTPS).status == 302
        visitor = {"user": {"email": "x@example.com", "password": "y"}}
        assert place.ask("POST", "/installation/onboarding", visitor, HTTPS).status == 302
        account = "/platform/api/v1/accounts/0"
        assert place.ask("GET", account, headers={**HTTPS, "api_access_token": token}).status == 404
        assert place.ask("GET", account, headers={**HTTPS, "api_access_token": "x"}).status == 401
        assert place.once("exec", "rails", "db:chatwoot_prepare").returncode == 0
        assert place.ask("GET", "/installation/onboarding", headers=HTTPS).status == 302


def test_chatwoot_sends_plain_http_away_and_tells_what_is_down(
    database: Database, tmp_path: Path, redis: socketserver.ThreadingTCPServer
) -> None:
    place = _chatwoot(tmp_path, database, redis)
    place.once("exec", "rails", "db:chatwoot_prepare")
    with place.served():
        assert place.ask("GET", "/api").status == 301
        answer = place.ask("GET", "/api", headers=HTTPS).json()
        assert (answer["version"], answer["queue_services"], answer["data_services"]) == ("3.13.0", "ok", "ok")
    place.settings["REDIS_PASSWORD"] = "another"
    with place.served():
        assert place.ask("GET", "/api", headers=HTTPS).json()["queue_services"] == "failing"


def test_chatwoot_4_needs_the_extension_vector(
    database: Database, tmp_path: Path, redis: socketserver.ThreadingTCPServer
) -> None:
    """Whether the server has it is the server's; that it is asked for is what is seen here."""
    place = _chatwoot(tmp_path, database, redis, STANDIN_VERSION="4.16.2-ce")
    done = place.once("exec", "rails", "db:chatwoot_prepare")
    there = database.ask("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")
    assert (done.returncode == 0) is bool(there)
    assert there or "vector" in done.stderr


def test_chatwoot_s_worker_does_not_start_without_redis(
    database: Database, tmp_path: Path, redis: socketserver.ThreadingTCPServer
) -> None:
    place = _chatwoot(tmp_path, database, redis, REDIS_PASSWORD="another")
    done = place.once("exec", "sidekiq", "-C", "config/sidekiq.yml")
    assert done.returncode == 1
    assert "WRONGPASS" in done.stderr


# --- Dokploy


def _dokploy(folder: Path, database: Database) -> Place:
    secret = folder / "password"
    secret.write_text(database.password)
    place = Place("dokploy", folder, {"STANDIN_VERSION": "0.30.2", "POSTGRES_PASSWORD_FILE": str(secret)}, ["start"])
    where = {"HOST": database.host, "PORT": str(database.port), "DB": database.name, "USER": database.user}
    place.settings |= {f"POSTGRES_{name}": value for name, value in where.items()}
    place.settings |= {"PORT": str(place.port), "BETTER_AUTH_SECRET": "s"}
    return place


def test_dokploy_s_administrator_is_made_once_and_the_key_is_without_a_limit(
    database: Database, tmp_path: Path
) -> None:
    with _dokploy(tmp_path, database).served() as place:
        first = place.room()
        dokploy.secure(first)
        again = place.room(api_key=first.outcome.facts["api_key"])
        dokploy.secure(again)
        assert again.outcome.changes == []
        assert place.records("api-key")[-1]["limited"] is False
        visitor = {"email": "x@example.com", "password": "password", "name": "X", "lastName": "Y"}
        assert place.ask("POST", "/api/auth/sign-up/email", visitor).status == 400
        with pytest.raises(Trouble, match="another password for"):
            dokploy.secure(place.room(password="another-one"))


def test_dokploy_writes_its_own_traefik_file_only_where_none_is(database: Database, tmp_path: Path) -> None:
    with _dokploy(tmp_path, database).served():
        pass
    file = tmp_path / "traefik" / "traefik.yml"
    assert "insecure: true" in file.read_text()
    file.write_text("ours\n")
    with _dokploy(tmp_path, database).served():
        pass
    assert file.read_text() == "ours\n"
