# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import typing as t
from dataclasses import replace

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import odoo as companies
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import odoo_users as users
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.odoo import CompanyWish
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.odoo_users import UserWish
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.odoo import FakeOdoo, Fault
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.wire import Killed, losing_once

ACME = CompanyWish("76086428-5", "Acme", "76086428-5", email="ana@example.com")
BETA = CompanyWish("12345678-9", "Beta", "12345678-9", vat_valid=False, email="bea@example.com")
ANA = UserWish("76086428-5", "ana@example.com", "Ana Pérez", "ana@example.com")
BEA = UserWish("12345678-9", "bea@example.com", "Bea Soto", "bea@example.com")


@pytest.fixture
def server() -> FakeOdoo:
    return FakeOdoo()


def run(server: FakeOdoo, *wishes: CompanyWish, check: bool = False, chart: str = "cl") -> list[bulk.Result]:
    """What the module odoo_companies does, one request at a time."""
    client = server.client()
    client.sign_in()
    seen = companies.observe(client, wishes, chart)
    tasks = companies.plan(wishes, seen, chart)
    if check:
        return [companies.predicted(task) for task in tasks.values()]
    return companies.carry_out(client, tasks, seen, concurrency=1)


def run_users(server: FakeOdoo, *wishes: UserWish, check: bool = False) -> list[bulk.Result]:
    """What the module odoo_users does, one login at a time."""
    client = server.client()
    tasks = users.plan(wishes, users.observe(client, wishes), foretell=check)
    return [users.predicted(task) for task in tasks] if check else users.carry_out(client, tasks, concurrency=1)


def changes(results: t.Iterable[bulk.Result]) -> list[list[dict[str, t.Any]]]:
    return [[change.as_dict() for change in result.changes] for result in results]


def errors_of(results: t.Iterable[bulk.Result]) -> list[str]:
    return [result.error["why"] if result.error else "" for result in results]


