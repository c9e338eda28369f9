"""Who has the web's ports on a machine, in words for the operator."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import vps_look


class Docker:
    """An Engine with these containers."""

    present = True

    def __init__(self, *containers: dict[str, Any]) -> None:
        self._containers = list(containers)

    def get(self, _path: str) -> list[dict[str, Any]]:
        return self._containers


def container(name: str, port: int, **labels: str) -> dict[str, Any]:
    return {"Names": [f"/{name}"], "Image": f"{name}:1", "Ports": [{"PublicPort": port}], "Labels": labels}


OURS = container("traefik", 443, **{"com.docker.swarm.service.name": "traefik_traefik"})
THEIRS = container("web", 80)


@pytest.mark.parametrize(
    ("listening", "containers", "found"),
    [
        ({22}, [], {}),
        ({22, 80}, [], {80: "a program that is not a container"}),
        ({80}, [THEIRS], {80: "container web (web:1), which is not managed here"}),
        ({443}, [OURS], {}),
        ({80, 443}, [OURS, THEIRS], {80: "container web (web:1), which is not managed here"}),
    ],
)
def test_only_strangers_are_named(
    monkeypatch: pytest.MonkeyPatch, listening: set[int], containers: list[dict[str, Any]], found: dict[int, str]
) -> None:
    monkeypatch.setattr(vps_look, "listening_ports", lambda: listening)
    assert vps_look.strangers_on(Docker(*containers)) == found  # type: ignore[arg-type] # all that is asked of it
