"""The founder's panel and an agent, with a machine to look at and to back up."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from support import panel as people
from support.agent import talking
from support.instance import Instance
from support.panel import Panel

ENGINE = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")


@pytest.fixture(scope="module")
def panel(smos: Instance) -> Iterator[Panel]:
    with people.serving(smos, DOCKER_HOST=ENGINE) as there:
        yield there


def test_the_panel_tells_of_the_machine(panel: Panel) -> None:
    (state,) = panel.write("estado")
    assert state.startswith("Estado de sandbox: todo bien."), state
    assert re.search(r"Memoria \d+ %, disco libre \d+ de \d+ GB\.", state), state
    (one,) = panel.write("estado n8n")
    assert "todo bien" in one, one
    (lines,) = panel.write("logs n8n 5")
    assert "n8n" in lines, lines


def test_the_panel_backs_up_after_a_code(panel: Panel) -> None:
    (asked,) = panel.write("respaldar redis")
    found = re.search(r"SI ([2-9A-HJKMNP-Z]{6})", asked)
    assert found, asked
    begun, done = panel.write(f"SI {found[1]}", answers=2)
    assert begun.startswith("En marcha: respaldar redis"), begun
    backup = re.search(r"Listo: respaldo (\d{8}-\d{6})", done)
    assert backup, done
    (newest,) = panel.write("respaldo")
    assert backup[1] in newest, newest


def test_an_agent_looks_at_the_machine_and_backs_up_by_a_plan(smos: Instance) -> None:
    async def session() -> dict[str, Any]:
        found: dict[str, Any] = {}
        async with talking(smos, "smarterbot") as agent:
            for name, given in (("status", {}), ("logs_tail", {"service": "n8n", "lines": 5}), ("backup", {})):
                answer = await agent.call_tool(name, given)
                assert not answer.is_error, answer
                found[name] = answer.structured_content
            token = found["backup"]["plan_token"]
            found["acted"] = (await agent.call_tool("backup", {"plan_token": token})).structured_content
            found["backups"] = (await agent.call_tool("backups_list", {})).structured_content
        return found

    found = anyio.run(session)
    assert {each["state"] for each in found["status"]["result"]["services"].values()} == {"up"}
    assert found["logs_tail"]["result"]["logs"]["n8n"]
    assert (found["acted"]["ok"], found["acted"]["result"]["verified"]) == (True, True), found["acted"]
    taken = found["acted"]["result"]["backup"]
    assert taken in [row["id"] for row in found["backups"]["result"]["backups"]]
