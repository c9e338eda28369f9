"""The sandbox as a process: started once, found again, stopped safely, cut off on demand, with a state that lasts."""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from smos.sandbox import app, process, server
from support.processes import costs

ZONE = "/zones/023e105f4ecef8ad9ca31a8372d0c353/dns_records"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "sandbox"
    yield place
    server.down(place)


@pytest.fixture
def box(home: Path) -> server.Sandbox:
    return server.up(home)


@pytest.fixture
def api(box: server.Sandbox) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers["authorization"] = "Bearer sandbox-cloudflare-token"
    return session


def cloudflare(box: server.Sandbox, path: str) -> str:
    return box.provider_url("cloudflare") + path


def until(reached: Callable[[], bool]) -> None:
    """Wait for it as long as even a busy machine needs."""
    ends = time.monotonic() + 55  # a request with the longest latency is not answered yet
    while not reached():
        assert time.monotonic() < ends
        time.sleep(0.01)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_addresses_known_outside_are_those_of_the_providers() -> None:
    # Shopify's stores have an address each: what follows the base is a part of its paths
    bases = {name: base.partition("/{")[0] for name, base in server.BASES.items()}
    assert {provider.name: provider.base for provider in app.PROVIDERS} == bases
    (shopify,) = [provider for provider in app.PROVIDERS if provider.name == "shopify"]
    beyond = server.BASES["shopify"].removeprefix(shopify.base)
    assert all(operation.path.startswith(f"{beyond}/") for operation in shopify.operations)


def test_every_provider_has_distinct_operations_and_its_own_tables() -> None:
    for provider in app.PROVIDERS:
        routes = [(operation.method, operation.path) for operation in provider.operations]
        assert len(routes) == len(set(routes))
        tables = [line for line in provider.schema.splitlines() if line.strip().upper().startswith("CREATE TABLE")]
        assert all(f" {provider.name}_" in line and "IF NOT EXISTS" in line for line in tables)


def test_up_starts_it_and_finds_it_again(home: Path) -> None:
    first = server.up(home)
    assert server.up(home) == first
    assert server.ensure(home) == first
    found = server.status(home)
    assert found is not None
    assert (found["url"], found["pid"], found["state"]) == (first.url, first.pid, str(home.resolve()))
    assert (home / "url").read_text().strip() == first.url


def test_a_start_takes_little_more_than_reading_its_code(home: Path) -> None:
    command = [sys.executable, "-P", "-c", "import uvicorn, smos.sandbox.__main__"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}

    def start() -> None:
        server.up(home)
        os.kill(server.up(home).pid, signal.SIGKILL)

    reading, starting = costs(
        lambda: subprocess.run(command, env=environment, check=True), start, turns=5, clock=time.monotonic
    )
    assert starting < 4 * reading, "usually 1.2"


def test_many_at_once_get_one_server(home: Path) -> None:
    script = "import sys; from smos.sandbox import server; print(server.up(sys.argv[1]).pid)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(home)], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    assert len({child.communicate(timeout=60)[0].strip() for child in started}) == 1
    assert all(child.returncode == 0 for child in started)


