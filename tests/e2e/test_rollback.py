"""`--rollback-on-failure`: what a failed run created goes away again; what was there before stays."""

from __future__ import annotations

import pytest

from smos.sandbox import server
from support import providers
from support.instance import ACME, SERVICES, Done, Instance, Shop, shop

# A service, a write of it that comes after it has made something (some have one write only), and the answer to it.
# Where a provider has broken down, a call is tried several times; what it refuses, it refuses once.
STEPS = [
    ("supabase", "sql.change", 503),
    ("metabase", "dashboards.update", 400),
    ("odoo", "res.users.create", 503),
    ("chatwoot", "inboxes.create", 503),
    ("botpress", "bots.import", 400),
    ("vercel", "domains.add", 400),
    ("n8n", "workflows.activate", 503),
    ("cloudflare", "dns_records.batch", 503),
    ("shopify", "graphql.SmosCreateWebhook", 403),
    ("whatsapp", "messages.send", 401),  # a message that cannot be delivered fails nobody; a token that ended does
]
MESSAGES = {"smtp messages.send", "whatsapp messages.send"}


def with_neighbour(smos: Instance) -> Instance:
    """The instance with another tenant, which made what all tenants share."""
    smos.up()
    done = smos.create(shop(1))
    assert done.code == 0, done
    return smos


@pytest.fixture
def neighbour(smos: Instance) -> Instance:
    """A new instance with another tenant."""
    return with_neighbour(smos)


@pytest.fixture(scope="module")
def shared_neighbour(shared_smos: Instance) -> Instance:
    """An instance with another tenant, in which each test leaves everything as it was."""
    return with_neighbour(shared_smos)


def failing(smos: Instance, provider: str, operation: str, tenant: Shop, *more: str, status: int = 503) -> Done:
    """`create tenant` while one operation of a provider always fails."""
    server.fault(smos.sandbox, provider=provider, operation=operation, kind="status", status=status, times="always")
    try:
        return smos.create(tenant, *more)
    finally:
        server.clear_faults(smos.sandbox)


def of_an_archived_company(row: str) -> bool:
    """Odoo keeps a company that has accounts: it can only be archived. It comes back when the tenant does."""
    kept = row.startswith(("odoo_res_partner", "odoo_company_users"))
    return kept or (row.startswith("odoo_res_company") and "'active': 0" in row)


def test_every_service_of_tenants_is_made_to_fail() -> None:
    assert {provider for provider, _operation, _status in STEPS} == set(SERVICES)


@pytest.mark.parametrize(("provider", "operation", "status"), STEPS, ids=[step[0] for step in STEPS])
def test_a_run_that_fails_in_any_service_leaves_everything_as_it_was(
    shared_neighbour: Instance, provider: str, operation: str, status: int
) -> None:
    smos, tenant = shared_neighbour, shop(10 + SERVICES.index(provider))
    files, content, last = smos.registered(), smos.content(), smos.seen()
    done = failing(smos, provider, operation, tenant, "--rollback-on-failure", status=status)
    assert done.code == 1, done
    assert provider in done.why, done
    writes = smos.writes(last)
    assert f"{provider} {operation}" in writes, "the fault was not met"
    left = providers.differences(content, smos.content())
    assert [row for row in left if not of_an_archived_company(row)] == []
    assert smos.registered() == files
    assert smos.locks() == []
    assert smos.run("tenant", "show", tenant.rut).code == 2
    # A message that was sent cannot be taken back: so they come last, when all the rest is done
    told = [row["text"] for row in smos.run("sandbox", "outbox", "--json").result["messages"]]
    welcomed = sum(tenant.name in text for text in told)
    assert welcomed == (1 if provider == "whatsapp" else 0), told
    assert provider == "whatsapp" or MESSAGES.isdisjoint(writes)


def test_an_undone_tenant_can_be_created_and_undone_again(neighbour: Instance) -> None:
    files = neighbour.registered()
    for _turn in range(2):
        content = neighbour.content()
        done = failing(neighbour, "chatwoot", "inboxes.create", ACME, "--rollback-on-failure", status=422)
        assert done.code == 1, done
        left = providers.differences(content, neighbour.content())
        assert [row for row in left if not of_an_archived_company(row)] == []
        assert neighbour.registered() == files

    done = neighbour.create(ACME)
    assert done.code == 0, done
    assert neighbour.inventory().wrong([shop(1).rut, ACME.rut]) == []


def test_what_an_earlier_run_made_stays(neighbour: Instance) -> None:
    assert failing(neighbour, "chatwoot", "inboxes.create", ACME, status=422).code == 1
    before = neighbour.inventory().tenants[ACME.rut]
    assert before["odoo user"] == before["chatwoot account"] == before["metabase dashboard"] // 2 == 1
    assert before["supabase reader"] == before["botpress bot"] == before["vercel domain"] == 1
    assert before["chatwoot inbox"] == before["n8n workflow"] == 0

    done = failing(neighbour, "n8n", "workflows.activate", ACME, "--rollback-on-failure", status=400)
    assert done.code == 1, done
    after = neighbour.inventory().tenants[ACME.rut]
    assert after == {**before, "chatwoot inbox": 1}, "what another run made is completed; what this one made goes"
    assert neighbour.phase(ACME) == "failed"

    assert neighbour.create(ACME).code == 0
    assert neighbour.inventory().wrong([shop(1).rut, ACME.rut]) == []


def test_without_the_option_what_was_made_stays_for_the_next_run(neighbour: Instance) -> None:
    assert failing(neighbour, "cloudflare", "dns_records.batch", ACME, status=400).code == 1
    made = neighbour.inventory().tenants[ACME.rut]
    assert made["odoo user"] == made["chatwoot inbox"] == made["n8n tag"] == 1
    assert neighbour.phase(ACME) == "failed"
    last = neighbour.seen()
    assert neighbour.create(ACME).code == 0
    assert set(neighbour.writes(last)) == {"cloudflare dns_records.batch", *MESSAGES}
