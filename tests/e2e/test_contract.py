"""The command line's contract: documents, exit codes, options anywhere, and predictions that come true."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.shopify_documents import DELETE_WEBHOOK
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.locks import Locks
from smos.sandbox import server
from support.instance import ACME, SERVICES, ZONE, Done, Instance, Shop, shop
from support.sandbox_api import ByHand

DOCUMENT: dict[str, tuple[type, ...]] = {
    "command": (str,),
    "env": (str,),
    "run": (str, type(None)),
    "ok": (bool,),
    "changed": (bool,),
    "duration_s": (float,),
    "result": (dict,),
    "errors": (list,),
}
RUN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}\Z")
CHANGE = {"service", "tenant", "action", "what", "before", "after", "cause", "owner"}
WITHOUT_PAGE = {"supabase", "whatsapp"}  # a tenant's part in them is nothing that a browser shows
STORE = f"{ACME.slug}.myshopify.com"


def document(done: Done, command: str, *, code: int = 0, env: str = "sandbox") -> dict[str, Any]:
    """The command's result, once its document has been held against the contract."""
    assert done.code == code, done
    found = json.loads(done.out)  # one document and nothing else
    assert found.keys() == DOCUMENT.keys()
    for key, kind in DOCUMENT.items():
        assert isinstance(found[key], kind), (key, found[key])
    assert (found["command"], found["env"]) == (command, env)
    assert found["ok"] == (code in (0, 10))
    assert found["ok"] != bool(found["errors"])
    for error in found["errors"]:
        assert error.keys() == {"what", "where", "why", "next"}
        assert error["what"], error
        assert error["why"], error
    result: dict[str, Any] = found["result"]
    return result


def is_tenant(tenant: dict[str, Any], expected: Shop, phase: str, state: str) -> None:
    keys = {"id", "rut", "name", "slug", "domain", "plan", "phase", "services"}
    assert keys <= tenant.keys()
    assert (tenant["id"], tenant["name"], tenant["domain"]) == expected.words
    assert (tenant["rut"], tenant["slug"], tenant["phase"]) == (expected.rut, expected.slug, phase)
    assert list(tenant["services"]) == list(SERVICES)
    for service in tenant["services"].values():
        assert {"state", "ref", "url", "message"} <= service.keys()
        assert service["state"] == state
        assert bool(service["ref"]) == (state == "ready")
    paged = {name for name, service in tenant["services"].items() if service["url"]}
    assert paged == (set(SERVICES) - WITHOUT_PAGE if state == "ready" else set())


@pytest.fixture(scope="module")
def acme(shared_smos: Instance) -> Instance:
    """An instance that has the tenant acme; the tests that share it change nothing."""
    result = document(shared_smos.create(ACME), "create tenant")
    is_tenant(result["tenant"], ACME, "active", "ready")
    return shared_smos


@pytest.mark.parametrize("spelling", ["12.345.678-5", "123456785", "12345678-5", "acme"])
def test_show_and_status_take_any_spelling_of_the_rut_and_the_slug(acme: Instance, spelling: str) -> None:
    for command in ("show", "status"):
        result = document(acme.run("tenant", command, spelling, "--json"), f"tenant {command}")
        is_tenant(result["tenant"], ACME, "active", "ready")


def test_the_lists_have_the_form_of_the_contract(acme: Instance) -> None:
    for more in ((), ("--status", "active"), ("--plan", "starter")):
        (row,) = document(acme.run("tenant", "list", "--json", *more), "tenant list")["tenants"]
        assert row.keys() >= {"id", "name", "slug", "domain", "plan", "phase", "created_at"}
        assert (row["id"], row["phase"], row["plan"]) == (ACME.rut, "active", "starter")
    for more in (("--status", "failed"), ("--plan", "enterprise")):
        assert document(acme.run("tenant", "list", "--json", *more), "tenant list")["tenants"] == []

    runs = document(acme.run("history", "--json"), "history")["runs"]
    assert [(row["command"], row["state"]) for row in runs] == [("create tenant", "done")]
    record = document(acme.run("history", runs[0]["run"], "--json"), "history")["run"]
    assert RUN.match(record["run"])
    assert record["ok"] is record["changed"] is True
    assert record["arguments"][:2] == ["create", "tenant"]
    assert all(change.keys() == CHANGE for change in record["changes"] if change["service"] != "registry")
    assert {change["service"] for change in record["changes"]} == {"registry", *SERVICES}
    assert {change["cause"] for change in record["changes"] if change["service"] != "registry"} == {"new"}


