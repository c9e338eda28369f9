"""The role's files in the real Traefik: what it makes of them, and what a client sees."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from real import traefik as real
from real.processes import free_port
from real.tools import needing_tools
from real.traefik import Backend, Traefik
from support import stack_files

HOSTS = {"n8n": "n8n.example.com", "odoo": "odoo.example.com", "metabase": "ai.example.com"}


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    made = Backend("here").start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def traefik(tmp_path_factory: pytest.TempPathFactory, backend: Backend) -> Iterator[Traefik]:
    """With this machine as the proxy in front of it, as Cloudflare's networks are in production."""
    with pytest.MonkeyPatch.context() as patch, needing_tools():
        stack_files.known_secrets(patch)
        folder = tmp_path_factory.mktemp("traefik")
        with real.server(folder, traefik_trusted_proxies=["127.0.0.0/8"]) as running:
            running.route({name: (host, [backend.port]) for name, host in HOSTS.items()})
            until(lambda: "n8n@file" in json.dumps(running.inside("/api/http/routers")))
            yield running


def until(ready: Callable[[], bool]) -> None:
    """Traefik takes up files by itself, soon."""
    deadline = time.monotonic() + 60
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.1)


def client(number: int) -> dict[str, str]:
    """Headers of a client that no other test is: allowances are per client."""
    return {"X-Forwarded-For": f"203.0.113.{number}"}


def test_everything_is_enabled_and_nothing_is_warned_of(traefik: Traefik) -> None:
    raw = traefik.inside("/api/rawdata")
    for kind in ("routers", "middlewares", "services"):
        for name, each in raw[kind].items():
            assert each.get("status", "enabled") == "enabled", (name, each)
            assert not each.get("error"), (name, each)
    assert {"smarteros-dashboard@file", "smarteros-inside@file", "smarteros-guard-odoo@file"} <= set(raw["routers"])
    levels = {json.loads(line).get("level") for line in traefik.log.splitlines() if line.startswith("{")}
    assert not levels & {"warn", "error", "fatal"}, traefik.log


def test_a_route_without_middlewares_gets_those_of_the_entry_point_and_its_tls(traefik: Traefik) -> None:
    (route,) = [each for each in traefik.inside("/api/http/routers") if each["name"] == "n8n@file"]
    assert route["middlewares"] == ["security-headers@file", "rate-limit@file", "compress@file", "retry@file"]
    assert route["entryPoints"] == ["websecure"]
    assert route["tls"] == {"options": "default"}


def test_what_a_client_sees_is_hardened(traefik: Traefik) -> None:
    answer = traefik.open(HOSTS["n8n"], **client(1))
    assert (answer.status, answer.read()) == (200, b"here")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Alt-Svc"].startswith('h3=":443"')
    assert not {"Server", "X-Powered-By", "X-Frame-Options"} & set(answer.headers)


