"""The deployed machine, looked at from outside and from inside."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from support.machine import known

STATE = Path(os.environ["SMOS_STATE_DIR"])
ROUTED = {
    "n8n": "/healthz",
    "odoo": "/web/health",
    "chatwoot": "/api",
    "ai": "/api/health",
    "portainer": "/api/status",
}
BACKEND = (
    "postgresql",
    "redis",
    "socket-proxy",
    "traefik",
    "n8n",
    "odoo",
    "chatwoot",
    "botpress",
    "metabase",
    "dokploy",
    "portainer",
)


def smos(*words: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run([sys.executable, "-m", "smos", *words, "--json"], capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def machine() -> dict[str, Any]:
    return known(STATE)


def values() -> dict[str, str]:
    """Every secret of the environment that is long enough to be told from other words."""
    words = [
        "ansible-vault",
        "view",
        "--vault-password-file",
        str(STATE / "sandbox/.vault-password"),
        str(STATE / "sandbox/vault.yml"),
    ]
    import yaml

    found = yaml.safe_load(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    return {name: value for name, value in found.items() if isinstance(value, str) and len(value) >= 12}


def test_every_service_is_up() -> None:
    code, document = smos("status")
    assert code == 0
    states = {name: each["state"] for name, each in document["result"]["services"].items()}
    assert states == dict.fromkeys(BACKEND, "up"), document["result"]["services"]


def test_no_container_was_started_anew_by_the_second_run(host: Any) -> None:
    now = host.check_output("docker inspect --format '{{.Id}} {{.State.StartedAt}}' $(docker ps --quiet)").splitlines()
    assert sorted(now) == sorted(host.file("/root/started").content_string.splitlines())


def test_the_machine_watches_itself_and_tells_how_it_was(host: Any) -> None:
    assert host.check_output("systemctl is-active smos-health.timer") == "active"
    for _look in ("first", "second"):
        host.check_output("systemctl start smos-health.service")
    code, document = smos("status", "--history", "7d")
    assert code == 0, document
    history = document["result"]["history"]
    states = {each["service"]: each["state"] for each in history["subjects"] if each["kind"] == "service"}
    assert states == dict.fromkeys(BACKEND, "up"), history
    kinds = {each["kind"] for each in history["subjects"]}
    assert kinds >= {"service", "host", "certificate", "backup"}
    assert [each for each in history["incidents"] if each["kind"] == "service"] == []


def test_somebody_else_watches_the_collector(host: Any) -> None:
    assert host.check_output("systemctl is-active smos-health-watch.timer") == "active"
    host.check_output("systemctl start smos-health.service")
    assert host.file("/var/lib/smarteros/health/heartbeat.json").exists
    assert host.run("/usr/local/lib/smarteros/health-watch.pyz").rc == 0


@pytest.mark.parametrize("name", ROUTED)
def test_a_service_answers_under_its_name(machine: dict[str, Any], name: str) -> None:
    at = f"{name}.smarterbot.cl:{machine['https_port']}"
    words = [
        "curl",
        "-ksS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--connect-to",
        f"{at}:127.0.0.1:{machine['https_port']}",
    ]
    done = subprocess.run([*words, f"https://{at}{ROUTED[name]}"], capture_output=True, text=True, check=False)
    assert done.stdout == "200", done


def test_certificates_are_the_authoritys(machine: dict[str, Any]) -> None:
    loose = ssl.create_default_context(cafile=str(STATE / "acme/pebble.crt"))
    with urllib.request.urlopen((STATE / "acme/roots").read_text(), context=loose) as answer:
        trusting = ssl.create_default_context(cadata=answer.read().decode())
    with (
        socket.create_connection(("127.0.0.1", machine["https_port"]), timeout=10) as line,
        trusting.wrap_socket(line, server_hostname="n8n.smarterbot.cl") as shown,
    ):
        certificate = shown.getpeercert() or {}
    assert certificate["subjectAltName"] == (("DNS", "n8n.smarterbot.cl"),)
    certificates = smos("status")[1]["result"]["certificates"]
    assert {f"{name}.smarterbot.cl" for name in ROUTED} <= certificates.keys()
    assert [name for name, each in certificates.items() if each["self_made"] or each["days"] < 1] == []


def test_nobody_becomes_administrator_by_coming_first(machine: dict[str, Any]) -> None:
    def asked(name: str, path: str) -> str:
        at = f"{name}.smarterbot.cl:{machine['https_port']}"
        words = ["curl", "-ksS", "--connect-to", f"{at}:127.0.0.1:{machine['https_port']}", f"https://{at}{path}"]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout

    assert json.loads(asked("n8n", "/rest/settings"))["data"]["userManagement"]["showSetupOnFirstLoad"] is False
    assert json.loads(asked("ai", "/api/session/properties")).get("setup-token") is None


def test_applications_have_databases_of_their_own_and_no_power(host: Any) -> None:
    sql = "select rolname from pg_roles where rolcanlogin and (rolsuper or rolcreatedb or rolcreaterole) order by 1"

    def asked(query: str) -> list[str]:
        inside = "docker exec -u postgres $(docker ps -q -f name=postgresql_postgresql)"
        return list(host.check_output(f'{inside} psql -tAc "{query}"').split())

    assert asked(sql) == ["postgres"]
    assert set(asked("select datname from pg_database where not datistemplate")) >= {
        "smarteros",
        "n8n",
        "odoo",
        "chatwoot",
        "botpress",
        "metabase",
    }


def test_no_secret_is_where_others_look(host: Any) -> None:
    places = {
        "the journal": host.check_output("journalctl --no-pager -o cat 2>/dev/null | tail -c 20000000"),
        "containers": host.check_output("docker inspect $(docker ps -aq)"),
        "services": host.check_output("docker service inspect $(docker service ls -q)"),
        "processes": host.check_output("ps -eo args"),
        "stack files": host.check_output("cat /opt/smarteros/stacks/*/stack.yml"),
        "logs": host.check_output("for s in $(docker service ls -q); do docker service logs --raw $s 2>&1; done"),
        "configs": host.check_output("docker config inspect $(docker config ls -q)"),
    }
    for folder in ("runs", "history", "running"):
        for path in (STATE / folder).rglob("*") if (STATE / folder).exists() else ():
            if path.is_file():
                places[str(path)] = path.read_text(errors="replace")
    told = [(name, place) for name, value in values().items() for place, text in places.items() if value in text]
    assert told == []


def test_stack_files_are_for_root_alone(host: Any) -> None:
    modes = host.check_output("stat -c '%a %U' /opt/smarteros/stacks/*/stack.yml").splitlines()
    assert set(modes) == {"600 root"}


def test_the_release_is_in_the_ledger_and_the_lock_is_free(host: Any) -> None:
    (entry,) = json.loads(host.file("/var/lib/smarteros/releases.json").content_string)
    assert set(entry["services"]) == set(BACKEND)
    assert not host.file("/var/lib/smarteros/locks/operation.lock").exists


def test_logs_are_shown() -> None:
    code, document = smos("logs", "n8n", "traefik", "20")
    assert code == 0
    assert document["result"]["logs"]["n8n"]
