"""specs/mcp: what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import consistency_mcp
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.documents import load
from smos.specs.mcp import McpClients, McpServers

SPECS = Path(__file__).resolve().parents[3] / "specs"


def documents() -> dict[str, Any]:
    names = {"mcp_clients": "mcp/clients.yml", "mcp_servers": "mcp/servers.yml", "environments": "environments.yml"}
    return {kind: load(SPECS / file) for kind, file in names.items()}


def told(all_of_them: dict[str, Any]) -> list[str]:
    return [f"{rule} {found}" for _kind, _place, rule, found, _next in consistency_mcp.broken(all_of_them)]


def test_ours_are_sound() -> None:
    ours = documents()
    McpClients.model_validate(ours["mcp_clients"])
    servers = McpServers.model_validate(ours["mcp_servers"])
    assert set(servers.servers) == {"cloudflare", "hostinger", "shopify", "supabase", "vercel", "github"}
    assert told(ours) == []


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("default",), "nobody", "is unknown"),
        (("default",), "operator", "may only read"),
        (("clients", "operator", "environments"), ["moon"], "is unknown"),
        (("clients", "operator", "token"), {}, "It has both, or none"),
        (("clients", "operator", "token"), {"variable": "SMOS_MCP_TOKEN_SMARTERBOT"}, "smarterbot has it"),
    ],
)
def test_what_no_schema_can_say_is_told(path: tuple[str, ...], value: Any, why: str) -> None:
    ours = documents()
    part = ours["mcp_clients"]
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    assert [one for one in told(ours) if why in one]


def test_a_server_has_an_address_or_a_package() -> None:
    ours = documents()
    ours["mcp_servers"]["servers"]["vercel"]["package"] = "vercel-mcp@1.0.0"
    del ours["mcp_servers"]["servers"]["shopify"]["package"]
    assert len([one for one in told(ours) if "either an address or a package" in one]) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": ["everything"]},
        {"scopes": []},
        {"token": "a-literal-token"},
        {"token": {"value": "a-literal-token"}},
        {"token": {"sha256": "short"}},
        {"purge": True},
    ],
)
def test_a_client_that_is_not_as_the_schema_says_is_refused(change: dict[str, Any]) -> None:
    client = {"description": "x", "scopes": ["read"], "environments": ["sandbox"], **change}
    with pytest.raises(ValidationError):
        McpClients.model_validate({"default": "x", "clients": {"x": client}})
