"""What is done to a machine that runs: secrets get new values, a deploy is killed. Comes last: it starts services anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

STATE = Path(os.environ["SMOS_STATE_DIR"])
VARIABLES = Path(__file__).parents[1] / "vars/acme.yml"
LOCK = "/var/lib/smarteros/locks/operation.lock"
PASSWORD = "postgresql_smarteros_password"


def words(*more: str) -> list[str]:
    return [sys.executable, "-m", "smos", "-e", f"@{VARIABLES}", *more, "--json"]


def smos(*more: str) -> tuple[int, dict[str, Any], str]:
    done = subprocess.run(words(*more), capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout), done.stderr


def value(name: str) -> str:
    files = ["--vault-password-file", str(STATE / "sandbox/.vault-password"), str(STATE / "sandbox/vault.yml")]
    shown = subprocess.run(["ansible-vault", "view", *files], capture_output=True, text=True, check=True).stdout
    return str(yaml.safe_load(shown)[name])


def is_let_in(host: Any, password: str) -> bool:
    inside = "docker exec -e PGPASSWORD $(docker ps -q -f name=postgresql_postgresql)"
    asked = f"{inside} psql -h 127.0.0.1 -U smarteros -d smarteros -tAc 'select 42'"
    return bool(host.run(f"PGPASSWORD={password} {asked}").stdout.strip() == "42")


def test_a_rotated_password_is_the_only_one_that_lets_in(host: Any) -> None:
    old = value(PASSWORD)
    assert is_let_in(host, old)
    code, document, _said = smos("secrets", "rotate", PASSWORD)
    assert (code, document["result"]["services"]) == (0, ["postgresql"]), document
    assert not is_let_in(host, old)
    assert is_let_in(host, value(PASSWORD))


def test_a_key_that_data_is_encrypted_with_is_not_rotated() -> None:
    old = value("n8n_encryption_key")
    code, document, _said = smos("secrets", "rotate", "n8n_encryption_key")
    assert code == 4
    assert "n8n export:credentials" in document["errors"][0]["next"]
    assert value("n8n_encryption_key") == old


def test_a_killed_deploy_is_run_again_and_goes_on(host: Any) -> None:
    host.check_output("docker stack rm portainer")
    killed = subprocess.Popen(words("deploy", "backend"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while "portainer" not in host.check_output("docker service ls --format '{{.Name}}'"):
        assert time.monotonic() < until
        assert killed.poll() is None
    killed.kill()
    killed.wait()
    dead = json.loads(host.file(LOCK).content_string)["run"]
    code, document, said = smos("deploy", "backend")
    assert code == 0, document
    assert f"the lock of run {dead}" in said
    assert {each["state"] for each in document["result"]["services"].values()} == {"up"}
    assert not host.file(LOCK).exists


def test_after_all_that_nothing_is_left_to_do() -> None:
    code, document, _said = smos("deploy", "backend")
    assert (code, document["changed"]) == (0, False), document
    assert {each["state"] for each in smos("status")[1]["result"]["services"].values()} == {"up"}