def test_a_second_run_and_a_plan_find_nothing_to_change(acme: Instance) -> None:
    last, files = acme.seen(), acme.registered()
    again = acme.create(ACME)
    is_tenant(document(again, "create tenant")["tenant"], ACME, "active", "ready")
    assert again.document["changed"] is False
    assert RUN.match(again.document["run"])
    human = acme.run("create", "tenant", *ACME.words)
    assert human.code == 0
    assert "nothing to change" in human.out
    for words in (["plan", "tenants"], ["plan", "tenants", "--exit-code"], ["tenant", "apply", "--check"]):
        done = acme.run(*words, "--json")
        assert document(done, "tenant apply" if "apply" in words else "plan")["changes"] == []
        assert (done.document["changed"], done.document["run"]) == (False, None)
    applied = document(acme.run("tenant", "apply", "acme", "--json"), "tenant apply")
    assert [row["id"] for row in applied["tenants"]] == [ACME.rut]
    assert acme.writes(last) == []
    assert acme.registered() == files


def test_specs_are_judged(acme: Instance) -> None:
    assert document(acme.run("validate", "--json"), "validate") == {"mistakes": 0}
    file = acme.specs / "services" / "registry.yml"
    sound = file.read_text()
    try:
        file.write_text(sound + "\ntypo: 1\n")
        result = document(acme.run("validate", "--json"), "validate", code=2)
        assert result == {"mistakes": 1}
        assert "typo" in acme.run("validate", "--json").why
    finally:
        file.write_text(sound)


def test_the_sandbox_commands_have_documents_too(smos: Instance) -> None:
    assert document(smos.run("sandbox", "status", "--json"), "sandbox status") == {"running": False}
    assert "smos sandbox up" in smos.run("sandbox", "requests", "--json").why
    assert document(smos.run("sandbox", "up", "--json"), "sandbox up").keys() == {"url", "pid"}
    status = document(smos.run("sandbox", "status", "--json"), "sandbox status")
    assert status["running"] is True
    assert status["providers"].keys() >= set(SERVICES)
    fault = ("sandbox", "fault", "429", "--provider", "n8n", "--times", "always", "--json")
    (rule,) = document(smos.run(*fault), "sandbox fault")["faults"]
    assert (rule["provider"], rule["status"], rule["times"]) == ("n8n", 429, "always")
    assert "kind" in smos.run("sandbox", "fault", "earthquake", "--json").why
    assert document(smos.run("sandbox", "fault", "--clear", "--json"), "sandbox fault")["faults"] == []
    assert document(smos.run("sandbox", "requests", "--json"), "sandbox requests")["requests"] == []
    assert document(smos.run("sandbox", "reset", "--json"), "sandbox reset")["reset"]
    assert document(smos.run("sandbox", "down", "--json"), "sandbox down") == {"stopped": True}
    assert document(smos.run("sandbox", "down", "--json"), "sandbox down") == {"stopped": False}


@pytest.mark.parametrize(
    "words",
    [
        ["--json", "--env", "sandbox", "tenant", "list"],
        ["tenant", "--json", "list", "--env", "sandbox"],
        ["tenant", "list", "--env=sandbox", "--json"],
        ["tenant", "list", "--json", "--specs", "SPECS"],
    ],
)
def test_global_options_may_stand_anywhere(acme: Instance, words: list[str]) -> None:
    done = acme.run(*[str(acme.specs) if word == "SPECS" else word for word in words])
    assert len(document(done, "tenant list")["tenants"]) == 1


