"""A server that means harm in the place of a provider: one clear error in time, exit code 3, no traceback, nothing written."""

from __future__ import annotations

import json
import time

import pytest

from support import hostile, providers
from support.instance import Instance, shop

SHOP = shop(7)
WAYS = ("a page in the place of JSON", "a drip in the body", "a body without end", "JSON [[]] with status 200 OK")
PATIENCE_S = 25  # of the look at the providers before a run: two answers of ten seconds, and one connection
COMMAND_S = 200  # what the command itself may need on a busy machine; without a limit it would never end


@pytest.fixture(scope="module")
def smos(shared_smos: Instance) -> Instance:
    return shared_smos


@pytest.mark.parametrize("way", WAYS)
def test_a_hostile_provider_gives_one_clear_error(smos: Instance, way: str) -> None:
    content = smos.content()
    with hostile.serving(hostile.WAYS[way]) as server:
        started = time.monotonic()
        done = smos.create(SHOP, "-e", json.dumps({"n8n_url": server.url}))
        took = time.monotonic() - started
    assert done.code == 3, done
    errors = done.document["errors"]
    assert len(errors) == 1, done
    assert "n8n" in errors[0]["what"].lower()
    assert errors[0]["why"]
    assert errors[0]["next"]
    assert "Traceback" not in done.out + done.err
    assert "sandbox-n8n-token" not in done.out + done.err
    assert took < PATIENCE_S + COMMAND_S, took
    assert providers.differences(content, smos.content()) == []
    assert SHOP.rut not in smos.registered()