def test_plain_http_is_led_to_https(traefik: Traefik) -> None:
    connection = HTTPConnection("127.0.0.1", traefik.web, timeout=10)
    connection.request("GET", "/a?b=c", headers={"Host": HOSTS["n8n"]})
    answer = connection.getresponse()
    assert answer.status in (301, 308)
    assert answer.headers["Location"].startswith(f"https://{HOSTS['n8n']}")
    assert answer.headers["Location"].endswith("/a?b=c")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_tls_is_refused(traefik: Traefik) -> None:
    def shake(version: ssl.TLSVersion) -> str | None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        with (
            socket.create_connection(("127.0.0.1", traefik.websecure), 10) as plain,
            context.wrap_socket(plain, server_hostname=HOSTS["n8n"]) as secure,
        ):
            return secure.version()

    assert shake(ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert shake(ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shake(ssl.TLSVersion.TLSv1_1)


def test_the_dashboard_needs_the_password_and_nothing_of_it_is_elsewhere(traefik: Traefik) -> None:
    host = "traefik.example.com"
    good = base64.b64encode(b"admin:SECRET-traefik_dashboard_password").decode()
    for path in ("/api/rawdata", "/dashboard/", "/"):
        assert traefik.get(host, path, **client(2))[0] == 401
        assert traefik.get(host, path, **client(2), Authorization="Basic YWRtaW46YWRtaW4=")[0] == 401
    assert traefik.get(host, "/api/rawdata", **client(2), Authorization=f"Basic {good}")[0] == 200
    assert (
        traefik.open(host, "/", **client(2), Authorization=f"Basic {good}").headers["Location"].endswith("/dashboard/")
    )
    for path in ("/ping", "/metrics", "/debug/pprof/"):
        assert traefik.get(host, path, **client(2))[0] == 404
    for path in ("/api/rawdata", "/dashboard/", "/metrics"):
        assert traefik.get("other.example.com", path, **client(2))[0] == 404


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("odoo", "/web/database/manager"),
        ("odoo", "/web/database"),
        ("odoo", "//web//database/selector"),
        ("odoo", "/web/%64atabase/manager"),
        ("odoo", "/x/../web/database/create"),
        ("odoo", "/web/./database/drop"),
        ("odoo", "/es_CL/web/database/backup"),
        ("odoo", "/es/web/database/list"),
        ("metabase", "/api/setup"),
        ("metabase", "/api/setup/validate"),
        ("metabase", "/api/session/forgot_password"),
        ("metabase", "/api/session/reset_password"),
        ("metabase", "/api/public/card/1"),
        ("metabase", "/public/dashboard/1"),
    ],
)
def test_doors_for_nobody_stay_shut(traefik: Traefik, backend: Backend, host: str, path: str) -> None:
    backend.seen.clear()
    status, text = traefik.get(HOSTS[host], path, **client(3))
    assert (status, "here" in text, backend.seen) == (404, False, [])


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("odoo", "/web/login"),
        ("odoo", "/web/databases-of-customers"),
        ("odoo", "/a%2Fb"),
        ("metabase", "/api/session"),
        ("metabase", "/embed/dashboard/abc"),
        ("n8n", "/web/database/manager"),
    ],
)
def test_other_doors_stay_open(traefik: Traefik, host: str, path: str) -> None:
    assert traefik.get(HOSTS[host], path, **client(4)) == (200, "here")


