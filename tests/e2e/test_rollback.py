"""`--rollback-on-failure`: what a failed run created goes away again; what was there before stays."""

from __future__ import annotations

import pytest

from smos.sandbox import server
from support import providers
from support.instance import ACME, Done, Instance, Shop, shop

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


def failing(smos: Instance, provider: str, operation: str, tenant: Shop, *more: str) -> Done:
    """`create tenant` while one operation of a provider always fails."""
    server.fault(smos.sandbox, provider=provider, operation=operation, kind="status", status=503, times="always")
    try:
        return smos.create(tenant, *more)
    finally:
        server.clear_faults(smos.sandbox)


def of_an_archived_company(row: str) -> bool:
    """Odoo keeps a company that has accounts: it can only be archived. It comes back when the tenant does."""
    kept = row.startswith(("odoo_res_partner", "odoo_company_users"))
    return kept or (row.startswith("odoo_res_company") and "'active': 0" in row)


def test_a_run_that_fails_in_any_service_leaves_everything_as_it_was(neighbour: Instance) -> None:
    files = neighbour.registered()
    for number, (provider, operation) in enumerate(STEPS, start=10):
        tenant = shop(number)
        content = neighbour.content()
        done = failing(neighbour, provider, operation, tenant, "--rollback-on-failure")
        assert done.code == 1, done
        assert provider in done.why, done
        left = providers.differences(content, neighbour.content())
        assert [row for row in left if not of_an_archived_company(row)] == [], provider
        assert neighbour.registered() == files
        assert neighbour.run("tenant", "show", tenant.rut).code == 2


def test_an_undone_tenant_can_be_created_and_undone_again(neighbour: Instance) -> None:
    files = neighbour.registered()
    for _turn in range(2):
        content = neighbour.content()
        done = failing(neighbour, "chatwoot", "inboxes.create", ACME, "--rollback-on-failure")
        assert done.code == 1, done
        left = providers.differences(content, neighbour.content())
        assert [row for row in left if not of_an_archived_company(row)] == []
        assert neighbour.registered() == files

    done = neighbour.create(ACME)
    assert done.code == 0, done
    assert neighbour.inventory().wrong([shop(1).rut, ACME.rut]) == []


def test_what_an_earlier_run_made_stays(neighbour: Instance) -> None:
    assert failing(neighbour, "chatwoot", "inboxes.create", ACME).code == 1
    before = neighbour.inventory().tenants[ACME.rut]
    assert before["odoo user"] == before["chatwoot account"] == 1
    assert before["chatwoot inbox"] == before["n8n workflow"] == 0

    done = failing(neighbour, "n8n", "workflows.activate", ACME, "--rollback-on-failure")
    assert done.code == 1, done
    after = neighbour.inventory().tenants[ACME.rut]
    assert after == {**before, "chatwoot inbox": 1}, "what another run made is completed; what this one made goes"
    assert neighbour.phase(ACME) == "failed"

    assert neighbour.create(ACME).code == 0
    assert neighbour.inventory().wrong([shop(1).rut, ACME.rut]) == []


def test_without_the_option_what_was_made_stays_for_the_next_run(neighbour: Instance) -> None:
    assert failing(neighbour, "cloudflare", "dns_records.batch", ACME).code == 1
    made = neighbour.inventory().tenants[ACME.rut]
    assert made["odoo user"] == made["chatwoot inbox"] == made["n8n tag"] == 1
    assert neighbour.phase(ACME) == "failed"
    last = neighbour.seen()
    assert neighbour.create(ACME).code == 0
    assert set(neighbour.writes(last)) == {"cloudflare dns_records.batch"}