class TestCompanies:
    def test_a_new_company_is_as_wished_and_bears_our_mark(self, server: FakeOdoo) -> None:
        (result,) = run(server, ACME)
        (row,) = server.rows("res.company", company_registry="smarteros:76086428-5")
        assert (row["name"], row["vat"], row["country_id"], row["currency_id"]) == (
            "Acme (76086428-5)",
            "76086428-5",
            46,
            45,
        )
        assert row["chart_template"] == "cl"
        assert (result.state, result.created, result.ref) == (bulk.READY, True, {"company_id": row["id"]})
        assert result.url.endswith(f"#id={row['id']}&model=res.company&view_type=form")

    def test_a_second_run_changes_nothing_and_sends_no_write(self, server: FakeOdoo) -> None:
        run(server, ACME, BETA)
        server.log.clear()
        assert changes(run(server, ACME, BETA)) == [[], []]
        assert server.written == []
        assert len(server.log) == 6

    def test_reads_do_not_grow_with_the_tenants(self, server: FakeOdoo) -> None:
        many = [CompanyWish(f"{n}-1", f"Shop {n}", f"{n}-1") for n in range(1, 301)]
        run(server, *many, chart="")
        server.log.clear()
        run(server, *many, chart="")
        assert len(server.log) == 6

    def test_companies_are_created_twenty_in_a_request(self, server: FakeOdoo) -> None:
        run(server, *[CompanyWish(f"{n}-1", f"Shop {n}", f"{n}-1") for n in range(1, 42)], chart="")
        creates = [request for request in server.written if request.body["params"]["args"][4] == "create"]
        assert [len(request.body["params"]["args"][5][0]) for request in creates] == [20, 20, 1]

    def test_a_batch_that_odoo_refuses_is_halved_until_the_bad_one_stands_alone(self, server: FakeOdoo) -> None:
        def trouble(model: str, method: str, args: t.Any) -> None:
            if method == "create" and any(row["name"].startswith("Shop 13 ") for row in args[0]):
                raise Fault("odoo.exceptions.ValidationError", "The VAT number does not seem to be valid")

        server.trouble = trouble
        results = run(server, *[CompanyWish(f"{n}-1", f"Shop {n}", f"{n}-1") for n in range(1, 21)], chart="")
        assert [result.tenant for result in results if result.state == bulk.FAILED] == ["13-1"]
        assert "does not seem to be valid" in errors_of(results)[12]
        assert len([row for row in server.rows("res.company") if row["company_registry"]]) == 19

    def test_a_refusal_of_rights_is_not_tried_again_in_halves(self, server: FakeOdoo) -> None:
        def trouble(model: str, method: str, args: t.Any) -> None:
            if method == "create":
                raise Fault("odoo.exceptions.AccessError", "You are not allowed to create 'Companies'")

        server.trouble = trouble
        assert all(result.state == bulk.FAILED for result in run(server, ACME, replace(BETA, vat_valid=True)))
        assert len([request for request in server.written if request.body["params"]["args"][4] == "create"]) == 1

    def test_a_company_that_is_not_ours_is_left_alone_and_fails_its_tenant_only(self, server: FakeOdoo) -> None:
        number = server._create("res.company", {"name": "Acme (76086428-5)"})
        before = dict(server.tables["res.company"][number])
        acme, beta = run(server, ACME, BETA)
        assert (acme.state, beta.state) == (bulk.FAILED, bulk.READY)
        assert f"(id {number}) and was not made by SmarterOS" in errors_of([acme])[0]
        assert server.tables["res.company"][number] == before

    def test_two_companies_with_one_mark_are_for_a_person_to_sort_out(self, server: FakeOdoo) -> None:
        for name in ("one", "two"):
            server._create("res.company", {"name": name, "company_registry": "smarteros:76086428-5"})
        (result,) = run(server, ACME)
        assert "several companies in Odoo bear the mark" in errors_of([result])[0]
        assert server.written == []

    def test_an_archived_company_of_ours_is_brought_back(self, server: FakeOdoo) -> None:
        run(server, ACME)
        server.rows("res.company", company_registry="smarteros:76086428-5")[0]["active"] = False
        (result,) = run(server, ACME)
        assert changes([result])[0][0]["after"] == {"active": True}
        assert result.created  # so that undoing archives it again
        assert server.rows("res.company", company_registry="smarteros:76086428-5")[0]["active"]

    @pytest.mark.parametrize(
        ("wish", "after"),
        [
            (replace(ACME, name="Acme Two"), {"name": "Acme Two (76086428-5)"}),
            (replace(ACME, email="new@example.com"), {"email": "new@example.com"}),
            (replace(ACME, country="AR"), {"country": "AR"}),
        ],
        ids=["name", "email", "country"],
    )
    def test_what_differs_is_written(self, server: FakeOdoo, wish: CompanyWish, after: dict[str, str]) -> None:
        run(server, ACME)
        (result,) = run(server, wish)
        assert changes([result])[0][0]["after"] == after
        assert changes(run(server, wish)) == [[]]

    def test_country_goes_before_the_rut_and_always_with_it(self, server: FakeOdoo) -> None:
        run(server, ACME)
        server.log.clear()
        run(server, replace(ACME, country="AR"))
        assert list(server.written[0].body["params"]["args"][5][1]) == ["country_id", "vat"]

    def test_the_currency_stays_once_a_chart_is_loaded(self, server: FakeOdoo) -> None:
        run(server, ACME)
        (result,) = run(server, replace(ACME, currency="USD"))
        assert (result.changes, result.message) == ([], "the currency stays CLP: the chart of accounts is loaded")

    def test_the_currency_changes_before_that(self, server: FakeOdoo) -> None:
        run(server, ACME, chart="")
        assert changes(run(server, replace(ACME, currency="USD"), chart=""))[0][0]["after"] == {"currency": "USD"}

    @pytest.mark.parametrize("lacking", ["account", "l10n_cl", "field"])
    def test_no_chart_is_loaded_where_odoo_has_none_for_the_country(self, server: FakeOdoo, lacking: str) -> None:
        if lacking == "field":
            server.fields["res.company"].clear()
        else:
            table = server.tables["ir.module.module"]
            next(row for row in table.values() if row["name"] == lacking)["state"] = "uninstalled"
        (result,) = run(server, ACME)
        assert result.state == bulk.READY
        assert "chart" not in (result.changes[0].after or {})
        assert not server.rows("res.company", chart_template="cl")

    def test_a_company_without_a_chart_gets_it_later(self, server: FakeOdoo) -> None:
        run(server, ACME, chart="")
        assert changes(run(server, ACME))[0][0]["after"] == {"chart": "cl"}
        assert server.rows("res.company", chart_template="cl")

    def test_odoo_does_not_judge_a_rut_that_we_know_to_be_wrong(self, server: FakeOdoo) -> None:
        run(server, ACME, BETA)
        contexts = [
            request.body["params"]["args"][6]["context"]
            for request in server.written
            if request.body["params"]["args"][4] == "create"
        ]
        assert [context.get("no_vat_validation", False) for context in contexts] == [False, True]

    def test_an_unknown_country_fails_its_tenant_only(self, server: FakeOdoo) -> None:
        acme, beta = run(server, replace(ACME, country="XX"), BETA)
        assert errors_of([acme, beta]) == ["Odoo knows no country XX", ""]

    def test_a_chart_that_fails_leaves_the_company_and_says_so(self, server: FakeOdoo) -> None:
        def trouble(model: str, method: str, args: t.Any) -> None:
            if method == "try_loading":
                raise Fault("odoo.exceptions.UserError", "no chart today")

        server.trouble = trouble
        (result,) = run(server, ACME)
        assert (result.state, result.created) == (bulk.FAILED, True)
        assert result.ref == {
            "company_id": server.rows("res.company", company_registry="smarteros:76086428-5")[0]["id"]
        }

    def test_a_suspended_company_stays_as_it_is(self, server: FakeOdoo) -> None:
        run(server, ACME)
        server.log.clear()
        (result,) = run(server, replace(ACME, state="suspended"))
        assert (result.state, result.changes, server.written) == (bulk.SUSPENDED, [], [])
        assert list(result.ref) == ["company_id"]
        assert run(server, replace(BETA, state="suspended"))[0].state == bulk.ABSENT

    def test_who_also_works_for_another_tenant_goes_on_there(self, server: FakeOdoo) -> None:
        run(server, ACME, BETA)
        run_users(server, ANA, replace(ANA, tenant="12345678-9"))
        run(server, replace(ACME, state="absent"))
        (row,) = server.rows("res.users", login="ana@example.com")
        beta = server.rows("res.company", company_registry="smarteros:12345678-9")[0]["id"]
        assert (row["active"], row["company_id"]) == (True, beta)

    def test_an_empty_company_is_deleted_with_its_address(self, server: FakeOdoo) -> None:
        run(server, ACME, chart="")
        partners = len(server.tables["res.partner"])
        (result,) = run(server, replace(ACME, state="absent"), chart="")
        assert (result.state, result.ref, changes([result])[0][0]["action"]) == (bulk.ABSENT, {}, "delete")
        assert not server.rows("res.company", company_registry="smarteros:76086428-5")
        assert len(server.tables["res.partner"]) == partners - 1

    def test_a_used_company_is_archived_instead_and_the_result_says_so(self, server: FakeOdoo) -> None:
        run(server, ACME)
        (result,) = run(server, replace(ACME, state="absent"))
        assert result.message.startswith("archived, not deleted")
        assert not server.rows("res.company", company_registry="smarteros:76086428-5")[0]["active"]
        assert changes(run(server, replace(ACME, state="absent"))) == [[]]

    def test_what_is_not_ours_is_never_removed(self, server: FakeOdoo) -> None:
        server._create("res.company", {"name": "Acme (76086428-5)"})
        (result,) = run(server, replace(ACME, state="absent"))
        assert (result.state, result.changes, server.written) == (bulk.ABSENT, [], [])

    @pytest.mark.parametrize("chart", ["", "cl"])
    def test_check_mode_foretells_the_run_and_writes_nothing(self, server: FakeOdoo, chart: str) -> None:
        taken = CompanyWish("1-9", "Taken", "1-9")
        server._create("res.company", {"name": "Taken (1-9)"})
        run(server, BETA, chart=chart)
        wishes = (ACME, replace(BETA, email="other@example.com"), taken)
        server.log.clear()
        foretold = run(server, *wishes, check=True, chart=chart)
        assert server.written == []
        done = run(server, *wishes, chart=chart)
        assert changes(foretold) == changes(done)
        assert [result.created for result in foretold] == [result.created for result in done]
        assert errors_of(foretold) == errors_of(done)