def test_too_many_requests_of_one_client_are_refused_and_another_goes_on(
    tmp_path: Path, backend: Backend, traefik: Traefik, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = traefik.inside("/api/http/middlewares/rate-limit@file")["rateLimit"]
    assert (limit["average"], limit["period"], limit["burst"]) == (100, "1s", 50)
    stack_files.known_secrets(monkeypatch)
    few = {"average": 1, "burst": 5}  # so few that a busy machine reaches it as well
    with needing_tools(), real.server(tmp_path, traefik_trusted_proxies=["127.0.0.0/8"], traefik_rate_limit=few) as own:
        own.route({"n8n": (HOSTS["n8n"], [backend.port])})
        until(lambda: own.get(HOSTS["n8n"], **client(20))[0] == 200)
        statuses = [own.get(HOSTS["n8n"], **client(21))[0] for _each in range(30)]
        assert set(statuses) == {200, 429}
        assert statuses[:5] == [200] * 5
        assert own.get(HOSTS["n8n"], **client(22))[0] == 200


def test_who_is_not_a_trusted_proxy_cannot_say_who_the_client_is(
    tmp_path: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack_files.known_secrets(monkeypatch)
    with needing_tools(), real.server(tmp_path, traefik_trusted_proxies=["198.51.100.0/24"]) as running:
        running.route({"n8n": (HOSTS["n8n"], [backend.port])})
        until(lambda: running.get(HOSTS["n8n"])[0] == 200)
        backend.seen.clear()
        assert running.get(HOSTS["n8n"], **{"X-Forwarded-For": "203.0.113.9", "X-Real-Ip": "203.0.113.9"})[0] == 200
        assert backend.seen[-1]["X-Forwarded-For"] == "127.0.0.1"
        assert backend.seen[-1]["X-Real-Ip"] == "127.0.0.1"


def test_other_spellings_of_what_traefik_says_of_the_client_do_not_reach_a_service(
    traefik: Traefik, backend: Backend
) -> None:
    backend.seen.clear()
    answer = traefik.open(
        HOSTS["n8n"], **client(10), x_forwarded_for="1.1.1.1", X_Forwarded_Proto="http", CF_Connecting_IP="1.1.1.1"
    )
    assert answer.read() == b"here"
    assert not [name for name in backend.seen[-1] if "_" in name]


def test_events_arrive_one_by_one_and_long_answers_compressed(traefik: Traefik, backend: Backend) -> None:
    events = traefik.open(HOSTS["n8n"], "/events", **client(7), **{"Accept-Encoding": "gzip, br, zstd"})
    assert events.read1(100) == b"data: 0\n\n"  # and the service has not written the next one yet
    backend.more.set()
    assert events.read1(100) == b"data: 1\n\n"
    assert events.headers["Content-Encoding"] is None
    events.close()
    long = traefik.open(HOSTS["n8n"], "/long", **client(7), **{"Accept-Encoding": "gzip"})
    assert long.headers["Content-Encoding"] == "gzip"
    assert len(long.read()) < 5000


def test_headers_with_underscores_reach_the_service_and_tokens_no_log(traefik: Traefik, backend: Backend) -> None:
    backend.seen.clear()
    token = "tok-1234567890"
    assert traefik.get(HOSTS["n8n"], f"/hook?access_token={token}", **client(8), api_access_token=token)[0] == 200
    assert {name.lower(): value for name, value in backend.seen[-1].items()}["api_access_token"] == token
    assert backend.seen[-1]["path"] == f"/hook?access_token={token}"
    until(lambda: "/hook" in traefik.log)
    (line,) = [line for line in traefik.log.splitlines() if "/hook" in line]
    entry: dict[str, Any] = json.loads(line)
    assert (entry["ClientHost"], entry["DownstreamStatus"]) == ("203.0.113.8", 200)
    assert token not in traefik.log


def test_a_container_that_is_gone_already_costs_no_request(
    tmp_path: Path, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack_files.known_secrets(monkeypatch)
    with needing_tools(), real.server(tmp_path) as running:
        running.route({"n8n": (HOSTS["n8n"], [backend.port])})
        until(lambda: running.get(HOSTS["n8n"])[0] == 200)
        running.route({"n8n": (HOSTS["n8n"], [free_port(), backend.port])})
        until(lambda: len(running.inside("/api/http/services/n8n@file")["loadBalancer"]["servers"]) == 2)
        backend.seen.clear()
        assert [running.get(HOSTS["n8n"])[0] for _each in range(20)] == [200] * 20
        assert len(backend.seen) == 20  # and none was sent twice


def test_one_service_follows_the_other_without_a_lost_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the Swarm does it with `start-first`: both are known, then only the new one, and after that the old one stops."""
    stack_files.known_secrets(monkeypatch)
    new = Backend("next").start()
    answers: list[tuple[int, str]] = []
    done = threading.Event()

    def ask(running: Traefik) -> None:
        while not done.is_set():
            answers.append(running.get(HOSTS["n8n"]))

    with needing_tools(), real.server(tmp_path) as running:
        leaving = Backend("old").start()
        running.route({"n8n": (HOSTS["n8n"], [leaving.port])})
        until(lambda: running.get(HOSTS["n8n"]) == (200, "old"))
        client_loop = threading.Thread(target=ask, args=(running,))
        client_loop.start()
        for ports in ([leaving.port, new.port], [new.port]):
            running.route({"n8n": (HOSTS["n8n"], ports)})
            time.sleep(2)  # what the Swarm gives between taking a container out and asking it to stop
        leaving.stop()
        time.sleep(1)
        done.set()
        client_loop.join()
    new.stop()
    assert {status for status, _text in answers} == {200}
    assert {text for _status, text in answers} == {"old", "next"}


def test_the_files_are_the_same_at_every_run(monkeypatch: pytest.MonkeyPatch) -> None:
    stack_files.known_secrets(monkeypatch)
    assert stack_files.stack("traefik").config == stack_files.stack("traefik").config
