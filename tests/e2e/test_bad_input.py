"""What is refused: the exit code, a message that names field and rule, and nothing written anywhere."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import providers, strict
from support.instance import ACME, SERVICES, ZONE, Done, Instance, Shop, instance, shop

OTHER = shop(1)
STORE = f"{ACME.slug}-cl.myshopify.com"
TOO_LONG = "x" * 65
# What no text may hold: a name for the test, the text, and a word of the rule
NASTY = (
    ("jinja", "{{ lookup('pipe', 'touch MARK') }}", "template"),
    ("block", "{% for _ in range(9) %}", "template"),
    ("shell", "$(touch MARK)", "shell"),
    ("backticks", "`touch MARK`", "shell"),
    ("newline", "two\nlines", "line end"),
    ("control", "bell\x07", "control character"),
    ("escape", "\x1b[31mred", "control character"),
    ("path", "../../etc/passwd", "folder"),
)
FIELDS = (
    "rut",
    "name",
    "domain",
    "plan",
    "email",
    "phone",
    "custom_domain",
    "shopify_store",
    "template",
    "without",
)
WRONG = "a-token-that-nobody-knows"
# What a request to each provider bears; Shopify's stands for the secret of the house's app
TOKENS = {
    "supabase": ("supabase_secret_key", "supabase_access_token"),
    "metabase": ("metabase_api_key",),
    "odoo": ("odoo_secret",),
    "chatwoot": ("chatwoot_platform_token",),
    "botpress": ("botpress_password",),
    "vercel": ("vercel_token",),
    "n8n": ("n8n_api_key",),
    "cloudflare": ("cloudflare_token",),
    "shopify": ("shopify_client_secret",),
    "whatsapp": ("whatsapp_token",),
}
NEEDED = ("odoo", "chatwoot", "n8n", "cloudflare")  # no tenant can do without them


@contextmanager
def untouched(smos: Instance) -> Iterator[None]:
    """Nothing is written meanwhile: not at the providers, not in the registry, and no lock stays."""
    files, content, last = smos.registered(), smos.content(), smos.seen()
    yield
    assert smos.writes(last) == []
    assert providers.differences(content, smos.content()) == []
    assert smos.registered() == files


def refused(done: Done, code: int, *words: str) -> None:
    """The command ended with this code and says why, in these words."""
    assert done.code == code, done
    assert done.document["ok"] is False
    assert done.document["changed"] is False
    assert done.document["errors"], done
    for word in words:
        assert word.lower() in done.why.lower(), done


@pytest.fixture(scope="module")
def smos(shared_smos: Instance) -> Instance:
    """An instance that has the tenant acme."""
    done = shared_smos.create(ACME, "--shopify-store", STORE)
    assert done.code == 0, done
    return shared_smos


def asked(**fields: str) -> list[str]:
    """A sound request for another tenant, except that these fields say this."""
    words = dict(zip(("rut", "name", "domain"), OTHER.words, strict=True))
    options = [f"--{name.replace('_', '-')}={text}" for name, text in fields.items() if name not in words]
    words.update({name: text for name, text in fields.items() if name in words})
    return ["create", "tenant", "--json", *options, "--", *words.values()]


@pytest.mark.parametrize(("text", "rule"), [each[1:] for each in NASTY], ids=[each[0] for each in NASTY])
def test_a_text_that_some_tool_might_evaluate_is_refused_in_every_field(
    smos: Instance, tmp_path: Path, text: str, rule: str
) -> None:
    mark = tmp_path / "was-evaluated"
    text = text.replace("MARK", str(mark))
    with untouched(smos):
        done = smos.run(*asked(**dict.fromkeys(FIELDS, text)))
    refused(done, 2)
    told = {error["where"].removeprefix("argument: "): error["why"].lower() for error in done.document["errors"]}
    assert told.keys() == set(FIELDS), done
    # Of a RUT and a domain a rule is told that says more
    assert all(rule in why for field, why in told.items() if field not in ("rut", "domain")), done
    assert not mark.exists()


@pytest.mark.parametrize("field", FIELDS)
def test_a_template_alone_is_refused_in_each_field(smos: Instance, tmp_path: Path, field: str) -> None:
    mark = tmp_path / "was-evaluated"
    text = f"{{{{ lookup('pipe', 'touch {mark}') }}}}"
    with untouched(smos):
        done = smos.run(*asked(**{field: f"{text}.{ZONE}" if field == "domain" else text}))
    refused(done, 2, f"argument: {field}")
    assert not mark.exists()


@pytest.mark.parametrize("field", ["name", "plan"])
def test_an_argument_that_is_no_text_is_refused(smos: Instance, field: str) -> None:
    with untouched(smos):
        done = smos.run(*asked(**{field: os.fsdecode(b"caf\xe9")}))
    refused(done, 2, "caf\\xe9", "UTF-8")


@pytest.mark.parametrize(("text", "rule"), [each[1:] for each in NASTY[:3]], ids=[each[0] for each in NASTY[:3]])
def test_plain_ansible_evaluates_no_value_either(smos: Instance, tmp_path: Path, text: str, rule: str) -> None:
    mark = tmp_path / "was-evaluated"
    wish = {"tenant_rut": OTHER.rut, "tenant_name": text.replace("MARK", str(mark)), "tenant_domain": OTHER.domain}
    with untouched(smos):
        done = smos.playbook("-e", json.dumps(wish))
    assert done.code != 0, done
    assert "argument: name" in done.out
    assert rule in done.out
    assert not mark.exists()
    with untouched(smos):
        done = smos.playbook("-e", json.dumps({**wish, "tenant_rut": wish["tenant_name"]}))
    assert done.code != 0, done
    assert not mark.exists()


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"rut": "abc"}, 2, ("argument: rut",)),
        ({"name": TOO_LONG}, 2, ("argument: name", "3 to 64")),
        ({"name": "ab"}, 2, ("argument: name", "3 to 64")),
        ({"name": ""}, 2, ("argument: name",)),
        ({"domain": f"acme.{ZONE}"}, 2, ("slug", "acme", "belongs to", ACME.rut)),
        ({"domain": f"www.{ZONE}"}, 2, ("argument: domain", "reserved")),
        ({"domain": f"n8n.{ZONE}"}, 2, ("argument: domain", "reserved")),
        ({"domain": "shop.example.com"}, 2, ("argument: domain", ZONE, "custom-domain")),
        ({"domain": ZONE}, 2, ("argument: domain",)),
        ({"domain": f"a.b.{ZONE}"}, 2, ("argument: domain",)),
        ({"domain": f"UPPER case.{ZONE}"}, 2, ("argument: domain",)),
        ({"domain": f"{'s' * 33}.{ZONE}"}, 2, ("argument: domain", "3 to 32")),
        ({"plan": "golden"}, 2, ("argument: plan", "starter")),
        ({"template": "golden"}, 2, ("argument: template", "default")),
        ({"without": "telegraph"}, 2, ("argument: without", "chatwoot")),
        ({"email": "nobody"}, 2, ("argument: email",)),
        ({"phone": "+56 9 CALL ME"}, 2, ("argument: phone", "+56912345678")),
        ({"phone": "+569123456789012345"}, 2, ("argument: phone", "+56912345678")),
        ({"phone": "912345678"}, 2, ("argument: phone", "+56912345678")),
        ({"shopify_store": "https://acme.myshopify.com"}, 2, ("argument: shopify_store", "myshopify.com")),
        ({"shopify_store": "acme.myshopify.com/admin"}, 2, ("argument: shopify_store", "myshopify.com")),
        ({"shopify_store": "shop.example.com"}, 2, ("argument: shopify_store", "myshopify.com")),
        ({"shopify_store": STORE}, 2, ("argument: shopify_store", STORE, "belongs to", ACME.rut)),
        ({"custom_domain": f"shop.{ZONE}"}, 2, ("argument: custom_domain", "outside the zone")),
    ],
)
def test_a_request_against_the_rules_is_refused(
    smos: Instance, change: dict[str, str], code: int, words: tuple[str, ...]
) -> None:
    with untouched(smos):
        done = smos.run(*asked(**change))
    refused(done, code, *words)


def test_a_registered_tenant_is_not_changed_by_a_request_that_says_something_else(smos: Instance) -> None:
    for words, key in (
        ((ACME.rut, "Another name", ACME.domain), "spec.name"),
        ((ACME.rut, ACME.name, OTHER.domain), "spec.slug"),
        ((*ACME.words, "--plan", "enterprise"), "spec.plan"),
        ((*ACME.words, "--email", "other@example.com"), "spec.owner"),
        ((*ACME.words, "--phone", "+56912345678"), "spec.owner"),
        ((*ACME.words, "--shopify-store", "other.myshopify.com"), "spec.shopify"),
    ):
        with untouched(smos):
            done = smos.run("create", "tenant", *words, "--json")
        refused(done, 2, key, "registered")


def test_a_wrong_check_digit_is_refused_where_the_policy_is_strict_and_only_warned_of_in_the_sandbox(
    smos: Instance,
) -> None:
    wrong = Shop("12345678-9", "Wrong Digit", f"wrong-digit.{ZONE}")
    there = strict.options(smos.up())
    for environment in ("staging", "production"):
        options = tuple(environment if word == "staging" else word for word in there)
        with untouched(smos):
            done = smos.create(wrong, *options, **strict.VARIABLES)
        refused(done, 2, "argument: rut", "check digit", "modulo 11", "the digit is 5")
    done = smos.create(wrong, *there, "--check", **strict.VARIABLES)
    assert done.code == 2, "also a prediction is refused"
    right = dataclasses.replace(wrong, rut="7654321-6")
    done = smos.create(right, *there, "--check", **strict.VARIABLES)
    assert done.code == 0, done  # the same request with a right digit would do

    warned = smos.run("create", "tenant", *wrong.words, "--check")
    assert warned.code == 0, warned
    assert warned.err.count("wrong check digit") == 1


def test_an_unknown_environment_or_folder_of_specs_is_refused(smos: Instance, tmp_path: Path) -> None:
    for option, value in (("--env", "moon"), ("--env", "../sandbox"), ("--specs", str(tmp_path))):
        with untouched(smos):
            done = smos.create(OTHER, option, value)
        refused(done, 2)


def closed_addresses(*services: str) -> Iterator[dict[str, str]]:
    """Variables that lead to an address of this machine where nobody listens."""
    with socket.socket() as closed:  # bound, but not listening
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        more = {"supabase_management_url": address} if "supabase" in services else {}
        yield {f"{name}_url": f"{address}/{{shop}}" if name == "shopify" else address for name in services} | more


def told_of(done: Done) -> list[str]:
    """The providers that the errors are about."""
    return [error["what"] for error in done.document["errors"]]


@pytest.mark.parametrize(
    "services", [SERVICES, ("odoo",), ("supabase",)], ids=["all", "a needed one", "an optional one"]
)
def test_an_unreachable_provider_stops_the_run_before_anything_is_written(
    smos: Instance, services: tuple[str, ...]
) -> None:
    for addresses in closed_addresses(*services):
        with untouched(smos):
            done = smos.create(OTHER, "-e", json.dumps(addresses))
        refused(done, 3, "unreachable", addresses[f"{services[0]}_url"])
        assert told_of(done) == list(services)
        assert all(error["next"] for error in done.document["errors"])


@pytest.mark.parametrize(
    "services", [SERVICES, ("n8n",), ("metabase",)], ids=["all", "a needed one", "an optional one"]
)
def test_a_refused_token_stops_the_run_before_anything_is_written(smos: Instance, services: tuple[str, ...]) -> None:
    assert TOKENS.keys() == set(SERVICES)
    wrong = {name: WRONG for service in services for name in TOKENS[service]}
    with untouched(smos):
        done = smos.create(OTHER, "-e", json.dumps(wrong))
    refused(done, 3, "invalid")
    assert told_of(done) == list(services)
    assert WRONG not in done.out + done.err


def test_missing_tokens_are_told_all_at_once_and_nobody_is_asked(smos: Instance) -> None:
    there, last = strict.options(smos.up()), smos.seen()
    with untouched(smos):
        done = smos.create(OTHER, *there)
    refused(done, 3, "missing", "not set")
    assert told_of(done) == list(NEEDED), "what is optional is not missed"
    for one in strict.VARIABLES:
        if one != "CLOUDFLARE_ZONE":  # has a default
            with untouched(smos):
                done = smos.create(OTHER, *there, "--check", **{**strict.variables(), one: ""})
            refused(done, 3, "not set")
            assert len(told_of(done)) == 1, done
    assert smos.requests(since=last) == []


@pytest.mark.parametrize(
    ("service", "lost"),
    [
        ("supabase", "SUPABASE_PROJECT"),
        ("botpress", "BOTPRESS_PASSWORD"),
        ("vercel", "VERCEL_PROJECT"),
        ("shopify", "SHOPIFY_CLIENT_SECRET"),
        ("whatsapp", "WHATSAPP_PHONE_NUMBER_ID"),
    ],
)
def test_half_of_what_an_optional_provider_needs_is_a_mistake(smos: Instance, service: str, lost: str) -> None:
    with untouched(smos):
        done = smos.create(OTHER, *strict.options(smos.up()), **{**strict.variables(), lost: ""})
    refused(done, 3, "not set")
    assert told_of(done) == [service]


def test_a_tenant_does_without_optional_providers_until_they_are_configured(tmp_path: Path) -> None:
    with instance(tmp_path / "smos") as made:
        there = strict.options(made.up())
        create = ("create", "tenant", *ACME.words, "--phone", "+56 9 1234 5678", "--json", *there)
        made.environment = strict.VARIABLES
        done = made.run(*create)
        assert_states(done, dict.fromkeys(strict.OPTIONAL, "disabled"))
        for name in strict.OPTIONAL:
            assert "not set: " in done.result["tenant"]["services"][name]["message"]
        assert {row["provider"] for row in made.requests()} == set(NEEDED)

        made.environment = strict.variables("metabase")
        done = made.run(*create)
        assert_states(done, {"metabase": "disabled", "shopify": "disabled"})
        assert "store" in done.result["tenant"]["services"]["shopify"]["message"]

        made.environment = strict.variables()
        done = made.run("tenant", "update", ACME.slug, "--shopify-store", STORE, "--json", *there)
        assert_states(done, {})
        assert made.run("plan", "tenants", "--exit-code", *there).code == 0


def assert_states(done: Done, other: dict[str, str]) -> None:
    """The tenant is active and each of its services ready, but for these."""
    assert done.code == 0, done
    tenant = done.result["tenant"]
    assert tenant["phase"] == "active"
    assert {name: row["state"] for name, row in tenant["services"].items()} == dict.fromkeys(SERVICES, "ready") | other


def test_a_broken_file_in_the_registry_blocks_only_its_own_tenant(smos: Instance) -> None:
    broken, templated = shop(2), dataclasses.replace(shop(3), name="{{ 7 * 7 }} shops")
    try:
        (smos.registry / f"{broken.rut}.yml").write_text("spec: {rut: [half a")
        smos.add_files([templated])
        done = smos.run("plan", "tenants", "--json")
        assert done.code == 0, done
        assert done.result["changes"] == []
        assert smos.phases()[ACME.rut] == "active"
        for each in (broken, templated):
            refused(smos.run("tenant", "show", each.rut, "--json"), 2, each.rut)
        told = smos.run("validate", "--json")
        assert told.code == 2, told
        assert broken.rut in told.why
        assert "template" in told.why
    finally:
        for each in (broken, templated):
            (smos.registry / f"{each.rut}.yml").unlink(missing_ok=True)
