# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.rules import (
    judge_registry,
    judge_tenant,
    warn_registry,
    warn_tenant,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import Specs, load
from unit.specs.samples import SPECS, tenant

FULL: dict[str, Any] = {
    "custom_domain": "shop.example.com",
    "template": "ecommerce",
    "industry": "shoes",
    "region": "main",
    "owner": {"name": "Ana Pérez", "email": "ana@example.com", "phone": "+56912345678"},
    "shopify": {"store": "acme-cl.myshopify.com"},
    "whatsapp": {
        "phone_number": "+56987654321",
        "phone_number_id": "100000000000002",
        "business_account_id": "100000000000001",
    },
    "lifecycle": {
        "staging": {"state": "suspended", "since": "2026-11-22T15:26:43Z", "reason": "Invoice 1234 is open."}
    },
    "services": {"n8n": {"enabled": False}},
    "features": {"analytics": True},
    "limits": {"users": None, "bots": 3},
    "locale": {"timezone": "America/Punta_Arenas", "currency": "CLP"},
    "branding": {"primary_color": "#aabbcc", "logo_url": "https://example.com/logo.png"},
    "notes": "Friend of the house.",
    "created_at": "2026-11-22T15:26:43Z",
    "environments": ["sandbox", "production"],
}


@pytest.mark.parametrize("env", ["sandbox", "development", "staging", "production", "unheard-of"])
def test_sound_tenants_are_accepted_everywhere(specs: Specs, env: str) -> None:
    assert judge_tenant(tenant(), specs, env) == []
    assert judge_tenant(tenant(**FULL), specs, env) == []


@pytest.mark.parametrize("name", ["Ñandú & Cía.", "O'Higgins 24-7", "Ab1", "A" * 64, "Žluťoučký kůň", "3M Chile S.A."])
def test_names_as_companies_have_them_are_accepted(specs: Specs, name: str) -> None:
    assert judge_tenant(tenant(name=name), specs, "sandbox") == []