def test_with_json_stdout_holds_one_document_also_when_ansible_is_loud(acme: Instance) -> None:
    done = acme.run("create", "tenant", *ACME.words, "-vvvv", "--diff", "--json")
    document(done, "create tenant")
    quiet = acme.run("create", "tenant", *ACME.words, "-q")
    assert (quiet.code, quiet.err) == (0, "")


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["fly"], "fly"),
        (["tenant", "fly"], "tenant fly"),
        (["create", "tenant", "1-9"], "create tenant"),
        (["create", "tenant", *ACME.words, "--colour", "red"], "create tenant"),
        (["tenant", "show"], "tenant show"),
        (["tenant", "show", "nobody"], "tenant show"),
        (["tenant", "apply", "nobody"], "tenant apply"),
        (["plan", "weather"], "plan"),
        (["history", "20200101-000000-0000"], "history"),
        (["history", "../../secrets"], "history"),
        (["tenant", "list", "--forks", "many"], "tenant list"),
    ],
)
def test_a_command_line_that_makes_no_sense_ends_with_2(acme: Instance, words: list[str], command: str) -> None:
    document(acme.run(*words, "--json"), command, code=2)
    human = acme.run(*words)
    assert (human.code, human.out) == (2, "")
    assert human.err
    assert "Traceback" not in human.err


def test_a_failed_step_ends_with_1_and_the_same_command_goes_on(smos: Instance) -> None:
    smos.up()
    server.fault(smos.sandbox, provider="n8n", operation="workflows.create", kind="500", times="always")
    done = smos.create(ACME)
    tenant = document(done, "create tenant", code=1)["tenant"]
    assert tenant["phase"] == "failed"
    states = {name: service["state"] for name, service in tenant["services"].items()}
    assert states["n8n"] == "failed"
    before, after = SERVICES[: SERVICES.index("n8n")], SERVICES[SERVICES.index("n8n") + 1 :]
    assert {states[name] for name in before} == {"ready"}
    assert {states[name] for name in after} == {"pending"}
    assert "500" in tenant["services"]["n8n"]["message"]
    assert any("n8n" in " ".join(error.values()) for error in done.document["errors"])
    assert smos.locks() == []
    (run,) = smos.run("history", "--json").result["runs"]
    assert (run["state"], run["ok"]) == ("failed", False)

    server.clear_faults(smos.sandbox)
    is_tenant(document(smos.create(ACME), "create tenant")["tenant"], ACME, "active", "ready")
    assert smos.inventory().wrong([ACME.rut]) == []


def test_a_locked_tenant_is_refused_with_4_and_told_by_whom(acme: Instance) -> None:
    locks = Locks(acme.registry, "sandbox")
    locks.acquire([ACME.rut], "20261122-000000-beef", "a test", os.getpid())
    try:
        done = acme.create(ACME)
        document(done, "create tenant", code=4)
        assert "20261122-000000-beef" in done.why
        assert re.search(r"for \d+ s", done.why)
        assert locks.held()[ACME.rut].run == "20261122-000000-beef"
    finally:
        locks.release("20261122-000000-beef")


# --- predictions


def drift(smos: Instance) -> None:
    """Change by hand what a run made, in every provider."""
    hand = ByHand(smos)
    tenant = smos.run("tenant", "show", ACME.rut, "--json").result["tenant"]["services"]
    hand.supabase("PATCH", f"tenants?id=eq.{ACME.rut}", {"name": "Renamed by hand"})
    hand.metabase("DELETE", f"permissions/group/{tenant['metabase']['ref']['group_id']}")
    hand.odoo("res.company", "write", [tenant["odoo"]["ref"]["company_id"]], {"email": "wrong@example.com"})
    hand.odoo("res.users", "write", [tenant["odoo"]["ref"]["user_id"]], {"active": False})
    hand.chatwoot("DELETE", f"users/{tenant['chatwoot']['ref']['user_id']}")
    hand.botpress("POST", f"v2/admin/workspace/bots/{tenant['botpress']['ref']['bot_id']}/delete")
    hand.vercel("DELETE", f"v9/projects/smarteros-app/domains/{ACME.domain}")
    hand.n8n("POST", f"workflows/{hand.workflow(f'{ACME.rut} Shopify')['id']}/deactivate")
    hand.n8n("DELETE", f"workflows/{hand.workflow(f'{ACME.rut} Contacts')['id']}")
    record = hand.record(ACME.domain)
    hand.cloudflare("PATCH", f"dns_records/{record['id']}", {"content": f"elsewhere.{ZONE}"})
    hand.shopify(STORE, DELETE_WEBHOOK, id=tenant["shopify"]["ref"]["ORDERS_PAID"])


