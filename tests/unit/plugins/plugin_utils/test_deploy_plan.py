"""What a deploy will do, and every reason not to begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import vps_look
from ansible_collections.smartercl.smarteros.plugins.module_utils.verdicts import Verdict
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import deploy_plan, releases
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.deploy_plan import Wanted

SPECS = Path(__file__).resolve().parents[4] / "specs"
REDIS = Wanted("redis", "redis", "c1", {"redis": "redis:7@sha256:aa"}, {"redis": (64, 256)}, ())
N8N = Wanted("n8n", "n8n", "c2", {"n8n": "n8n:2@sha256:bb"}, {"n8n": (512, 1024)}, ("n8n.example.com",))
HOST = {
    "name": "vps1",
    "os": "ubuntu",
    "os_version": "24.04",
    "os_title": "Ubuntu 24.04",
    "cpus": 2,
    "memory_mb": 8192,
    "swap_mb": 4096,
    "disk_free_gb": 50.0,
    "clock_synced": True,
    "container": False,
}


def live(wanted: Wanted, **more: Any) -> dict[str, Any]:
    return {"config": wanted.config, "images": dict(wanted.images), "state": "up", "routed": True, **more}


def look(**host: Any) -> dict[str, Any]:
    return {"host": {**HOST, **host}, "strangers": {}, "releases": [{}], "engine": {"version": "28.1.0"}}


def test_only_what_differs_is_visited_and_in_order() -> None:
    assert deploy_plan.visits([REDIS, N8N], {"redis": live(REDIS), "n8n": live(N8N)}) == []
    assert deploy_plan.visits([REDIS, N8N], {"redis": live(REDIS)}) == [N8N]
    assert deploy_plan.visits([REDIS, N8N], {}) == [REDIS, N8N]
    for more in ({"config": "other"}, {"state": "degraded"}, {"images": {"redis": "redis:6"}}):
        assert deploy_plan.visits([REDIS], {"redis": live(REDIS, **more)}) == [REDIS]


@pytest.mark.parametrize(
    ("now", "row"),
    [
        (None, ("create", "image of redis", None, "redis:7@sha256:aa")),
        ({"images": {"redis": "redis:6"}}, ("update", "image of redis", "redis:6", "redis:7@sha256:aa")),
        ({"config": "c0"}, ("update", "configuration", "c0", "c1")),
        ({"state": "down"}, ("update", "state", "down", "up")),
    ],
)
def test_the_plan_says_what_changes_from_what(now: dict[str, Any] | None, row: tuple[Any, ...]) -> None:
    there = {} if now is None else {"redis": live(REDIS, **now)}
    (change,) = deploy_plan.changes([REDIS], there)
    assert (change["action"], change["what"], change["before"], change["after"]) == row
    assert (change["service"], change["tenant"]) == ("redis", None)


def test_memory_that_does_not_suffice_is_refused_with_the_table() -> None:
    assert deploy_plan.budget([REDIS, N8N], HOST, 1.0) == []
    ((code, error),) = deploy_plan.budget([REDIS, N8N], {**HOST, "memory_mb": 1024, "swap_mb": 0}, 1.0)
    assert code == 2
    for words in (
        "reserve 1176 MiB",
        "1024 MiB",
        "limits come to 1880 MiB",
        "n8n 512/1024",
        "redis 64/256",
        "system 600",
    ):
        assert words in error["why"]
    assert deploy_plan.budget([N8N], {**HOST, "memory_mb": 1200, "swap_mb": 0}, 2.0) == []


@pytest.mark.parametrize(
    ("host", "what", "why"),
    [
        ({"os": "fedora", "os_version": "41", "os_title": "Fedora 41"}, "the machine", "Fedora 41"),
        ({"os_version": "22.04", "os_title": "Ubuntu 22.04"}, "the machine", "Ubuntu 22.04"),
        ({"cpus": 1}, "the machine", "1 CPU"),
        ({"disk_free_gb": 3.0}, "disk", "3.0 GB"),
        ({"clock_synced": False}, "clock", "time server"),
    ],
)
def test_a_machine_that_will_not_do_is_refused(host: dict[str, Any], what: str, why: str) -> None:
    ((code, error),) = deploy_plan.machine(look(**host), 10, 2)
    assert (code, error["what"]) == (3, what)
    assert why in error["why"]
    assert error["next"]


def test_all_reasons_are_told_at_once() -> None:
    seen = {
        **look(os="fedora", cpus=1, disk_free_gb=1.0),
        "strangers": {"80": "container web (nginx), which is not managed here"},
    }
    assert [error["what"] for _code, error in deploy_plan.machine(seen, 10, 2)] == [
        "the machine",
        "the machine",
        "disk",
        "port 80",
    ]


@pytest.mark.parametrize(
    ("engine", "image", "fine"),
    [
        ("29.0.1", "traefik:v2.11", False),
        ("29.0.1", "traefik:v3.6.0@sha256:aa", False),
        ("29.0.1", "traefik:v3.6.1", True),
        ("29.1.0", "traefik:v2.11.31", True),
        ("28.5.0", "traefik:v2.11", True),
        ("29.0.0", "traefik:latest", True),
        ("", "traefik:v2.11", True),
    ],
)
def test_an_old_traefik_does_not_meet_a_new_engine(engine: str, image: str, fine: bool) -> None:
    seen = {**look(), "engine": {"version": engine}}
    assert (deploy_plan.engine_and_traefik(seen, {"traefik": image}) == []) is fine


class Docker:
    """An Engine of this version, as its interface tells of itself."""

    present = True

    def __init__(self, version: str) -> None:
        self._version = version

    def get(self, path: str) -> dict[str, Any]:
        told: dict[str, dict[str, Any]] = {
            "/info": {"Swarm": {}},
            "/version": {"Version": self._version, "ApiVersion": "1.52"},
        }
        return told[path]


def test_the_first_release_is_refused_on_a_new_engine_and_the_present_one_is_not() -> None:
    seen = {**look(), "engine": vps_look.engine(Docker("29.0.1"))}  # type: ignore[arg-type] # all that is asked of it
    first = releases.load(SPECS, "0.1.0").images({})
    ((code, error),) = deploy_plan.engine_and_traefik(seen, first)
    assert (code, error["what"]) == (3, "traefik")
    for words in ("Traefik 2.", "Docker Engine 29.0.1", "404"):
        assert words in error["why"]
    assert deploy_plan.engine_and_traefik(seen, releases.load(SPECS, None).images({})) == []
    older = {**seen, "engine": vps_look.engine(Docker("28.5.2"))}  # type: ignore[arg-type] # as above
    assert deploy_plan.engine_and_traefik(older, first) == []


def test_tokens_that_a_provider_does_not_take_are_refused_and_silence_is_not() -> None:
    said = {
        "cloudflare": Verdict("insufficient", message="it may not write", missing_scopes=["DNS:Edit"]),
        "hostinger": Verdict("missing", message="not set: hostinger_token"),
        "vercel": Verdict("unreachable", message="no connection"),
        "odoo": Verdict("valid"),
    }
    (first, second) = deploy_plan.useless(said)
    assert [code for code, _error in (first, second)] == [3, 3]
    assert first[1]["why"] == "insufficient: it may not write (it lacks DNS:Edit)"
    assert (second[1]["what"], second[1]["why"]) == ("hostinger", "missing: not set: hostinger_token")
    assert ".env.hostinger" in second[1]["next"]


def test_images_without_digest_are_named() -> None:
    images = {"redis": "redis:7@sha256:aa", "n8n": "n8n:2"}
    ((code, error),) = deploy_plan.unpinned(images)
    assert code == 2
    assert "n8n" in error["why"]
    assert "redis" not in error["why"]
    assert "smos pin n8n" in error["next"]


def test_a_service_alone_needs_what_it_depends_on() -> None:
    needs = {"n8n": ["redis"]}
    ((code, error),) = deploy_plan.missing(["n8n"], [REDIS, N8N], needs, {})
    assert (code, error["what"]) == (3, "n8n")
    assert "--service redis" in error["next"]
    assert deploy_plan.missing(["n8n"], [REDIS, N8N], needs, {"redis": {}}) == []
    assert deploy_plan.missing([], [REDIS, N8N], needs, {}) == []
