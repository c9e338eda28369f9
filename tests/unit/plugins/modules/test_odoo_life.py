"""The life of tenants in Odoo, in the order of the role, kept against the sandbox's Odoo."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import odoo as client_odoo
from ansible_collections.smartercl.smarteros.plugins.module_utils.exports import odoo as export
from ansible_collections.smartercl.smarteros.plugins.modules import odoo_companies, odoo_users
from unit.plugins.wire import LOST, Sent, Wire, once, run_module, wired
from unit.sandbox.driver import odoo

SECRET = "sandbox-odoo-token"
ACME: dict[str, Any] = {"tenant": "76086428-5", "name": "Acme Corp", "email": "ana@example.com"}
BETA: dict[str, Any] = {"tenant": "12345678-5", "name": "Beta", "email": "bea@example.com"}


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    return wired(odoo, monkeypatch)


def connection(wire: Wire) -> dict[str, str]:
    return {"url": wire.base_url, "database": "smarteros", "login": "smarteros", "secret": SECRET}


def call(wire: Wire, model: str, method: str, *args: Any, **options: Any) -> Any:
    """A person or a script works in Odoo."""
    params = {"service": "object", "method": "execute_kw"}
    given = ["smarteros", 2, SECRET, model, method, list(args), {"context": {"active_test": False}, **options}]
    body = {"jsonrpc": "2.0", "method": "call", "id": 1, "params": {**params, "args": given}}
    answer = wire.driver.ok("POST", "/jsonrpc", body)
    assert "error" not in answer, answer
    return answer.get("result")


def life(wire: Wire, *tenants: dict[str, Any], check: bool = False) -> dict[str, list[dict[str, Any]]]:
    """What the role does; the results by tenant, in the order of the calls."""
    found: dict[str, list[dict[str, Any]]] = {}
    for step in ("leaving", "companies", "staying"):
        items = [_item(each, step) for each in tenants]
        items = [each for each in items if step == "companies" or (each["state"] == "present") == (step == "staying")]
        module, option = (odoo_companies, "companies") if step == "companies" else (odoo_users, "users")
        answer = run_module(module, check, **connection(wire), **{option: items})
        assert items or answer["requests"] == 0
        for row in answer["results"]:
            found.setdefault(row["tenant"], []).append(row)
    return found


def _item(tenant: dict[str, Any], step: str) -> dict[str, Any]:
    state = tenant.get("state", "present")
    if step == "companies":
        return {**{name: tenant[name] for name in ("tenant", "name", "email")}, "state": state}
    login = {"login": tenant["email"], "name": tenant["email"].partition("@")[0], "limit": tenant.get("limit")}
    return {"tenant": tenant["tenant"], **login, "known_user": tenant.get("known_user", 0), "state": state}


def changes(found: dict[str, list[dict[str, Any]]]) -> list[Any]:
    return [change for rows in found.values() for row in rows for change in row["changes"]]


def by_hand(wire: Wire, company: int, login: str, **more: Any) -> int:
    """A user whom a person added."""
    values = {"name": login, "login": login, "company_id": company, "company_ids": [[6, 0, [company]]], **more}
    return int(call(wire, "res.users", "create", values))


def logins(wire: Wire) -> dict[str, bool]:
    rows = call(wire, "res.users", "search_read", [["id", ">", 2]], fields=["login", "active"])
    return {row["login"]: row["active"] for row in rows}


def company_of(wire: Wire, tenant: dict[str, Any]) -> int:
    return int(life(wire, tenant)[tenant["tenant"]][0]["ref"]["company_id"])


def test_suspending_closes_every_login_and_resuming_opens_those(wire: Wire) -> None:
    life(wire, ACME, BETA)
    company = company_of(wire, ACME)
    by_hand(wire, company, "clerk@example.com")
    by_hand(wire, company, "left@example.com", active=False)
    suspended = life(wire, {**ACME, "state": "suspended"}, BETA)
    assert [row["state"] for row in suspended[ACME["tenant"]]] == ["suspended", "suspended"]
    assert logins(wire) == {
        "ana@example.com": False,
        "bea@example.com": True,
        "clerk@example.com": False,
        "left@example.com": False,
    }
    assert call(wire, "res.company", "read", [company], fields=["active"])[0]["active"]
    assert changes(life(wire, {**ACME, "state": "suspended"}, BETA)) == []
    life(wire, ACME, BETA)
    assert logins(wire) == {
        "ana@example.com": True,
        "bea@example.com": True,
        "clerk@example.com": True,
        "left@example.com": False,
    }
    assert changes(life(wire, ACME, BETA)) == []


@pytest.mark.parametrize("states", [("suspended", "present"), ("absent", "suspended"), ("present", "absent")])
def test_check_mode_foretells_a_mixed_play(wire: Wire, states: tuple[str, str]) -> None:
    life(wire, ACME, {**BETA, "state": "present" if states[1] == "absent" else states[1]})
    by_hand(wire, company_of(wire, ACME), "clerk@example.com")
    wished = [{**each, "state": state} for each, state in zip((ACME, BETA), states, strict=True)]
    written = len(wire.sent)
    foretold = life(wire, *wished, check=True)
    writes = {"create", "write", "unlink", "try_loading"}
    assert not [
        s for s in wire.sent[written:] if s.json["params"]["args"][4:5] and s.json["params"]["args"][4] in writes
    ]
    done = life(wire, *wished)
    assert changes(foretold) == changes(done)
    assert changes(life(wire, *wished)) == []


def test_what_is_opened_by_hand_while_suspended_is_closed_again(wire: Wire) -> None:
    life(wire, ACME)
    life(wire, {**ACME, "state": "suspended"})
    users = call(wire, "res.users", "search", [["login", "=", "ana@example.com"]])
    call(wire, "res.users", "write", users, {"active": True})
    assert changes(life(wire, {**ACME, "state": "suspended"}))
    assert logins(wire) == {"ana@example.com": False}


def test_who_works_for_two_tenants_keeps_the_login(wire: Wire) -> None:
    gamma = {"tenant": "11111111-1", "name": "Gamma", "email": ACME["email"]}
    life(wire, ACME, gamma)
    life(wire, {**ACME, "state": "suspended"}, gamma)
    assert logins(wire) == {"ana@example.com": True}
    (user,) = call(wire, "res.users", "search_read", [["id", ">", 2]], fields=["company_ids"])
    assert len(user["company_ids"]) == 1
    life(wire, ACME, gamma)
    (user,) = call(wire, "res.users", "search_read", [["id", ">", 2]], fields=["company_ids"])
    assert len(user["company_ids"]) == 2
    both = [{**each, "state": "suspended"} for each in (ACME, gamma)]
    life(wire, *both)
    assert logins(wire) == {"ana@example.com": False}
    assert changes(life(wire, *both)) == []
    life(wire, ACME, gamma)
    assert logins(wire) == {"ana@example.com": True}


def test_a_suspended_tenant_can_be_taken_away_for_good(wire: Wire) -> None:
    life(wire, ACME)
    life(wire, {**ACME, "state": "suspended"})
    life(wire, {**ACME, "state": "absent"})
    assert logins(wire) == {}
    assert changes(life(wire, {**ACME, "state": "absent"})) == []


def test_a_user_beyond_the_plan_is_refused_with_the_list(wire: Wire) -> None:
    company = company_of(wire, ACME)
    by_hand(wire, company, "clerk@example.com")
    new = {**ACME, "email": "new@example.com", "limit": 2}
    rows = life(wire, new)[ACME["tenant"]]
    assert rows[1]["state"] == "failed"
    assert "the plan allows 2 users and there are 2 already: ana@example.com, clerk@example.com" in rows[1]["message"]
    assert life(wire, {**new, "limit": 3})[ACME["tenant"]][1]["usage"] == {"users": 3}


def test_usage_counts_everybody_and_also_closed_logins(wire: Wire) -> None:
    by_hand(wire, company_of(wire, ACME), "clerk@example.com")
    life(wire, BETA)
    tenants = [{"id": ACME["tenant"]}, {"id": BETA["tenant"]}, {"id": "1-9"}]
    client = client_odoo.connect(connection(wire))
    wanted = {ACME["tenant"]: {"users": 2}, BETA["tenant"]: {"users": 1}}
    assert client.usage(tenants) == wanted
    life(wire, {**ACME, "state": "suspended"})
    assert client.usage(tenants) == wanted


@pytest.mark.parametrize("method", ["create", "write"])
def test_a_lost_answer_while_closing_harms_nobody(wire: Wire, method: str) -> None:
    life(wire, ACME, BETA)

    def hit(sent: Sent) -> bool:
        args = sent.json["params"]["args"]
        return bool(args[4:5] == [method])

    wire.trouble = once(hit, LOST)
    life(wire, {**ACME, "state": "suspended"}, {**BETA, "state": "suspended"})
    wire.trouble = lambda _sent: None
    assert set(logins(wire).values()) == {False}
    assert call(wire, "res.partner.category", "search_count", []) == 1
    assert changes(life(wire, {**ACME, "state": "suspended"}, {**BETA, "state": "suspended"})) == []


# --- another owner -------------------------------------------------------------------------------------------------


NEW = "new@example.com"


def user_of(wire: Wire, tenant: dict[str, Any]) -> int:
    return int(life(wire, tenant)[tenant["tenant"]][-1]["ref"]["user_id"])


def with_new_owner(wire: Wire, tenant: dict[str, Any], email: str = NEW) -> dict[str, Any]:
    """The tenant with another wish, and with the id of the user that was recorded before."""
    return {**tenant, "email": email, "known_user": user_of(wire, tenant)}


def users_writes(wire: Wire) -> list[Any]:
    calls = [each.json["params"]["args"] for each in wire.sent]
    return [args[4:6] for args in calls if args[3:4] == ["res.users"] and args[4] in ("create", "write", "unlink")]


def test_another_owner_gets_a_login_and_then_the_former_one_is_closed(wire: Wire) -> None:
    acme = with_new_owner(wire, ACME)
    foretold = life(wire, acme, check=True)
    wire.sent.clear()
    done = life(wire, acme)
    assert changes(foretold) == changes(done)
    last = changes(done)[-1]
    assert (last["action"], last["what"]) == ("update", "user ana@example.com of 76086428-5")
    assert (last["before"], last["after"]) == ({"active": True}, {"active": False})
    assert [method for method, _args in users_writes(wire)] == ["create", "write"]
    assert logins(wire) == {"ana@example.com": False, NEW: True}
    row = done[ACME["tenant"]][-1]
    assert (row["ref"]["user_id"] != acme["known_user"], row["usage"]) == (True, {"users": 1})
    wire.sent.clear()
    assert changes(life(wire, {**acme, "known_user": row["ref"]["user_id"]})) == []
    assert users_writes(wire) == []


def test_nothing_more_is_asked_of_a_tenant_whose_owner_is_known(wire: Wire) -> None:
    known = user_of(wire, ACME)
    wire.sent.clear()
    life(wire, ACME)
    without = len(wire.sent)
    life(wire, {**ACME, "known_user": known})
    assert len(wire.sent) == 2 * without


def test_a_former_owner_stays_closed_when_the_tenant_comes_back(wire: Wire) -> None:
    acme = with_new_owner(wire, ACME)
    acme["known_user"] = user_of(wire, acme)
    life(wire, {**acme, "state": "suspended"})
    life(wire, acme)
    assert logins(wire) == {"ana@example.com": False, NEW: True}


def test_an_owner_replaced_while_the_tenant_was_away_is_not_opened_with_it(wire: Wire) -> None:
    acme = with_new_owner(wire, ACME)
    life(wire, {**ACME, "state": "suspended"})
    away = life(wire, {**acme, "state": "suspended"})[ACME["tenant"]]
    assert not any("user_id" in row["ref"] for row in away)
    foretold = life(wire, acme, check=True)
    back = life(wire, acme)
    assert changes(foretold) == changes(back)
    assert changes(back)[-1]["after"] == {"opened again": False}
    assert logins(wire) == {"ana@example.com": False, NEW: True}
    acme["known_user"] = back[ACME["tenant"]][-1]["ref"]["user_id"]
    for state in ("suspended", "present"):
        life(wire, {**acme, "state": state})
    assert logins(wire) == {"ana@example.com": False, NEW: True}


def test_the_earlier_owner_comes_back_into_the_login_that_was_archived(wire: Wire) -> None:
    acme = with_new_owner(wire, ACME)
    back = with_new_owner(wire, acme, ACME["email"])
    foretold = life(wire, back, check=True)
    done = life(wire, back)
    assert changes(foretold) == changes(done)
    told = [(change["what"].split(" ")[1], change["after"]) for change in changes(done)]
    assert told[-2:] == [("ana@example.com", {"active": True}), (NEW, {"active": False})]
    assert done[ACME["tenant"]][-1]["ref"]["user_id"] == acme["known_user"]
    assert done[ACME["tenant"]][-1]["usage"] == {"users": 1}
    assert logins(wire) == {"ana@example.com": True, NEW: False}
    assert changes(life(wire, {**back, "known_user": acme["known_user"]})) == []


def test_a_plan_for_one_allows_another_owner(wire: Wire) -> None:
    acme = {**with_new_owner(wire, ACME), "limit": 1}
    assert life(wire, acme)[ACME["tenant"]][-1]["usage"] == {"users": 1}
    assert logins(wire) == {"ana@example.com": False, NEW: True}


def test_a_former_owner_that_cannot_be_closed_fails_the_tenant_and_is_closed_by_the_next_run(wire: Wire) -> None:
    acme = with_new_owner(wire, ACME)

    def refuse(sent: Sent) -> Any:
        args = sent.json["params"]["args"]
        error = {"message": "Odoo Server Error", "data": {"name": "odoo.exceptions.UserError", "message": "not now"}}
        writes = args[3:5] == ["res.users", "write"] and args[5][0] == [acme["known_user"]]
        return (200, {"jsonrpc": "2.0", "id": 1, "error": error}) if writes else None

    wire.trouble = refuse
    row = life(wire, acme)[ACME["tenant"]][-1]
    assert (row["state"], row["ref"]) == ("failed", {})
    assert row["message"] == "user ana@example.com of 76086428-5: not now"
    assert [change["what"] for change in row["changes"]] == ["user new@example.com of 76086428-5"]
    assert logins(wire) == {"ana@example.com": True, NEW: True}
    away = life(wire, {**acme, "state": "suspended"}, check=True)[ACME["tenant"]]
    assert not any("user_id" in row["ref"] for row in away)
    wire.trouble = lambda _sent: None
    row = life(wire, acme)[ACME["tenant"]][-1]
    assert [change["what"] for change in row["changes"]] == ["user ana@example.com of 76086428-5"]
    assert row["ref"]["user_id"] != acme["known_user"]
    assert logins(wire) == {"ana@example.com": False, NEW: True}


def test_a_former_owner_with_another_tenant_keeps_the_login_and_leaves_the_company(wire: Wire) -> None:
    gamma = {"tenant": "11111111-1", "name": "Gamma", "email": ACME["email"]}
    life(wire, ACME, gamma)
    acme = with_new_owner(wire, ACME)
    foretold = life(wire, acme, check=True)
    done = life(wire, acme)
    assert changes(foretold) == changes(done)
    assert changes(done)[-1]["after"] == {"member": False}
    (ana,) = call(wire, "res.users", "search_read", [["login", "=", ACME["email"]]], fields=["active", "company_ids"])
    assert (ana["active"], ana["company_ids"]) == (True, [company_of(wire, gamma)])
    both = [{**acme, "known_user": done[ACME["tenant"]][-1]["ref"]["user_id"]}, {**gamma, "known_user": ana["id"]}]
    assert changes(life(wire, *both)) == []


def test_the_owner_of_two_tenants_is_closed_when_both_get_others(wire: Wire) -> None:
    gamma = {"tenant": "11111111-1", "name": "Gamma", "email": ACME["email"]}
    life(wire, ACME, gamma)
    both = [with_new_owner(wire, ACME), with_new_owner(wire, gamma, "gil@example.com")]
    life(wire, *both)
    assert logins(wire) == {"ana@example.com": False, NEW: True, "gil@example.com": True}


def test_owners_who_swap_their_tenants_both_stay(wire: Wire) -> None:
    life(wire, ACME, BETA)
    both = [with_new_owner(wire, ACME, BETA["email"]), with_new_owner(wire, BETA, ACME["email"])]
    foretold = life(wire, *both, check=True)
    assert changes(life(wire, *both)) == changes(foretold)
    assert logins(wire) == {"ana@example.com": True, "bea@example.com": True}
    rows = call(wire, "res.users", "search_read", [["id", ">", 2]], fields=["login", "company_ids"])
    there = {row["login"]: row["company_ids"] for row in rows}
    assert there == {"ana@example.com": [company_of(wire, both[1])], "bea@example.com": [company_of(wire, both[0])]}


def test_a_recorded_user_of_somewhere_else_is_left_alone(wire: Wire) -> None:
    life(wire, ACME)
    stranger = user_of(wire, BETA)
    for known in (stranger, 2, 9999):
        life(wire, {**ACME, "known_user": known})
    assert logins(wire) == {"ana@example.com": True, "bea@example.com": True}


# --- what goes into an archive -------------------------------------------------------------------------------------


def sell(wire: Wire, company: int) -> None:
    """A shop with contacts, products and an order."""
    holding = {"name": "Ferretería Ñuñoa", "is_company": True, "email": "f@example.com", "company_id": company}
    boss = call(wire, "res.partner", "create", {**holding, "country_id": 46})
    below = {"name": "Pía", "email": "pia@example.com", "parent_id": boss, "company_id": company}
    pia = call(wire, "res.partner", "create", below)
    call(
        wire,
        "res.partner",
        "create",
        [{"name": "Twin", "company_id": company}, {"name": "Twin", "company_id": company}],
    )
    call(wire, "res.partner", "create", {"name": "Somebody else's"})
    nails = {"name": "Clavos", "default_code": "CL-1", "list_price": 990.0, "company_id": company}
    call(
        wire,
        "product.template",
        "create",
        [nails, {"name": "Flete", "detailed_type": "service", "company_id": company}],
    )
    variant = call(wire, "product.product", "search", [["default_code", "=", "CL-1"]])[0]
    line = [0, 0, {"product_id": variant, "name": "Clavos 2 pulgadas", "product_uom_qty": 3, "price_unit": 990}]
    order = {"partner_id": pia, "company_id": company, "order_line": [line], "client_order_ref": "#1001"}
    number = call(wire, "sale.order", "create", order)
    call(wire, "sale.order", "action_confirm", [number])


def collected(wire: Wire, tenant: dict[str, Any]) -> dict[str, bytes]:
    return export.collect(connection(wire), {"id": tenant["tenant"]})


def test_an_archive_tells_contacts_products_and_orders_without_ids(wire: Wire) -> None:
    sell(wire, company_of(wire, ACME))
    files = collected(wire, ACME)
    assert sorted(files) == ["contacts.json", "orders.json", "products.json"]
    contacts = json.loads(files["contacts.json"])["contacts"]
    assert [row["name"] for row in contacts] == ["Twin", "Twin", "Ferretería Ñuñoa", "Pía"]
    assert (contacts[3]["parent"], contacts[2]["country"]) == ("Ferretería Ñuñoa", "CL")
    (order,) = json.loads(files["orders.json"])["orders"]
    assert (order["partner"]["email"], order["state"], order["amount_total"]) == ("pia@example.com", "sale", 2970.0)
    assert order["lines"][0]["product"] == {"default_code": "CL-1", "name": "Clavos"}
    assert not any(b'"id"' in content or b"password" in content for content in files.values())
    assert collected(wire, ACME) == files


def test_what_is_brought_back_is_the_same_and_never_there_twice(wire: Wire) -> None:
    sell(wire, company_of(wire, ACME))
    files = collected(wire, ACME)
    other = company_of(wire, BETA)
    told = export.bring_back(connection(wire), {"id": BETA["tenant"]}, files)
    assert [sentence.split(" ", 1)[0] for sentence in told] == ["4", "2", "1"]
    assert "quotations" in told[-1]
    back = collected(wire, BETA)
    assert back["contacts.json"] == files["contacts.json"]
    assert back["products.json"] == files["products.json"]
    orders = [json.loads(each["orders.json"])["orders"][0] for each in (files, back)]
    assert {**orders[0], "state": "draft"} == orders[1]
    assert export.bring_back(connection(wire), {"id": BETA["tenant"]}, files) == []
    assert call(wire, "sale.order", "search_count", [["company_id", "=", other]]) == 1


@pytest.mark.parametrize("model", ["res.partner", "product.template", "sale.order"])
def test_a_lost_answer_while_bringing_back_makes_nothing_twice(wire: Wire, model: str) -> None:
    sell(wire, company_of(wire, ACME))
    files = collected(wire, ACME)
    company_of(wire, BETA)
    wire.trouble = once(lambda sent: sent.json["params"]["args"][3:5] == [model, "create"], LOST)
    export.bring_back(connection(wire), {"id": BETA["tenant"]}, files)
    wire.trouble = lambda _sent: None
    assert collected(wire, BETA)["contacts.json"] == files["contacts.json"]
    assert export.bring_back(connection(wire), {"id": BETA["tenant"]}, files) == []


def test_a_tenant_without_a_company_has_nothing_to_collect(wire: Wire) -> None:
    assert collected(wire, ACME) == {}


def test_a_file_that_is_not_ours_is_refused_before_anything_is_written(wire: Wire) -> None:
    company_of(wire, ACME)
    with pytest.raises(client_odoo.ApiError, match=r"contacts\.json is not a list"):
        export.bring_back(connection(wire), {"id": ACME["tenant"]}, {"contacts.json": b"[]"})


# --- kinds of secrets, hostile answers -----------------------------------------------------------------------------


SECRETS = [
    (SECRET, "valid", "Odoo 17.0"),
    ("0123456789abcdef0123456789abcdef01234567", "invalid", "the API key is another user's, was deleted, has expired"),
    ("a-password", "invalid", "two-factor"),
    ("sbp_0123456789", "invalid", "no API key"),
    ("sandbox-odoo-limited", "insufficient", "may not make companies and users"),
]


@pytest.mark.parametrize(("secret", "state", "words"), SECRETS, ids=[f"{each[1]}: {each[2][:20]}" for each in SECRETS])
def test_check_tells_every_kind_of_secret_apart(wire: Wire, secret: str, state: str, words: str) -> None:
    verdict = client_odoo.connect({**connection(wire), "secret": secret}).check()
    assert (verdict["state"], words in verdict["message"]) == (state, True), verdict
    assert secret not in json.dumps(verdict)


HOSTILE: list[Any] = [
    "<html>",
    [],
    {},
    None,
    {"result": "x"},
    {"result": [1]},
    {"result": [{"id": 1}]},
    {"result": {"x": 1}},
]


@pytest.mark.parametrize("answer", HOSTILE, ids=repr)
def test_a_hostile_answer_is_one_clear_error(wire: Wire, answer: Any) -> None:
    def hostile(sent: Sent) -> Any:
        return (200, answer) if sent.json["params"]["service"] == "object" else None

    wire.trouble = hostile
    for module, item in ((odoo_users, _item(ACME, "staying")), (odoo_companies, _item(ACME, "companies"))):
        items: dict[str, Any] = {"users" if module is odoo_users else "companies": [item]}
        result = run_module(module, False, **connection(wire), **items)
        assert result.get("failed") or result["results"][0]["state"] == "failed"
