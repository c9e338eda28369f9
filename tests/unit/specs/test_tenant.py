# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.rut import check_digit
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.rules import judge_registry, judge_tenant
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import SpecError, Specs
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tenant import desired, lives_in, merged
from support.processes import costs
from unit.specs.samples import SERVICES, tenant

NOW = datetime(2026, 11, 22, 15, 26, 43, tzinfo=UTC)
REQUEST = {"rut": "12.345.678-5", "name": "Acme Corp", "domain": "acme.smarterbot.cl"}


class TestMerged:
    def test_a_plain_tenant_has_what_template_and_plan_say(self, specs: Specs) -> None:
        found = merged(tenant(), specs, "sandbox")
        assert found["id"] == "12345678-5"
        assert found["rut_valid"] is True
        assert found["owner"] == {"name": "Acme Corp", "email": "admin@acme.smarterbot.cl", "phone": ""}
        assert found["limits"] == {"users": 5, "bots": 2, "workflows": 10, "storage_gb": 5}
        assert found["locale"] == {
            "timezone": "America/Santiago", "currency": "CLP", "language": "es", "country": "CL"
        }  # a table, easier to compare in rows  # fmt: skip
        assert found["services"] == {name: {"enabled": True} for name in SERVICES}
        assert list(found["services"]) == list(SERVICES)
        assert (found["shopify"], found["whatsapp"]) == ({}, {})
        assert (found["wish"], found["wish_since"]) == ("active", "")
        assert (found["phase"], found["status"]) == ("pending", {})
        assert (found["template"], found["region"], found["environment"]) == ("default", "main", "sandbox")

    def test_what_the_tenant_says_goes_before_plan_and_template(self, specs: Specs) -> None:
        document = tenant(
            template="ecommerce",
            owner={"name": "Ana Pérez", "email": "ana@example.com"},
            limits={"users": None, "bots": 0},
            features={"analytics": True},
            services={"n8n": {"enabled": False}},
            locale={"timezone": "America/Punta_Arenas", "language": None},
            region="south",
        )
        found = merged(document, specs, "sandbox")
        assert found["limits"] == {"users": None, "bots": 0, "workflows": 10, "storage_gb": 5}
        assert found["features"]["analytics"] is True
        assert found["services"]["n8n"] == {"enabled": False}
        assert (found["locale"]["timezone"], found["locale"]["language"]) == ("America/Punta_Arenas", "es")
        assert (found["industry"], found["region"]) == ("ecommerce", "south")
        assert found["owner"] == {"name": "Ana Pérez", "email": "ana@example.com", "phone": ""}

    def test_a_life_is_led_in_each_environment_by_itself(self, specs: Specs) -> None:
        document = tenant(lifecycle={"staging": {"state": "suspended", "since": "2026-11-22T15:26:43Z"}})
        assert (merged(document, specs, "sandbox")["wish"], merged(document, specs, "staging")["wish"]) == (
            "active",
            "suspended",
        )

    def test_one_tenant_does_not_colour_the_next(self, specs: Specs) -> None:
        before = copy.deepcopy(merged(tenant(), specs, "sandbox"))
        merged(tenant(limits={"users": 99}, services={"n8n": {"enabled": False}}), specs, "sandbox")
        assert merged(tenant(), specs, "sandbox") == before

    def test_empty_optional_keys_are_as_absent_ones(self, specs: Specs) -> None:
        optional = ("custom_domain", "template", "industry", "region", "owner", "services", "features", "limits", "locale",
                    "branding", "created_at", "environments")  # a table, easier to compare in rows  # fmt: skip
        document = tenant(**dict.fromkeys(optional))
        assert judge_tenant(document, specs, "sandbox") == []
        assert merged(document, specs, "sandbox") == merged(tenant(), specs, "sandbox")

    def test_the_status_is_that_of_the_environment(self, specs: Specs) -> None:
        document = {**tenant(), "status": {"sandbox": {"phase": "active", "run": "r"}, "staging": {"phase": "failed"}}}
        assert merged(document, specs, "sandbox")["phase"] == "active"
        assert merged(document, specs, "staging")["status"] == {"phase": "failed"}
        assert merged(document, specs, "production")["phase"] == "pending"

    def test_a_wrong_check_digit_is_told(self, specs: Specs) -> None:
        assert merged(tenant(rut="12345678-9"), specs, "sandbox")["rut_valid"] is False


@pytest.mark.parametrize(
    ("named", "env", "answer"),
    [
        (None, "production", True),
        ([], "production", True),
        (["staging"], "production", False),
        (["staging"], "staging", True),
        (["staging"], "sandbox", True),
    ],
)
def test_where_a_tenant_lives(named: list[str] | None, env: str, answer: bool) -> None:
    assert lives_in(tenant(environments=named), env) is answer


