"""A real n8n on PostgreSQL, with its owner set up and an API key made, as a person would do it in the browser."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from real import installs
from real.postgres import Postgres
from real.processes import free_port, running, wait_until

SHOPIFY_SECRET = "client-secret-of-the-tests"
OWNER = {"email": "owner@example.com", "firstName": "Olga", "lastName": "Owner", "password": "Loopback-test-1"}


@dataclass(frozen=True)
class N8n:
    """A server that answers; `url` is the base address (the public API is at `url` + `/api/v1`)."""

    url: str
    api_key: str
    version: str
    log: Path


@contextmanager
def server(version: str, node: Path, postgres: Postgres) -> Iterator[N8n]:
    """n8n in that version, on a database of its own; stopped and forgotten afterwards."""
    script = installs.n8n(version, node)
    folder = Path(tempfile.mkdtemp(prefix="smos-n8n-"))
    try:
        log, port = folder / "n8n.log", free_port()
        url = f"http://127.0.0.1:{port}"
        database = postgres.create_database(f"n8n_{version.replace('.', '_')}_{port}")
        settings = _settings(url, port, folder, postgres, database)
        # Its task broker (2.x) listens too, by default on a fixed port: give it a free one.
        settings |= {"N8N_RUNNERS_BROKER_PORT": str(free_port())}
        env = {**os.environ, **settings, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"}
        with running([str(node), str(script), "start"], log=log, env=env, cwd=folder) as process:
            # /healthz answers before the routes exist, and /rest/settings first says in plain text that it is starting.
            wait_until(lambda: _says_json(f"{url}/rest/settings"), f"n8n {version}", process=process, log=log)
            yield N8n(url, _api_key(url), version, log)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _settings(url: str, port: int, folder: Path, postgres: Postgres, database: str) -> dict[str, str]:
    return {
        "DB_TYPE": "postgresdb",
        "DB_POSTGRESDB_HOST": postgres.host,
        "DB_POSTGRESDB_PORT": str(postgres.port),
        "DB_POSTGRESDB_DATABASE": database,
        "DB_POSTGRESDB_USER": postgres.user,
        "DB_POSTGRESDB_PASSWORD": postgres.password,
        "N8N_PORT": str(port),
        "N8N_LISTEN_ADDRESS": "127.0.0.1",
        "N8N_ENCRYPTION_KEY": "loopback-test-encryption-key",
        "N8N_USER_FOLDER": str(folder),
        "N8N_DIAGNOSTICS_ENABLED": "false",
        "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
        "N8N_TEMPLATES_ENABLED": "false",
        "N8N_SECURE_COOKIE": "false",
        "N8N_METRICS": "true",
        "WEBHOOK_URL": f"{url}/",
        # What the workflow of Shopify's orders judges signatures by
        "SHOPIFY_CLIENT_SECRET": SHOPIFY_SECRET,
        "N8N_BLOCK_ENV_ACCESS_IN_NODE": "false",
        # Nothing of a proxy, and no call outside the machine.
        "NO_PROXY": "127.0.0.1",
        "EXTERNAL_FRONTEND_HOOKS_URLS": "",
    }


def _says_json(address: str) -> bool:
    try:
        answer = requests.get(address, timeout=30)
        answer.json()
    except requests.RequestException:
        return False
    return answer.status_code == 200


def _api_key(url: str) -> str:
    """Set up the owner, sign in and make a key; 1.x before 1.123 takes no scopes and shows the key under another name."""
    with requests.Session() as browser:
        browser.headers["browser-id"] = "smarteros-tests"

        def call(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
            answer = browser.request(method, f"{url}/rest{path}", json=body, timeout=60)
            if not answer.ok:
                raise RuntimeError(f"n8n answered {answer.status_code} to {method} {path}: {answer.text[:500]}")
            return answer.json()["data"]

        call("POST", "/owner/setup", OWNER)
        sign_in = {"emailOrLdapLoginId": OWNER["email"], "email": OWNER["email"], "password": OWNER["password"]}
        call("POST", "/login", sign_in)
        scopes = browser.get(f"{url}/rest/api-keys/scopes", timeout=60)
        known = scopes.json().get("data", []) if scopes.ok and "json" in scopes.headers.get("content-type", "") else []
        made = call("POST", "/api-keys", {"label": "smarteros", "expiresAt": None, "scopes": known})
        key: str = made.get("rawApiKey") or made["apiKey"]
        return key