class TestUsers:
    def test_a_new_user_belongs_to_the_company_and_gets_no_password(self, server: FakeOdoo) -> None:
        run(server, ACME)
        (result,) = run_users(server, ANA)
        (row,) = server.rows("res.users", login="ana@example.com")
        company = server.rows("res.company", company_registry="smarteros:76086428-5")[0]["id"]
        assert (row["company_id"], row["company_ids"], row["groups_id"]) == (company, [company], [1, 8])
        assert (row["lang"], row["tz"], row["ref"]) == ("es_CL", "America/Santiago", "smarteros:76086428-5")
        assert "password" not in row
        assert (result.ref, result.created) == ({"user_id": row["id"]}, False)

    def test_a_second_run_changes_nothing_and_sends_no_write(self, server: FakeOdoo) -> None:
        run(server, ACME, BETA)
        run_users(server, ANA, BEA)
        server.log.clear()
        assert changes(run_users(server, ANA, BEA)) == [[], []]
        assert server.written == []
        assert len(server.log) == 7

    def test_a_language_that_is_not_installed_is_left_out(self, server: FakeOdoo) -> None:
        run(server, ACME)
        server.tables["res.lang"][2]["active"] = False
        run_users(server, ANA)
        assert "lang" not in server.rows("res.users", login="ana@example.com")[0]

    def test_a_login_outside_our_companies_is_left_alone(self, server: FakeOdoo) -> None:
        run(server, ACME, BETA)
        # the user behind the API key is in every company that it made, and yet not ours
        server._create(
            "res.users", {"name": "A", "login": "ana@example.com", "company_id": 1, "company_ids": [[6, 0, [1, 2]]]}
        )
        before = dict(server.rows("res.users", login="ana@example.com")[0])
        ana, bea = run_users(server, ANA, BEA)
        assert (ana.state, bea.state) == (bulk.FAILED, bulk.READY)
        assert server.rows("res.users", login="ana@example.com")[0] == before

    def test_one_owner_of_two_shops_is_one_user_in_two_companies(self, server: FakeOdoo) -> None:
        run(server, ACME, BETA)
        also = replace(ANA, tenant="12345678-9", name="Ana P.")
        first = run_users(server, ANA, also)
        (row,) = server.rows("res.users", login="ana@example.com")
        assert len(row["company_ids"]) == 2
        assert row["name"] == "Ana Pérez"
        assert {result.ref["user_id"] for result in first} == {row["id"]}
        assert changes(run_users(server, ANA, also)) == [[], []]
        assert changes(run_users(server, also, ANA)) == [[], []]

    def test_a_second_shop_later_adds_its_company(self, server: FakeOdoo) -> None:
        run(server, ACME, BETA)
        run_users(server, ANA)
        (result,) = run_users(server, replace(ANA, tenant="12345678-9"))
        assert changes([result])[0][0]["after"] == {"member": True}
        (row,) = server.rows("res.users", login="ana@example.com")
        assert row["company_id"] != row["company_ids"][-1]

    def test_a_tenant_without_a_company_fails_alone(self, server: FakeOdoo) -> None:
        run(server, BETA)
        assert errors_of(run_users(server, ANA, BEA)) == ["the tenant has no active company in Odoo", ""]

    def test_check_mode_counts_on_the_company_that_the_step_before_makes(self, server: FakeOdoo) -> None:
        wishes = (ANA, replace(ANA, tenant="12345678-9"), BEA)
        foretold = run_users(server, *wishes, check=True)
        assert server.written == []
        run(server, ACME, BETA)
        assert changes(foretold) == changes(run_users(server, *wishes))

    def test_groups_are_added_and_never_taken(self, server: FakeOdoo) -> None:
        run(server, ACME)
        run_users(server, ANA)
        row = server.rows("res.users", login="ana@example.com")[0]
        row["groups_id"] = [1, 77]
        (result,) = run_users(server, ANA)
        assert changes([result])[0][0]["after"] == {"groups": ["base.group_user", "base.group_partner_manager"]}
        assert row["groups_id"] == [1, 8, 77]

    def test_a_group_asked_for_by_name_must_exist(self, server: FakeOdoo) -> None:
        run(server, ACME)
        assert errors_of(run_users(server, replace(ANA, groups=("base.nope",)))) == ["Odoo knows no group base.nope"]

    def test_an_archived_user_of_ours_is_brought_back(self, server: FakeOdoo) -> None:
        run(server, ACME)
        run_users(server, ANA)
        server.rows("res.users", login="ana@example.com")[0]["active"] = False
        assert changes(run_users(server, ANA))[0][0]["after"] == {"active": True}

    def test_who_never_logged_in_is_deleted(self, server: FakeOdoo) -> None:
        run(server, ACME)
        run_users(server, ANA)
        run_users(server, replace(ANA, state="absent"))
        assert not server.rows("res.users", login="ana@example.com")

    def test_who_has_logged_in_is_archived(self, server: FakeOdoo) -> None:
        run(server, ACME)
        run_users(server, ANA)
        server.rows("res.users", login="ana@example.com")[0]["login_date"] = "2026-11-22 15:00:00"
        (result,) = run_users(server, replace(ANA, state="absent"))
        assert result.message.startswith("archived, not deleted")
        assert changes(run_users(server, replace(ANA, state="absent"))) == [[]]

    def test_leaving_one_of_two_shops_keeps_the_user(self, server: FakeOdoo) -> None:
        run(server, ACME, BETA)
        run_users(server, ANA, replace(ANA, tenant="12345678-9"))
        run_users(server, replace(ANA, state="absent"))
        (row,) = server.rows("res.users", login="ana@example.com")
        beta = server.rows("res.company", company_registry="smarteros:12345678-9")[0]["id"]
        assert (row["active"], row["company_id"], row["company_ids"]) == (True, beta, [beta])

    def test_our_own_user_is_never_touched(self, server: FakeOdoo) -> None:
        run(server, ACME)
        us = server.rows("res.users", login="smarteros")[0]
        us["company_ids"] = [1, 2]
        run_users(server, replace(ANA, login="smarteros", state="absent"))
        assert us["company_ids"] == [1, 2]


