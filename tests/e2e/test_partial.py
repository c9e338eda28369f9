"""One tenant of several cannot be completed: it fails alone and says why; the others are done."""

from __future__ import annotations

import pytest
import yaml

from smos.sandbox import server
from support.instance import SERVICES, Instance, shop
from support.sandbox_api import ByHand

SHOPS = [shop(number) for number in range(5)]
UNLUCKY = SHOPS[2]


def test_a_conflict_fails_one_tenant_alone_and_goes_away_with_its_cause(smos: Instance) -> None:
    smos.up()
    hand = ByHand(smos)
    made = {"type": "A", "name": UNLUCKY.domain, "content": "192.0.2.99", "ttl": 300}
    record = hand.cloudflare("POST", "dns_records", made)
    smos.add_files(SHOPS)

    foretold = smos.run("plan", "tenants", "--exit-code", "--json")
    assert (foretold.code, foretold.document["ok"]) == (1, False), "a plan that foresees a failure does not end well"
    assert UNLUCKY.domain in foretold.why, foretold
    assert {row["tenant"] for row in foretold.result["changes"]} == {each.rut for each in SHOPS if each is not UNLUCKY}
    done = smos.run("tenant", "apply", "--json")
    assert done.code == 1, done
    assert smos.phases() == {each.rut: "failed" if each is UNLUCKY else "active" for each in SHOPS}
    assert UNLUCKY.domain in done.why, done
    assert all(UNLUCKY.rut in " ".join(error.values()) for error in done.document["errors"]), done
    status = yaml.safe_load((smos.registry / f"{UNLUCKY.rut}.yml").read_text())["status"]["sandbox"]
    assert UNLUCKY.domain in status["reason"], status
    assert hand.record(UNLUCKY.domain)["content"] == "192.0.2.99", "what a person made is not touched"
    assert smos.locks() == []

    last = smos.seen()
    again = smos.run("tenant", "apply", "--json")
    assert again.code == 1, again
    assert smos.writes(last) == []

    hand.cloudflare("DELETE", f"dns_records/{record['id']}")
    last = smos.seen()
    done = smos.run("tenant", "apply", "--json")
    assert done.code == 0, done
    assert set(smos.phases().values()) == {"active"}
    assert smos.inventory().wrong(each.rut for each in SHOPS) == []
    bodies = [row["body"] or "" for row in smos.requests(since=last, writes=True)]
    others = [each for each in SHOPS if each is not UNLUCKY]
    assert not any(each.rut in body for each in others for body in bodies), "the others were done already"


# A write of each service that goes on to n8n's wave and beyond, or not, with the services that come after it
DOWN = [
    ("supabase", "rows.upsert", set(SERVICES) - {"supabase"}),
    ("chatwoot", "platform.accounts.create", {"n8n", "cloudflare", "shopify", "whatsapp"}),
    ("vercel", "domains.add", {"n8n", "cloudflare", "shopify", "whatsapp"}),
    ("shopify", "graphql.SmosSetMetafields", {"whatsapp"}),
]


@pytest.mark.parametrize(("provider", "operation", "later"), DOWN, ids=[row[0] for row in DOWN])
def test_a_service_that_is_down_fails_the_tenants_and_leaves_the_others_of_its_wave_done(
    smos: Instance, provider: str, operation: str, later: set[str]
) -> None:
    smos.up()
    smos.add_files(SHOPS[:3])
    server.fault(smos.sandbox, provider=provider, operation=operation, kind="500", times="always")
    done = smos.run("tenant", "apply", "--json")
    assert done.code == 1, done
    assert set(smos.phases().values()) == {"failed"}
    for each in SHOPS[:3]:
        states = smos.run("tenant", "show", each.rut, "--json").result["tenant"]["services"]
        found = {name: row["state"] for name, row in states.items()}
        expected = dict.fromkeys(SERVICES, "ready") | dict.fromkeys(later, "pending") | {provider: "failed"}
        assert found == expected
    server.clear_faults(smos.sandbox)
    last = smos.seen()
    done = smos.run("tenant", "apply", "--json")
    assert done.code == 0, done
    assert smos.inventory().wrong(each.rut for each in SHOPS[:3]) == []
    touched = {write.partition(" ")[0] for write in smos.writes(last)} - {"smtp"}
    assert touched == {provider, *later}, "what was done is not done again"