ROWS: list[tuple[str, dict[str, Any], str, str]] = [
    # what it is, changes, key, words of the rule
    ("a name of 65 characters", {"name": "A" * 65}, "spec.name", "3 to 64 characters"),
    ("a name of 2 characters", {"name": "AB"}, "spec.name", "3 to 64 characters"),
    ("a name with a slash", {"name": "Acme/Corp"}, "spec.name", "3 to 64 characters"),
    ("a name in another script", {"name": "\u0410cme Corp"}, "spec.name", "3 to 64 characters"),
    ("a name that ends with a space", {"name": "Acme "}, "spec.name", "not end with a space"),
    ("a name that is a number", {"name": 1234}, "spec.name", "3 to 64"),
    ("a name of null", {"name": None}, "spec.name", "3 to 64"),
    ("no name", {"name": ...}, "spec.name", "needed"),
    ("an unknown key", {"nmae": "Acme"}, "spec.nmae", "Only keys that the schema names"),
    ("an unknown key below", {"owner": {"mail": "a@example.com"}}, "spec.owner.mail", "Only keys"),
    ("a RUT with dots", {"rut": "12.345.678-5"}, "spec.rut", "without dots"),
    ("a RUT with a small k", {"rut": "10000013-k"}, "spec.rut", "upper-case K"),
    ("a RUT that became a number", {"rut": 123456785}, "spec.rut", "RUT"),
    ("a RUT out of range", {"rut": "123456789-2"}, "spec.rut", "RUT"),
    ("a slug in capitals", {"slug": "ACME", "domain": "ACME.smarterbot.cl"}, "spec.slug", "a-z, 0-9 and -"),
    ("a slug that starts with a dash", {"slug": "-acme"}, "spec.slug", "starts nor ends"),
    ("a slug that ends with a dash", {"slug": "acme-"}, "spec.slug", "starts nor ends"),
    ("a slug of 33 characters", {"slug": "a" * 33}, "spec.slug", "3 to 32"),
    ("a slug of 2 characters", {"slug": "ab"}, "spec.slug", "3 to 32"),
    ("a reserved slug", {"slug": "www", "domain": "www.smarterbot.cl"}, "spec.slug", "reserved"),
    ("a slug that reads as a RUT", {"slug": "12345678-5", "domain": "12345678-5.smarterbot.cl"}, "spec.slug", "RUT"),
    ("a slug of false", {"slug": False}, "spec.slug", "a-z, 0-9 and -"),
    ("a domain outside the zone", {"domain": "shop.example.com"}, "spec.domain", "<slug>.smarterbot.cl"),
    ("a domain of another slug", {"domain": "other.smarterbot.cl"}, "spec.domain", "<slug>.smarterbot.cl"),
    ("a domain with a port", {"domain": "acme.smarterbot.cl:80"}, "spec.domain", "host name"),
    ("a domain of 254 characters", {"domain": "a." * 126 + "cl"}, "spec.domain", ""),
    ("a custom domain in the zone", {"custom_domain": "x.smarterbot.cl"}, "spec.custom_domain", "outside the zone"),
    ("the zone as custom domain", {"custom_domain": "smarterbot.cl"}, "spec.custom_domain", "outside the zone"),
    ("an address as custom domain", {"custom_domain": "192.0.2.1"}, "spec.custom_domain", "host name"),
    ("a plan that is not sold", {"plan": "gold"}, "spec.plan", "plan that exists"),
    ("an unknown template", {"template": "bakery"}, "spec.template", "template that exists"),
    ("an unknown service", {"services": {"sap": {"enabled": True}}}, "spec.services.sap", "service of tenants"),
    (
        "a service without tenants",
        {"services": {"redis": {"enabled": True}}},
        "spec.services.redis",
        "service of tenants",
    ),
    ("a service set to a text", {"services": {"n8n": {"enabled": "no"}}}, "spec.services.n8n.enabled", "true or false"),
    ("an unknown feature", {"features": {"magic": True}}, "spec.features.magic", "feature flag"),
    ("an unknown environment", {"environments": ["lab"]}, "spec.environments[0]", "environment that exists"),
    ("an environment named twice", {"environments": ["sandbox", "sandbox"]}, "spec.environments", ""),
    ("an e-mail address without a host", {"owner": {"email": "ana@"}}, "spec.owner.email", "e-mail address"),
    ("a telephone number with letters", {"owner": {"phone": "+56CALLME"}}, "spec.owner.phone", "+56912345678"),
    ("a telephone number without country", {"owner": {"phone": "912345678"}}, "spec.owner.phone", "+56912345678"),
    (
        "a store as an address",
        {"shopify": {"store": "https://acme.myshopify.com"}},
        "spec.shopify.store",
        "myshopify.com",
    ),
    ("a store with a path", {"shopify": {"store": "acme.myshopify.com/admin"}}, "spec.shopify.store", "myshopify.com"),
    ("a store elsewhere", {"shopify": {"store": "acme.example.com"}}, "spec.shopify.store", "myshopify.com"),
    (
        "a token beside the store",
        {"shopify": {"store": "a-b.myshopify.com", "token": "x"}},
        "spec.shopify.token",
        "Only keys",
    ),
    (
        "half a number of WhatsApp",
        {"whatsapp": {"phone_number": "+56987654321"}},
        "spec.whatsapp.phone_number_id",
        "needed",
    ),
    ("an unknown wish", {"lifecycle": {"sandbox": {"state": "asleep"}}}, "spec.lifecycle.sandbox.state", "suspended"),
    (
        "a life in an unknown environment",
        {"lifecycle": {"lab": {"state": "deleted", "since": "2026-11-22T15:26:43Z"}}},
        "spec.lifecycle.lab",
        "environment",
    ),
    ("a limit below zero", {"limits": {"users": -1}}, "spec.limits.users", ""),
    ("a limit of unlimited in words", {"limits": {"users": "unlimited"}}, "spec.limits.users", "whole number"),
    ("a moment without time", {"created_at": "2026-11-22"}, "spec.created_at", "UTC"),
]