def test_it_listens_on_loopback_only(box: server.Sandbox) -> None:
    port = box.url.rpartition(":")[2]
    listening = [line.split()[1:4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    places = {local for local, _, state in listening if state == "0A" and int(local.split(":")[1], 16) == int(port)}
    assert places == {f"0100007F:{int(port):04X}"}


def test_two_states_get_two_ports_and_a_taken_port_is_a_clear_error(home: Path, tmp_path: Path) -> None:
    first, second = server.up(home), server.up(tmp_path / "other")
    try:
        assert first.url != second.url
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(server.SandboxError, match=f"cannot listen on port {port}"):
            server.up(tmp_path / "third", port)
        with pytest.raises(server.SandboxError, match="stop it first"):
            server.up(home, free_port())
    finally:
        server.down(tmp_path / "other")


def test_a_port_asked_for_is_used(home: Path) -> None:
    port = free_port()
    assert server.up(home, port).url == f"http://127.0.0.1:{port}"


def test_state_survives_a_restart_and_a_kill(home: Path, api: requests.Session, box: server.Sandbox) -> None:
    record = {"type": "A", "name": "kept", "content": "192.0.2.4", "ttl": 300}
    assert api.post(cloudflare(box, ZONE), json=record).ok
    server.fault(home, operation="zones.list", kind="500", times="always")
    os.kill(box.pid, signal.SIGKILL)
    again = server.up(home)
    assert again.pid != box.pid
    assert api.get(cloudflare(again, ZONE), params={"name": "kept.smarterbot.cl"}).json()["result_info"]["count"] == 1
    assert api.get(cloudflare(again, "/zones")).status_code == 500
    assert server.down(home)
    third = server.up(home)
    assert api.get(cloudflare(third, ZONE), params={"name": "kept.smarterbot.cl"}).json()["result_info"]["count"] == 1


def test_down_stops_it_and_never_another_process(home: Path, box: server.Sandbox) -> None:
    known = json.loads((home / "pid.json").read_text())
    assert server.down(home)
    assert process.birth(box.pid) is None
    assert not server.down(home)
    assert server.status(home) is None
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        (home / "pid.json").write_text(json.dumps({**known, "pid": sleeper.pid}))
        assert not server.down(home)
        assert sleeper.poll() is None
        (home / "pid.json").write_text("{ half a fi")
        assert not server.down(home)
    finally:
        sleeper.kill()
        sleeper.wait()


def test_an_interrupt_in_the_terminal_does_not_reach_it(box: server.Sandbox) -> None:
    assert os.getsid(box.pid) == box.pid != os.getsid(0)


def test_a_start_that_fails_tells_what_the_server_said(home: Path) -> None:
    home.mkdir()
    (home / "state.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(server.SandboxError, match="not a database"):
        server.up(home)


def test_tokens_come_from_the_environment_and_those_of_real_providers_stay_out(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMOS_SANDBOX_CLOUDFLARE_TOKEN", "my-own-token")
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "a-real-token")
    box = server.up(home)
    address = cloudflare(box, "/user/tokens/verify")
    for token, status in (("my-own-token", 200), ("sandbox-cloudflare-token", 200), ("a-real-token", 401)):
        assert requests.get(address, headers={"authorization": f"Bearer {token}"}).status_code == status
    assert b"a-real-token" not in Path(f"/proc/{box.pid}/environ").read_bytes()
    assert "my-own-token" not in json.dumps(server.requests(home))


def test_faults_cut_the_connection_or_leave_the_caller_waiting(
    home: Path, box: server.Sandbox, api: requests.Session
) -> None:
    server.fault(home, provider="cloudflare", operation="zones.list", kind="reset")
    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        api.get(cloudflare(box, "/zones"))
    assert api.get(cloudflare(box, "/zones")).ok
    record = {"type": "A", "name": "late", "content": "192.0.2.4", "ttl": 300}
    server.fault(home, {"operation": "dns_records.create", "kind": "timeout_after_commit"})
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(requests.post, cloudflare(box, ZONE), json=record, headers=dict(api.headers))
        until(lambda: server.faults(home)[1]["fired"] == 1)
        server.fault(home, operation="dns_records.create", kind="timeout_before", seconds=0.2)
        with pytest.raises(requests.ConnectionError):
            api.post(cloudflare(box, ZONE), json={**record, "name": "never"})
        names = {item["name"] for item in api.get(cloudflare(box, ZONE)).json()["result"]}
        assert "late.smarterbot.cl" in names
        assert "never.smarterbot.cl" not in names
        assert [rule["fired"] for rule in server.faults(home)] == [1, 1, 1]
        assert server.clear_faults(home) == 3
        assert not waiting.done()
        server.down(home)
        with pytest.raises(requests.ConnectionError):
            waiting.result(60)


def test_a_hanging_request_does_not_hold_up_the_others_or_the_end(
    home: Path, box: server.Sandbox, api: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than the request hangs at most: an end that waits for it is seen, whatever the machine is busy with
    monkeypatch.setattr(process, "stop", functools.partial(process.stop, patience=300))
    server.fault(home, operation="zones.list", kind="timeout_before")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.get, cloudflare(box, "/zones"))
        until(lambda: server.faults(home)[0]["fired"] == 1)
        assert requests.get(cloudflare(box, "/user/tokens/verify")).status_code == 400
        began = time.monotonic()
        assert server.down(home)
        assert time.monotonic() - began < 60  # the request would hang for two minutes
        with pytest.raises(requests.ConnectionError):
            waiting.result(60)


def test_latency_is_shared_by_requests_at_the_same_time(home: Path) -> None:
    box = server.up(home, latency_ms=200)
    began = time.monotonic()
    assert requests.get(cloudflare(box, "/zones")).status_code == 400
    assert time.monotonic() - began >= 0.2
    server.settings(home, latency_ms=60_000)
    server.forget_requests(home)
    with ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(requests.get, cloudflare(box, "/zones")) for _ in range(16)]
        until(lambda: server.requests(home)["matching"] == 16)  # each is there, and none is answered
        assert not any(each.done() for each in waiting)
        assert server.settings(home, latency_ms=0)["latency_ms"] == 0
        server.down(home)


def test_reset_empties_one_provider_or_all(home: Path, box: server.Sandbox, api: requests.Session) -> None:
    api.post(cloudflare(box, ZONE), json={"type": "A", "name": "gone", "content": "192.0.2.4", "ttl": 300})
    assert server.reset(home, "n8n") == ["n8n"]
    assert api.get(cloudflare(box, ZONE)).json()["result_info"]["total_count"] == 5
    assert set(server.reset(home)) == set(server.BASES)
    assert api.get(cloudflare(box, ZONE)).json()["result_info"]["total_count"] == 4
    with pytest.raises(server.SandboxError, match="none of"):
        server.reset(home, "nobody")


def test_requests_are_told_at_once_and_filtered(home: Path, box: server.Sandbox, api: requests.Session) -> None:
    api.get(cloudflare(box, "/zones"))
    api.post(cloudflare(box, ZONE), json={})
    found = server.requests(home, provider="cloudflare", writes=True)
    assert [row["operation"] for row in found["requests"]] == ["dns_records.create"]
    server.forget_requests(home)
    assert server.requests(home)["requests"] == []


@pytest.mark.parametrize(
    ("rule", "message"),
    [({"kind": "boom"}, "kind"), ({"kind": "500", "provider": "nobody"}, "none of"), ({"kind": "500", "x": 1}, "x")],
)
def test_a_bad_rule_is_refused_with_the_reason(home: Path, rule: dict[str, Any], message: str) -> None:
    server.up(home)
    with pytest.raises(server.SandboxError, match=message):
        server.fault(home, rule)


def test_a_page_in_a_browser_cannot_use_the_control_api(box: server.Sandbox) -> None:
    for headers in ({"origin": "http://example.com"}, {"host": "example.com"}):
        assert requests.post(f"{box.url}/_sandbox/reset", headers=headers).status_code == 403


def test_nothing_can_be_asked_of_a_sandbox_that_does_not_run(home: Path) -> None:
    for ask in (server.requests, server.faults, server.clear_faults, server.reset):
        with pytest.raises(server.SandboxError, match="smos sandbox up"):
            ask(home)
    assert server.status(home) is None


def test_an_answer_on_a_kept_connection_comes_as_fast_as_on_a_new_one(box: server.Sandbox) -> None:
    """Packets that are held back (for 40 ms each) are so on kept connections only."""
    token = {"authorization": "Bearer sandbox-cloudflare-token"}
    kept = requests.Session()

    def ask(session: requests.Session) -> None:
        assert session.get(cloudflare(box, "/user/tokens/verify"), headers=token).ok

    def ask_anew() -> None:
        with requests.Session() as session:
            ask(session)

    ask(kept)
    # Not the least: now and then a packet is not held back for long
    new, again = costs(ask_anew, lambda: ask(kept), turns=40, clock=time.monotonic, of=statistics.median)
    assert again < 4 * new, "usually 0.7"


def test_many_clients_at_once_are_all_served(box: server.Sandbox) -> None:
    def ask(_: int) -> None:
        with requests.Session() as session:
            session.headers["authorization"] = "Bearer sandbox-cloudflare-token"
            for _ in range(50):
                assert session.get(cloudflare(box, "/user/tokens/verify")).ok

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))


