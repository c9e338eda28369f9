"""`--rollback-on-failure`: what a failed run created goes away again; what was there before stays."""

from __future__ import annotations

import pytest
from smos.sandbox import server

from support import providers
from support.instance import ACME, Done, Instance, shop

# A service and a step of it that comes after it has made something (the DNS record is one step)
STEPS = [
    ("odoo", "res.users.create"),
    ("chatwoot", "inboxes.create"),
    ("n8n", "workflows.activate"),
    ("cloudflare", "dns_records.batch"),
]


@pytest.fixture
def neighbour(smos: Instance) -> Instance:
    """An instance with another tenant, which made what all tenants share."""
    smos.up()
    done = smos.create(shop(1))
    assert done.code == 0, done
    return smos


def failing(smos: Instance, provider: str, operation: str, *more: str) -> Done:
    server.fault(smos.sandbox, provider=provider, operation=operation, kind="status", status=503, times="always")
    try:
        return smos.create(ACME, *more)
    finally:
        server.clear_faults(smos.sandbox)


def test_a_run_that_fails_in_any_service_leaves_everything_as_it_was(neighbour: Instance) -> None:
    files, content = neighbour.registered(), providers.content(neighbour.sandbox / "state.db")
    for provider, operation in STEPS:
        done = failing(neighbour, provider, operation, "--rollback-on-failure")
        assert done.code == 1, done
        assert provider in done.why, done
        left = providers.differences(content, providers.content(neighbour.sandbox / "state.db"))
        assert left == [], f"{provider}: {left}"
        assert neighbour.registered() == files
        assert neighbour.inventory().wrong([shop(1).rut]) == []
    assert neighbour.run("tenant", "show", ACME.rut).code == 2

    done = neighbour.create(ACME)
    assert done.code == 0, done
    assert neighbour.inventory().wrong([shop(1).rut, ACME.rut]) == []


def test_what_an_earlier_run_made_stays(neighbour: Instance) -> None:
    assert failing(neighbour, "n8n", "tags.create").code == 1  # Odoo and Chatwoot are done
    before = neighbour.inventory().tenants[ACME.rut]
    assert before["odoo company"] == before["chatwoot inbox"] == 1
    assert before["n8n tag"] == before["n8n workflow"] == 0

    done = failing(neighbour, "cloudflare", "dns_records.batch", "--rollback-on-failure")
    assert done.code == 1, done
    assert neighbour.inventory().tenants[ACME.rut]["n8n workflow"] == 0
    kept = {kind: count for kind, count in neighbour.inventory().tenants[ACME.rut].items() if not kind.startswith("cloudflare")}
    assert {kind: kept.get(kind, 0) for kind in before if before[kind]} == {kind: count for kind, count in before.items() if count}
    assert neighbour.phase(ACME) == "failed"

    assert neighbour.create(ACME).code == 0
    assert neighbour.inventory().wrong([shop(1).rut, ACME.rut]) == []


def test_without_the_option_what_was_made_stays_for_the_next_run(neighbour: Instance) -> None:
    assert failing(neighbour, "cloudflare", "dns_records.batch").code == 1
    made = neighbour.inventory().tenants[ACME.rut]
    assert made["odoo user"] == made["chatwoot inbox"] == made["n8n tag"] == 1
    assert neighbour.phase(ACME) == "failed"
    last = neighbour.seen()
    assert neighbour.create(ACME).code == 0
    assert set(neighbour.writes(last)) == {"cloudflare dns_records.batch"}
