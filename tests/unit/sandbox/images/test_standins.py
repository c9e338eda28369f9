"""Stand-ins without a database: what a deploy depends on in a product, and our own bootstrap code against them."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import botpress, metabase, n8n
from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap.shape import Trouble
from smos.sandbox.images.standin.socket_proxy import allowed
from unit.sandbox.images.standins import Place

MARK = "x-smarteros-stand-in"


def _n8n(folder: Path, version: str = "1.64.3", **settings: str) -> Place:
    place = Place("n8n", folder, {"STANDIN_VERSION": version, "N8N_ENCRYPTION_KEY": "k" * 32, **settings}, ["start"])
    place.settings["N8N_PORT"] = str(place.port)
    return place


def _metabase(folder: Path, **settings: str) -> Place:
    place = Place("metabase", folder, {"STANDIN_VERSION": "0.63.5", **settings})
    place.settings["MB_JETTY_PORT"] = str(place.port)
    return place


def _botpress(folder: Path, **settings: str) -> Place:
    place = Place("botpress", folder, {"STANDIN_VERSION": "12.31.10", **settings}, ["serve"])
    place.settings["PORT"] = str(place.port)
    return place


@pytest.mark.parametrize("version", ["1.64.3", "1.123.81", "2.41.1"])
def test_the_owner_of_n8n_is_made_once_and_its_key_works(tmp_path: Path, version: str) -> None:
    with _n8n(tmp_path, version).served() as place:
        first = place.room()
        n8n.secure(first)
        key = first.outcome.facts["api_key"]
        assert [each["what"] for each in first.outcome.changes] == ["owner", "API key"]
        again = place.room(api_key=key)
        n8n.secure(again)
        assert again.outcome.changes == []
        lost = place.room()
        n8n.secure(lost)
        assert lost.outcome.facts["api_key"] != key
        assert place.ask("GET", "/api/v1/tags", headers={"X-N8N-API-KEY": key}).status == 401
        owner = {"email": "x@example.com", "firstName": "X", "lastName": "Y", "password": "Password1"}
        assert place.ask("POST", "/rest/owner/setup", owner).status == 400
    with place.served():
        survivor = place.room(api_key=lost.outcome.facts["api_key"])
        n8n.secure(survivor)
        assert survivor.outcome.changes == []


def test_check_mode_leaves_n8n_as_it_is(tmp_path: Path) -> None:
    with _n8n(tmp_path).served() as place:
        n8n.secure(place.room(check_mode=True))
        settings = place.ask("GET", "/rest/settings").json()
        assert settings["data"]["userManagement"]["showSetupOnFirstLoad"] is True


def test_n8n_refuses_another_key_than_its_first(tmp_path: Path) -> None:
    with _n8n(tmp_path).served() as place:
        pass
    place.settings["N8N_ENCRYPTION_KEY"] = "z" * 32
    done = place.once("start")
    assert done.returncode == 1
    assert "Mismatching encryption keys" in done.stderr


def test_while_it_starts_n8n_says_yes_to_everything_but_readiness(tmp_path: Path) -> None:
    with _n8n(tmp_path, STANDIN_START_S="60").served() as place:
        assert place.ask("GET", "/rest/settings").text == "n8n is starting up. Please wait"
        assert place.ask("GET", "/healthz/readiness").status == 503


def test_every_answer_says_that_it_is_a_stand_in(tmp_path: Path) -> None:
    with _n8n(tmp_path).served() as place:
        for path in ("/healthz", "/rest/settings", "/nowhere"):
            assert place.ask("GET", path).headers[MARK] == "n8n"
        assert place.ask("GET", "/healthz/readiness").json()["standIn"] == "1.64.3"


def test_an_unhealthy_one_fails_its_health_checks_only(tmp_path: Path) -> None:
    with _n8n(tmp_path, STANDIN_UNHEALTHY="1").served() as place:
        assert place.ask("GET", "/healthz/readiness").status == 503
        assert place.ask("GET", "/rest/settings").status == 200


def test_the_record_has_names_and_no_secret(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush-hush\n")
    with _n8n(tmp_path, N8N_USER_MANAGEMENT_JWT_SECRET_FILE=str(secret), N8N_PROXY_HOPS="2").served() as place:
        n8n.secure(place.room())
    start = place.records("start")[0]
    assert start["settings"]["N8N_PROXY_HOPS"] == "2"
    assert "N8N_ENCRYPTION_KEY" in start["env"]
    calls = {(call["method"], call["path"]) for call in place.records("call")}
    assert ("POST", "/rest/owner/setup") in calls
    whole = (tmp_path / "record.jsonl").read_text()
    for hidden in ("k" * 32, "hush-hush", "Correct-horse-7"):
        assert hidden not in whole


def test_the_administrator_of_metabase_is_made_once_and_its_key_works(tmp_path: Path) -> None:
    with _metabase(tmp_path).served() as place:
        first = place.room()
        metabase.secure(first)
        key = first.outcome.facts["api_key"]
        again = place.room(api_key=key)
        metabase.secure(again)
        assert again.outcome.changes == []
        assert place.ask("GET", "/api/session/properties").json()["setup-token"] is None
        assert place.ask("POST", "/api/setup", {"token": "x", "user": {}}).status == 403


def test_metabase_says_503_until_it_is_ready(tmp_path: Path) -> None:
    with _metabase(tmp_path, STANDIN_START_S="60").served() as place:
        answer = place.ask("GET", "/api/health")
        assert (answer.status, answer.json()["status"]) == (503, "initializing")


def test_metabase_refuses_another_key_than_its_first(tmp_path: Path) -> None:
    with _metabase(tmp_path, MB_ENCRYPTION_SECRET_KEY="a" * 32).served() as place:
        pass
    place.settings["MB_ENCRYPTION_SECRET_KEY"] = "b" * 32
    assert "is different" in place.once().stderr
    place.settings["MB_ENCRYPTION_SECRET_KEY"] = "a" * 32
    assert place.once("rotate-encryption-key", "b" * 32).returncode == 0
    assert "is different" in place.once().stderr


def test_the_first_user_of_botpress_comes_from_its_environment(tmp_path: Path) -> None:
    given = {"BP_ADMIN_EMAIL": "admin@example.com", "BP_ADMIN_PASSWORD": "Correct-horse-7"}
    with _botpress(tmp_path, **given).served() as place:
        room = place.room()
        botpress.secure(room)
        assert room.outcome.changes == []
        with pytest.raises(Trouble, match="cannot sign in"):
            botpress.secure(place.room(password="another"))


def test_the_first_visitor_of_botpress_becomes_its_administrator_and_the_second_does_not(tmp_path: Path) -> None:
    with _botpress(tmp_path).served() as place:
        room = place.room()
        botpress.secure(room)
        assert [each["what"] for each in room.outcome.changes] == ["first user"]
        path = "/api/v2/admin/auth/register/basic/default"
        assert place.ask("POST", path, {"email": "x@example.com", "password": "y"}).status == 403
        who = {"email": "admin@example.com", "password": "Correct-horse-7"}
        token = place.ask("POST", "/api/v2/admin/auth/login/basic/default", who).json()["payload"]["jwt"]
        known = {"Authorization": f"Bearer {token}", "X-BP-Workspace": "default"}
        assert place.ask("GET", "/api/v2/admin/user/profile", headers=known).json()["payload"]["isSuperAdmin"] is True
        assert place.ask("GET", "/api/v2/admin/workspace/bots", headers=known).json()["payload"] == {"bots": []}
        assert place.ask("GET", "/api/v2/admin/workspace/bots").status == 401


def test_botpress_touches_data_of_another_version_only_when_told_to(tmp_path: Path) -> None:
    with _botpress(tmp_path).served() as place:
        pass
    place.settings["STANDIN_VERSION"] = "12.32.0"
    assert "AUTO_MIGRATE=true" in place.once("serve").stderr
    place.settings["AUTO_MIGRATE"] = "true"
    with place.served():
        assert place.ask("GET", "/version").text == "12.32.0"


def test_portainer_takes_its_password_from_a_file_once(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("a-long-password\n")
    place = Place("portainer", tmp_path, {"STANDIN_VERSION": "2.45.0"})
    place.argv = [f"--bind=:{place.port}", "--host=unix:///x", f"--admin-password-file={password}"]
    with place.served():
        who = {"Username": "admin", "Password": "a-long-password"}
        assert place.ask("POST", "/api/auth", who).json()["jwt"]
        assert place.ask("POST", "/api/auth", {**who, "Password": "another"}).status == 422
        assert place.ask("POST", "/api/users/admin/init", who).status == 409
        assert place.ask("GET", "/api/status").json()["Version"] == "2.45.0"
    password.write_text("another-password\n")
    with place.served():
        assert place.ask("POST", "/api/auth", who).status == 200


def test_portainer_without_a_password_is_open_to_the_first_visitor(tmp_path: Path) -> None:
    place = Place("portainer", tmp_path, {})
    place.argv = [f"--bind=:{place.port}"]
    with place.served():
        assert place.ask("GET", "/api/users/admin/check").status == 404
        who = {"Username": "admin", "Password": "a-long-password"}
        assert place.ask("POST", "/api/users/admin/init", who).status == 200
        assert place.ask("GET", "/api/users/admin/check").status == 204


@pytest.mark.parametrize("module", ["n8n", "metabase", "botpress", "dokploy", "odoo", "chatwoot"])
def test_what_a_stand_in_does_not_do_it_says(tmp_path: Path, module: str) -> None:
    done = Place(module, tmp_path, {}).once("frobnicate")
    assert done.returncode == 2
    assert "it does not do `frobnicate`" in done.stderr


def test_the_runners_need_the_token_of_their_broker(tmp_path: Path) -> None:
    place = Place("n8n_runners", tmp_path, {}, ["javascript", "python"])
    assert "N8N_RUNNERS_AUTH_TOKEN" in place.once(*place.argv).stderr
    place.settings |= {"N8N_RUNNERS_AUTH_TOKEN": "t", "N8N_RUNNERS_LAUNCHER_HEALTH_CHECK_PORT": str(place.port)}
    with place.served():
        assert place.ask("GET", "/healthz").status == 200


# --- the proxy in front of the Docker socket


@pytest.mark.parametrize(
    ("path", "env", "may"),
    [
        ("/v1.41/containers/json?all=1", {"CONTAINERS": "1"}, True),
        ("/containers/json", {}, False),
        ("/containers/json", {"CONTAINERS": "0"}, False),
        ("/events?since=1", {}, True),
        ("/_ping", {}, True),
        ("/version", {"VERSION": "0"}, False),
        ("/v1.41/services", {"SERVICES": "1"}, True),
        ("/v1.41/secrets", {"SERVICES": "1"}, False),
        ("/containers/../secrets", {"CONTAINERS": "1"}, False),
        ("/containers//x", {"CONTAINERS": "1"}, False),
        ("/containers/%2e%2e/secrets", {"CONTAINERS": "1"}, False),
        ("/containersandmore", {"CONTAINERS": "1"}, False),
        ("http://x/containers/json", {"CONTAINERS": "1"}, False),
        ("/build", {"BUILD": "1"}, False),
    ],
)
def test_only_what_is_open_may_be_read(path: str, env: dict[str, str], may: bool) -> None:
    assert allowed(path, env) is may


class _Engine(socketserver.StreamRequestHandler):
    """Answers with the head that it got; a stream for /events."""

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.rfile.readline()
        if b" /events" in head:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst\n")
            self.wfile.flush()
            self.server.released.wait(10)  # type: ignore[attr-defined] # ours, on a library class
            self.wfile.write(b"second\n")
            return
        body = json.dumps(head.decode().splitlines()).encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))


@contextmanager
def _proxy(folder: Path) -> Iterator[tuple[Place, socketserver.ThreadingUnixStreamServer]]:
    path = str(folder / "docker.sock")
    with socketserver.ThreadingUnixStreamServer(path, _Engine) as engine:
        engine.daemon_threads = True
        engine.released = threading.Event()  # type: ignore[attr-defined] # ours, on a library class
        threading.Thread(target=engine.serve_forever, daemon=True).start()
        place = Place("socket_proxy", folder, {"STANDIN_SOCKET": path, "CONTAINERS": "1"})
        place.settings["STANDIN_PORT"] = str(place.port)
        with place.served():
            yield place, engine
        engine.shutdown()


def test_the_proxy_passes_questions_and_nothing_else(tmp_path: Path) -> None:
    with _proxy(tmp_path) as (place, _):
        upgrade = {"Upgrade": "tcp", "Connection": "Upgrade", "User-Agent": "traefik", "X-Registry-Auth": "x"}
        got = place.ask("GET", "/v1.41/containers/json", headers=upgrade).json()
        assert got[0] == "GET /v1.41/containers/json HTTP/1.1"
        assert sorted(line.partition(":")[0] for line in got[1:] if line) == ["Connection", "Host", "User-Agent"]
        for method in ("POST", "DELETE", "PUT", "PATCH"):
            assert place.ask(method, "/v1.41/containers/json", {}).status == 403
        assert place.ask("GET", "/v1.41/secrets").status == 403


def test_the_proxy_passes_a_stream_as_it_comes(tmp_path: Path) -> None:
    with _proxy(tmp_path) as (place, engine), socket.create_connection(("127.0.0.1", place.port), 10) as asker:
        asker.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        stream = asker.makefile("rb")
        while stream.readline() != b"\r\n":
            pass
        assert stream.readline() == b"first\n"
        engine.released.set()  # type: ignore[attr-defined] # ours, on a library class
        assert stream.readline() == b"second\n"
