"""`smos deploy all` with a machine: once, again, and with each of the machine's stages failing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.instance import ACME, Done, Instance
from support.stages import messages, states

VARIABLES = Path(__file__).parents[1] / "vars/acme.yml"
KEPT = "/var/lib/docker/volumes/portainer-data/_data/portainer.json"
NEEDED = "/var/lib/docker/volumes/botpress-data/_data/global"


def deploy(smos: Instance, *more: str) -> Done:
    return smos.run("-e", f"@{VARIABLES}", *more, "deploy", "all", "--json")


@pytest.fixture(scope="module")
def strict(smos: Instance) -> Iterator[Instance]:
    """With a tenant, a backup before each deploy, and services that must be up after it; as production is."""
    file = smos.specs / "environments.yml"
    before = file.read_text(encoding="utf-8")
    begin, sandbox, rest = before.partition("  sandbox:\n")
    for name in ("backup_before_deploy", "health_check_required"):
        rest = rest.replace(f"{name}: false", f"{name}: true", 1)
    file.write_text(begin + sandbox + rest, encoding="utf-8")
    assert smos.create(ACME).code == 0
    yield smos
    file.write_text(before, encoding="utf-8")


@contextmanager
def away(host: Any, path: str) -> Iterator[None]:
    """Without a file of the machine."""
    host.check_output(f"mv {path} {path}.away")
    try:
        yield
    finally:
        host.check_output(f"mv {path}.away {path}")


@contextmanager
def in_the_way(host: Any) -> Iterator[None]:
    """With a file where Botpress needs a folder: it does not start."""
    with away(host, NEEDED):
        host.check_output(f"touch {NEEDED}")
        try:
            yield
        finally:
            host.check_output(f"rm {NEEDED}")


@contextmanager
def spoilt(host: Any) -> Iterator[None]:
    """With a file that Portainer cannot read: one that runs answers with 500."""
    whole = host.file(KEPT).content_string
    host.check_output(f"cp -p {KEPT} {KEPT}.whole && printf '{{' > {KEPT}")
    try:
        yield
    finally:
        host.check_output(f"mv {KEPT}.whole {KEPT}")
        assert host.file(KEPT).content_string == whole


def test_all_of_it_is_deployed_and_the_second_run_does_nothing(strict: Instance) -> None:
    first = deploy(strict)
    assert (first.code, set(states(first).values()) - {"done", "nothing to do"}) == (0, set()), first
    second = deploy(strict)
    assert (second.code, second.document["changed"]) == (0, False), second
    assert {state for stage, state in states(second).items() if stage not in ("preflight", "health")} == {
        "nothing to do"
    }


def test_each_stage_of_the_machine_fails_once_and_the_same_command_goes_on_there(strict: Instance, host: Any) -> None:
    host.check_output("docker stack rm botpress")  # so that there is something to do
    with away(host, "/backups/config"):
        backup = deploy(strict)
        assert (backup.code, states(backup)["backup"], states(backup)["backend"]) == (1, "failed", "not run"), backup
    with in_the_way(host):
        backend = deploy(strict, "-e", "botpress_deploy_timeout=45")  # it is waited for as long; 300 s without
        assert (backend.code, states(backend)["backup"], states(backend)["backend"]) == (1, "done", "failed"), backend
        assert (states(backend)["health"], "botpress" in backend.why) == ("not run", True), backend
    last = deploy(strict)
    assert (last.code, messages(last)["backup"]) == (0, f"done in run {backend.document['run']}"), last
    assert last.result["services"]["botpress"]["state"] == "up"


def test_a_service_that_runs_and_does_not_answer_fails_the_health_stage(strict: Instance, host: Any) -> None:
    with spoilt(host):
        ill = deploy(strict)
        assert (ill.code, states(ill)["health"]) == (1, "failed"), ill
        assert "portainer" in ill.why
    well = deploy(strict)
    assert (well.code, states(well)["health"]) == (0, "nothing to do"), well