@pytest.mark.parametrize(("changes", "key", "rule"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_what_breaks_a_rule_is_refused_by_key_and_rule(
    specs: Specs, changes: dict[str, Any], key: str, rule: str
) -> None:
    mistakes = judge_tenant(tenant(**changes), specs, "sandbox")
    assert [(one.file, one.key) for one in mistakes if one.key == key] == [("argument", key)], mistakes
    mistake = next(one for one in mistakes if one.key == key)
    assert rule in mistake.rule
    assert mistake.message
    error = mistake.as_error()
    assert error["where"] == f"argument: {key}"
    assert all(text.isprintable() and text for text in error.values())


@pytest.mark.parametrize(
    "document", [None, [], "text", 7, {}, {"spec": None}, {"spec": []}, {"spec": {1: 2}}, {"status": {}}]
)
def test_what_is_no_tenant_at_all_is_refused(specs: Specs, document: Any) -> None:
    assert judge_tenant(document, specs, "sandbox")
    assert judge_registry([("specs/tenants/registry/1-9.yml", document)], specs, "sandbox")


def test_several_mistakes_are_told_at_once(specs: Specs) -> None:
    mistakes = judge_tenant(tenant(name="x", plan="gold", slug="www", domain="www.smarterbot.cl"), specs, "sandbox")
    assert sorted(one.key for one in mistakes) == ["spec.name", "spec.plan", "spec.slug"]


def test_a_value_under_an_unknown_key_is_not_shown(specs: Specs) -> None:
    (mistake,) = judge_tenant(tenant(token="hunter2-hunter2"), specs, "sandbox")
    assert "hunter2" not in str(mistake)


def test_a_long_value_is_shown_short(specs: Specs) -> None:
    (mistake,) = judge_tenant(tenant(name="B" * 5000), specs, "sandbox")
    assert len(mistake.message) < 120
    assert "B" * 20 in mistake.message


def test_the_bounds_of_the_registry_make_names_narrower(root: Path, edit: Any) -> None:
    edit("tenants/registry.yml", "slug: {min_length: 3, max_length: 32}", "slug: {min_length: 3, max_length: 10}")
    document = tenant(slug="acme-chile-1", domain="acme-chile-1.smarterbot.cl")
    assert [one.key for one in judge_tenant(document, load(root), "sandbox")] == ["spec.slug"]


class TestCheckDigit:
    WRONG = tenant(rut="12345678-9")

    @pytest.mark.parametrize("env", ["sandbox", "development"])
    def test_is_a_warning_where_the_policy_is_warn(self, specs: Specs, env: str) -> None:
        assert judge_tenant(self.WRONG, specs, env) == []
        (warning,) = warn_tenant(self.WRONG, specs, env)
        assert warning.key == "spec.rut"
        assert "5" in warning.next

    @pytest.mark.parametrize("env", ["staging", "production", "unheard-of"])
    def test_is_refused_where_the_policy_is_strict(self, specs: Specs, env: str) -> None:
        (mistake,) = judge_tenant(self.WRONG, specs, env)
        assert (mistake.key, "modulo 11" in mistake.rule) == ("spec.rut", True)
        assert warn_tenant(self.WRONG, specs, env) == []

    def test_does_not_matter_to_an_environment_that_the_tenant_does_not_live_in(self, specs: Specs) -> None:
        assert judge_tenant(tenant(rut="12345678-9", environments=["sandbox"]), specs, "production") == []

    def test_right_ones_give_no_warning(self, specs: Specs) -> None:
        assert warn_tenant(tenant(), specs, "sandbox") == []
        assert warn_registry([("x/12345678-5.yml", tenant())], specs, "sandbox") == {}


FORBIDDEN = ["{{", "}}", "{%", "%}", "{#", "#}", "$(", "${", "`", "../", "..\\", "\n", "\r", "\x00", "\x1b[31m", "\x85",
             "\u2028", "\u202e", "\u200b", "\ufeff", "\ud800"]  # a table, easier to compare in rows  # fmt: skip


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [place for key, below in value.items() for place in _places(below, (*path, key))]
    if isinstance(value, list):
        return [place for position, below in enumerate(value) for place in _places(below, (*path, position))]
    return [path] if isinstance(value, str) else []


PLACES = _places(tenant(**FULL)["spec"])
SPECS_ONCE = load(SPECS)


@given(
    st.sampled_from(PLACES),
    st.sampled_from(FORBIDDEN),
    st.text("ab c.", max_size=6),
    st.text("ab c.", max_size=6),
)
def test_template_syntax_and_control_characters_are_refused_in_any_text(
    place: tuple[Any, ...], bad: str, before: str, after: str
) -> None:
    document = copy.deepcopy(tenant(**FULL))
    target = document["spec"]
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = f"{before}{bad}{after}"
    mistakes = judge_tenant(document, SPECS_ONCE, "sandbox")
    assert len(mistakes) == 1
    key = "spec" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    assert mistakes[0].key == key
    assert mistakes[0].rule.startswith("A text ")
    assert str(mistakes[0]).isprintable()


@pytest.mark.parametrize("bad", FORBIDDEN)
def test_they_are_refused_in_keys_too(specs: Specs, bad: str) -> None:
    assert judge_tenant(tenant(features={f"x{bad}": True}), specs, "sandbox")
    assert judge_tenant(tenant(**{f"x{bad}": "1"}), specs, "sandbox")


@pytest.mark.parametrize("notes", ["100 % {sic} $5 #1 a..b 50%", "C'est l'été, 日本", "a } } b { { c"])
def test_harmless_text_is_not_refused(specs: Specs, notes: str) -> None:
    assert judge_tenant(tenant(notes=notes), specs, "sandbox") == []


def _written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


SOUND = """# A good customer.
spec:
  rut: {rut}
  name: Acme Corp
  slug: {slug}
  domain: {slug}.smarterbot.cl
  plan: starter
"""


class TestRegistry:
    def test_sound_tenants_give_nothing(self, specs: Specs) -> None:
        other = tenant(rut="76086428-5", slug="other", domain="other.smarterbot.cl")
        assert judge_registry([("a/12345678-5.yml", tenant()), ("a/76086428-5.yml", other)], specs, "sandbox") == {}

    @pytest.mark.parametrize(
        ("changes", "keys"),
        [
            ({"slug": "acme", "domain": "acme.smarterbot.cl"}, ["spec.slug", "spec.domain"]),
            ({"custom_domain": "shop.example.com"}, ["spec.custom_domain"]),
            ({"shopify": FULL["shopify"]}, ["spec.shopify.store"]),
            ({"whatsapp": {**FULL["whatsapp"], "phone_number": "+56911111111"}}, ["spec.whatsapp.phone_number_id"]),
        ],
    )
    def test_what_two_share_is_told_of_the_younger(
        self, specs: Specs, changes: dict[str, Any], keys: list[str]
    ) -> None:
        older = tenant(**FULL | {"created_at": "2026-01-01T00:00:00Z"})
        younger = tenant(
            **{
                "rut": "76086428-5",
                "slug": "other",
                "domain": "other.smarterbot.cl",
                "created_at": "2026-02-01T00:00:00Z",
            }
            | changes
        )
        found = judge_registry([("a/76086428-5.yml", younger), ("a/12345678-5.yml", older)], specs, "sandbox")
        assert list(found) == ["a/76086428-5.yml"]
        assert [one.key for one in found["a/76086428-5.yml"]] == keys
        assert all("12345678-5.yml" in one.message for one in found["a/76086428-5.yml"])

    def test_a_copied_file_blocks_only_itself(self, root: Path) -> None:
        folder = root / "tenants" / "registry"
        _written(folder, "12345678-5.yml", SOUND.format(rut="12345678-5", slug="acme"))
        copied = _written(folder, "11111111-1.yml", SOUND.format(rut="12345678-5", slug="acme"))
        from ansible_collections.smartercl.smarteros.plugins.plugin_utils.documents import load as read

        documents = [(path, read(path)) for path in sorted(folder.glob("*.yml"))]
        found = judge_registry(documents, load(root), "sandbox")
        assert list(found) == [str(copied)]
        first = found[str(copied)][0]
        assert (first.file, first.line, first.key) == ("specs/tenants/registry/11111111-1.yml", 3, "spec.rut")
        assert {one.key for one in found[str(copied)]} == {"spec.rut", "spec.slug", "spec.domain"}

    def test_a_broken_tenant_does_not_hide_the_mistakes_of_others(self, specs: Specs) -> None:
        found = judge_registry([("a/1-9.yml", None), ("a/12345678-5.yml", tenant(plan="gold"))], specs, "sandbox")
        assert sorted(found) == ["a/1-9.yml", "a/12345678-5.yml"]
