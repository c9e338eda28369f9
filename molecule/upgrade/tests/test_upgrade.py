"""A service is replaced while clients use it through the reverse proxy."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

STATE = Path(os.environ["SMOS_STATE_DIR"])
VARIABLES = Path(__file__).parents[1] / "vars/upgrade.yml"
HOST = "chatwoot.smarterbot.cl"
GOOD, BAD = "4.17.0-ce", "4.18.0-unhealthy"
CLIENTS = 3


def deploy(version: str) -> tuple[int, dict[str, Any]]:
    words = [
        sys.executable,
        "-m",
        "smos",
        "deploy",
        "backend",
        "--service",
        "chatwoot",
        "-e",
        f"@{VARIABLES}",
        "--json",
    ]
    environment = {**os.environ, "SMOS_VPS_VERSIONS": f"chatwoot={version}"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    return done.returncode, json.loads(done.stdout)


class Clients:
    """Ask again and again, each on connections of its own; count what comes back."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self._port = json.loads((STATE / "sandbox/vps/machines.json").read_text())["machines"][0]["https_port"]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _each in range(CLIENTS)]

    def _ask(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        while not self._stop.is_set():
            connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=30, context=context)
            try:
                connection.request("GET", "/api", headers={"Host": HOST})
                answer = connection.getresponse()
                answer.read()
                self.answers[str(answer.status)] += 1
            except (OSError, http.client.HTTPException) as exc:
                self.answers[repr(exc)] += 1
            finally:
                connection.close()
            time.sleep(0.1)  # below the rate that one address is allowed

    @contextmanager
    def at_work(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()


@pytest.fixture(scope="module")
def first() -> str:
    """The image of release A."""
    code, document = deploy("4.16.2-ce")
    assert code == 0, document
    return str(document["result"]["services"]["chatwoot"]["image"])


def test_a_new_version_takes_over_without_a_failed_request(first: str) -> None:
    clients = Clients()
    with clients.at_work():
        code, document = deploy(GOOD)
    service = document["result"]["services"]["chatwoot"]
    assert code == 0, document
    assert service["changed"]
    assert service["image"] != first
    assert set(clients.answers) == {"200"}, clients.answers
    assert clients.answers["200"] > 50


def test_a_version_that_never_becomes_healthy_is_taken_back_without_a_failed_request() -> None:
    clients = Clients()
    with clients.at_work():
        code, document = deploy(BAD)
    service = document["result"]["services"]["chatwoot"]
    assert code == 1, document
    assert (service["state"], service["rolled_back"]) == ("failed", True)
    (error,) = document["errors"]
    assert "the one before runs again" in error["why"]
    assert set(clients.answers) == {"200"}, clients.answers


def test_the_good_version_is_what_a_further_deploy_finds() -> None:
    code, document = deploy(GOOD)
    assert code == 0, document
    assert document["result"]["services"]["chatwoot"]["state"] == "up"