def test_no_secret_is_in_any_file_of_the_state(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = {name: f"PLANTED-{name}-token" for name in server.BASES}
    for name, token in tokens.items():
        monkeypatch.setenv(f"SMOS_SANDBOX_{name.upper()}_TOKEN", token)
    box = server.up(home)
    logged = []
    for name, path, body, headers in planted_calls(tokens):
        base = box.provider_url(name).replace("{shop}", "acme.myshopify.com")
        requests.post(base + path, json=body, headers=headers, timeout=60)
        logged.append(name)
    found = server.requests(home)["requests"]
    assert [row["provider"] for row in found] == logged
    assert [(row["provider"], row["operation"]) for row in found if row["status"] >= 300] == [
        ("chatwoot", "platform.users.create")  # the wrong token
    ]
    for written in home.iterdir():
        assert b"PLANTED" not in written.read_bytes(), written.name


def planted_calls(tokens: dict[str, str]) -> list[tuple[str, str, Any, dict[str, str]]]:
    """Provider, path, body and headers of calls with secrets in all the places where providers want them."""
    user = {"name": "Ana", "login": "ana@example.com", "password": "PLANTED-password"}
    arguments = ["smarteros", 2, tokens["odoo"], "res.users", "create", [user]]
    rpc = {"jsonrpc": "2.0", "params": {"service": "object", "method": "execute_kw", "args": arguments}}
    person = {"name": "Ana", "email": "ana@example.com", "password": "PLANTED-Passw0rd!"}
    details = {"host": "db.example.com", "dbname": "postgres", "user": "reader", "password": "PLANTED-reader"}
    database = {"name": "acme", "engine": "postgres", "details": details}
    login = {"email": "operator@smarterbot.cl", "password": tokens["botpress"]}
    variable = {"key": "API_KEY", "value": "PLANTED-variable", "type": "sensitive", "target": ["production"]}
    app = {
        "client_id": "sandbox-shopify-client",
        "client_secret": tokens["shopify"],
        "grant_type": "client_credentials",
    }
    message = {"messaging_product": "whatsapp", "to": "56911111111", "type": "text", "text": {"body": "Hola"}}
    return [
        ("n8n", f"/api/v1/tags?note={tokens['n8n']}", {"name": "a"}, {"X-N8N-API-KEY": tokens["n8n"]}),
        ("odoo", "/jsonrpc", rpc, {}),
        ("chatwoot", "/platform/api/v1/users", person, {"api_access_token": tokens["chatwoot"]}),
        ("chatwoot", "/platform/api/v1/users", person, {"api_access_token": "PLANTED-wrong"}),
        ("metabase", "/api/database", database, {"X-API-Key": tokens["metabase"]}),
        ("botpress", "/api/v2/admin/auth/login/basic/default", login, {}),
        ("vercel", "/v10/projects/smarteros-app/env?slug=smarteros-sandbox", variable, bearer(tokens["vercel"])),
        ("shopify", "/admin/oauth/access_token", app, {}),
        (
            "shopify",
            "/admin/api/2026-10/graphql.json",
            {"query": "{ shop { name } }"},
            {"X-Shopify-Access-Token": tokens["shopify"]},
        ),
        (
            "supabase",
            "/v1/projects/sandboxsandboxsandbo/database/query",
            {"query": "select 1"},
            bearer(tokens["supabase"]),
        ),
        ("whatsapp", "/100000000000002/messages", message, bearer(tokens["whatsapp"])),
        ("hostinger", "/api/vps/v1/firewall", {"name": "house"}, bearer(tokens["hostinger"])),
        ("dokploy", "/api/project.create", {"name": "house"}, {"X-API-Key": tokens["dokploy"]}),
    ]


def bearer(token: str) -> dict[str, str]:
    """The header of a bearer token."""
    return {"Authorization": f"Bearer {token}"}