class TestUnderFire:
    """Whatever happens on the way, the same command again ends with exactly one of everything."""

    @staticmethod
    def both(server: FakeOdoo) -> list[bulk.Result]:
        return [*run(server, ACME, BETA), *run_users(server, ANA, BEA, replace(ANA, tenant="12345678-9"))]

    def wanted(self) -> dict[str, t.Any]:
        calm = FakeOdoo()
        assert not any(result.error for result in self.both(calm))
        return calm.state()

    def steps(self) -> int:
        calm = FakeOdoo()
        self.both(calm)
        return len(calm.log)

    @pytest.mark.parametrize("when", ["die_before", "die_after"])
    def test_a_run_killed_at_any_request_is_completed_by_the_next(self, when: str) -> None:
        wanted = self.wanted()
        for step in range(self.steps()):
            server = FakeOdoo()
            setattr(server, when, step)
            with pytest.raises(Killed):
                self.both(server)
            server.survive()
            assert not any(result.error for result in self.both(server))
            assert server.state() == wanted, f"killed at request {step}"

    def test_any_answer_may_be_lost_once(self) -> None:
        wanted = self.wanted()
        for step in range(self.steps()):
            server = FakeOdoo()
            count = iter(range(10_000))
            server.lose = losing_once(lambda _request, step=step, count=count: next(count) == step)  # type: ignore[misc]  # mypy infers no lambda with defaults
            results = self.both(server)
            assert errors_of(results) == [""] * len(results), f"lost answer {step}"
            assert server.state() == wanted, f"lost answer {step}"