class TestDesired:
    def test_the_least_request_gives_a_sound_tenant(self, specs: Specs) -> None:
        document = desired(REQUEST, specs, "sandbox", NOW)
        assert document == {
            "spec": {
                "rut": "12345678-5",
                "name": "Acme Corp",
                "slug": "acme",
                "domain": "acme.smarterbot.cl",
                "plan": "starter",
                "created_at": "2026-11-22T15:26:43Z",
                "environments": ["sandbox"],
            }
        }
        assert judge_tenant(document, specs, "sandbox") == []

    def test_everything_that_can_be_asked_for_is_taken(self, specs: Specs) -> None:
        wishes = {
            "plan": "enterprise",
            "email": "Ana@EXAMPLE.com",
            "phone": "+56 9 1234-5678",
            "shopify_store": "Acme-CL.MyShopify.com.",
            "custom_domain": "Tienda-Ñandú.cl.",
            "template": "services",
            "without": ["n8n", "chatwoot"],
        }
        spec = desired(REQUEST | wishes, specs, "production", "2026-11-22T15:26:43Z")["spec"]
        assert spec["plan"] == "enterprise"
        assert spec["owner"] == {"email": "Ana@example.com", "phone": "+56912345678"}
        assert spec["shopify"] == {"store": "acme-cl.myshopify.com"}
        assert spec["custom_domain"] == "xn--tienda-and-z9a5i.cl"
        assert spec["template"] == "services"
        assert spec["services"] == {"n8n": {"enabled": False}, "chatwoot": {"enabled": False}}
        assert spec["environments"] == ["production"]

    def test_spellings_are_made_equal(self, specs: Specs) -> None:
        request = {"rut": " cl 12345678-5 ", "name": " Cafe\u0301 Uno ", "domain": "ACME.SmarterBot.cl."}
        spec = desired(request, specs, "sandbox", NOW)["spec"]
        assert (spec["rut"], spec["name"], spec["domain"]) == ("12345678-5", "Café Uno", "acme.smarterbot.cl")

    def test_a_wrong_check_digit_is_taken_under_warn_and_refused_under_strict(self, specs: Specs) -> None:
        request = REQUEST | {"rut": "12345678-9"}
        assert desired(request, specs, "sandbox", NOW)["spec"]["rut"] == "12345678-9"
        with pytest.raises(SpecError) as refused:
            desired(request, specs, "production", NOW)
        assert [(one.file, one.key) for one in refused.value.mistakes] == [("argument", "rut")]

    @pytest.mark.parametrize(
        ("changes", "key", "words"),
        [
            ({"rut": "abc"}, "rut", "12345678-5"),
            ({"rut": None}, "rut", "text such as"),
            ({"name": "x" * 65}, "name", "3 to 64"),
            ({"name": ""}, "name", "3 to 64"),
            ({"name": "{{ lookup('pipe','id') }}"}, "name", "template"),
            ({"name": "a\nb c"}, "name", "line ends"),
            ({"name": ["a"]}, "name", "text"),
            ({"domain": "shop.example.com"}, "domain", "--custom-domain"),
            ({"domain": "a.b.smarterbot.cl"}, "domain", "smarterbot.cl"),
            ({"domain": "smarterbot.cl"}, "domain", "zone"),
            ({"domain": ""}, "domain", "zone"),
            ({"domain": "www.smarterbot.cl"}, "domain", "reserved"),
            ({"domain": "../x.smarterbot.cl"}, "domain", "zone"),
            ({"domain": "a$(id).smarterbot.cl"}, "domain", "template"),
            ({"domain": "ácme.smarterbot.cl"}, "domain", "a-z, 0-9 and -"),
            ({"plan": "gold"}, "plan", "Known"),
            ({"template": "bakery"}, "template", "Known"),
            ({"email": "nobody"}, "email", "e-mail"),
            ({"phone": "+56 9 CALL ME"}, "phone", "+56912345678"),
            ({"phone": "912345678"}, "phone", "+56912345678"),
            ({"shopify_store": "https://acme.myshopify.com"}, "shopify_store", "myshopify.com"),
            ({"shopify_store": "acme.myshopify.com/admin"}, "shopify_store", "myshopify.com"),
            ({"shopify_store": "acme.example.com"}, "shopify_store", "myshopify.com"),
            ({"shopify_store": 7}, "shopify_store", "text"),
            ({"custom_domain": "x.smarterbot.cl"}, "custom_domain", "outside"),
            ({"without": ["sap"]}, "without", f"Known: {', '.join(sorted(SERVICES))}."),
            ({"without": "n8n"}, "without", "list"),
        ],
    )
    def test_a_mistake_names_the_argument(self, specs: Specs, changes: dict[str, Any], key: str, words: str) -> None:
        with pytest.raises(SpecError) as refused:
            desired(REQUEST | changes, specs, "sandbox", NOW)
        assert [(one.file, one.key) for one in refused.value.mistakes] == [("argument", key)]
        assert words in str(refused.value)
        assert str(refused.value).isprintable()

    def test_all_mistakes_are_told_at_once(self, specs: Specs) -> None:
        with pytest.raises(SpecError) as refused:
            desired({"rut": "x", "name": "{{ y }}", "domain": "z", "plan": "gold"}, specs, "sandbox", NOW)
        assert sorted(one.key for one in refused.value.mistakes) == ["domain", "name", "plan", "rut"]

    def test_an_unknown_environment_is_a_mistake(self, specs: Specs) -> None:
        with pytest.raises(SpecError) as refused:
            desired(REQUEST, specs, "lab", NOW)
        assert [one.key for one in refused.value.mistakes] == ["env"]


def test_ten_thousand_tenants_are_judged_and_merged_about_as_fast_as_they_are_written_and_read(specs: Specs) -> None:
    documents = []
    for number in range(5_000_000, 5_010_000):
        rut = f"{number}-{check_digit(number)}"
        document = tenant(
            rut=rut, slug=f"t-{number}", domain=f"t-{number}.smarterbot.cl", owner={"email": "a@example.com"}
        )
        services = {name: {"state": "ready", "ref": {"id": number}} for name in specs.tenant_service_ids}
        documents.append((f"{rut}.yml", {**document, "status": {"sandbox": {"phase": "active", "services": services}}}))

    def judge() -> None:
        assert judge_registry(documents, specs, "sandbox") == {}

    def merge() -> None:
        assert len([merged(document, specs, "sandbox") for _name, document in documents]) == 10_000

    plain, judging, merging = costs(lambda: json.loads(json.dumps(documents)), judge, merge)
    assert judging < 4 * plain, "usually 0.7"
    assert merging < plain, "usually 0.2"