def partly(smos: Instance) -> None:
    """Have a run stop halfway through."""
    server.fault(smos.sandbox, provider="chatwoot", operation="inboxes.create", kind="500", times="always")
    server.fault(smos.sandbox, provider="metabase", operation="dashboards.update", kind="400", times="always", after=1)
    server.fault(smos.sandbox, provider="n8n", operation="workflows.activate", kind="500", times="always", after=1)
    assert smos.create(ACME).code == 1
    server.clear_faults(smos.sandbox)


def drifted(smos: Instance) -> None:
    assert smos.create(ACME).code == 0
    drift(smos)


def nothing(smos: Instance) -> None:
    """The empty state."""


# What is drifted differs in every service but the one that only writes messages
@pytest.mark.parametrize(
    ("before", "services", "causes"),
    [
        (nothing, {"registry", *SERVICES}, {"new"}),
        (partly, {"metabase", "chatwoot", "n8n", "cloudflare", "shopify", "whatsapp"}, {"new"}),
        (drifted, {*SERVICES} - {"whatsapp"}, {"drift"}),
    ],
    ids=["nothing", "partly", "drifted"],
)
def test_check_predicts_exactly_what_the_run_then_does(
    smos: Instance, before: Callable[[Instance], None], services: set[str], causes: set[str]
) -> None:
    smos.up()
    before(smos)
    last, files = smos.seen(), smos.registered()
    checked = smos.create(ACME, "--check")
    predicted = document(checked, "create tenant")["changes"]
    assert checked.document["changed"] is True
    assert checked.document["run"] is None
    assert smos.writes(last) == []
    assert smos.registered() == files
    assert {change["service"] for change in predicted} == services
    of_services = [change for change in predicted if change["service"] != "registry"]
    assert all(change.keys() == CHANGE for change in of_services)
    assert {change["cause"] for change in of_services} == causes
    assert all(change["owner"].startswith(f"smarteros:{ACME.rut}") for change in of_services)

    done = smos.create(ACME)
    document(done, "create tenant")
    record = smos.run("history", done.document["run"], "--json").result["run"]
    assert record["changes"] == predicted
    assert smos.inventory().wrong([ACME.rut]) == []
    assert smos.run("plan", "tenants", "--exit-code").code == 0


def test_a_plan_over_several_tenants_predicts_what_apply_then_does(smos: Instance) -> None:
    smos.up()
    shops = [shop(number) for number in range(4)]
    smos.add_files(shops[:3])
    assert smos.run("tenant", "apply", "--json").code == 0
    ByHand(smos).n8n("DELETE", f"workflows/{ByHand(smos).workflow(f'{shops[1].rut} Shopify')['id']}")
    ByHand(smos).vercel("DELETE", f"v9/projects/smarteros-app/domains/{shops[2].domain}")
    smos.add_files(shops[3:], services={"odoo": {"enabled": False}, "botpress": {"enabled": False}})

    pending = smos.run("plan", "tenants", "--exit-code", "--json")
    predicted = document(pending, "plan", code=10)["changes"]
    by_tenant = {each.rut: {row["service"] for row in predicted if row["tenant"] == each.rut} for each in shops}
    assert by_tenant == {
        shops[0].rut: set(),
        shops[1].rut: {"n8n"},
        shops[2].rut: {"vercel"},
        shops[3].rut: set(SERVICES) - {"odoo", "botpress"},
    }
    limited = document(smos.run("plan", "tenants", "--limit", shops[1].slug, "--json"), "plan")["changes"]
    assert limited == [change for change in predicted if change["tenant"] == shops[1].rut]

    done = smos.run("tenant", "apply", "--json")
    assert len(document(done, "tenant apply")["tenants"]) == 4
    record = smos.run("history", done.document["run"], "--json").result["run"]
    assert record["changes"] == predicted
    tenant = smos.run("tenant", "show", shops[3].slug, "--json").result["tenant"]
    assert tenant["services"]["odoo"]["state"] == tenant["services"]["botpress"]["state"] == "disabled"
    assert smos.run("plan", "tenants", "--exit-code").code == 0
