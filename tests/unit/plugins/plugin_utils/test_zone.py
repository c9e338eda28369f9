"""From the specs to records: mail and CAA in words, addresses of machines, and what is refused with its place."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.smartercl.smarteros.plugins.module_utils.services import zone_records
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import rules, zone_addresses, zone_mail, zone_wishes
from unit.test_repository import ROOT

DNS: dict[str, Any] = yaml.safe_load((ROOT / "specs/infra/dns.yml").read_text())
SERVICES: dict[str, Any] = yaml.safe_load((ROOT / "specs/services/registry.yml").read_text())["services"]
KEY = "A" * 44


def address_of(_host: str, version: int) -> str:
    return "203.0.113.10" if version == 4 else "2001:db8::10"


def contents(dns: dict[str, Any]) -> list[tuple[str, str, str]]:
    found = zone_wishes.of_specs(dns, SERVICES, address_of).records
    return [(record["type"], record["name"], record["content"]) for _place, record in found]


@pytest.mark.parametrize(
    ("one", "text"),
    [
        ({}, "v=spf1 ~all"),
        ({"hosts": ["vps"], "mx": True, "others": "fail"}, "v=spf1 ip4:203.0.113.10 ip6:2001:db8::10 mx -all"),
        ({"addresses": ["2001:db8::7"], "others": "neutral"}, "v=spf1 ip6:2001:db8::7 ?all"),
        ({"include": ["a.example.com", "b.example.com"]}, "v=spf1 include:a.example.com include:b.example.com ~all"),
    ],
)
def test_spf_says_who_sends(one: dict[str, Any], text: str) -> None:
    assert zone_mail.spf(one, lambda host: [address_of(host, 4), address_of(host, 6)]) == text


@pytest.mark.parametrize(
    ("one", "text"),
    [
        ({"policy": "none"}, "v=DMARC1; p=none"),
        (
            {"policy": "reject", "subdomains": "none", "percent": 50, "strict_spf": True, "strict_dkim": True},
            "v=DMARC1; p=reject; sp=none; adkim=s; aspf=s; pct=50",
        ),
        (
            {
                "policy": "quarantine",
                "reports_to": ["a@example.com", "b@example.com"],
                "failures_to": ["c@example.com"],
            },
            "v=DMARC1; p=quarantine; rua=mailto:a@example.com,mailto:b@example.com; ruf=mailto:c@example.com",
        ),
    ],
)
def test_dmarc_says_what_others_do(one: dict[str, Any], text: str) -> None:
    assert zone_mail.dmarc(one) == text


def test_dkim_is_a_key_or_an_alias_below_its_selector() -> None:
    key = zone_mail.dkim({"selector": "s1", "key": KEY, "testing": True})
    assert (key["type"], key["name"], key["content"]) == ("TXT", "s1._domainkey", f"v=DKIM1; k=rsa; t=y; p={KEY}")
    alias = zone_mail.dkim({"selector": "s1", "name": "mail", "target": "s1.dkim.example.com"})
    assert (alias["type"], alias["name"], alias["content"]) == ("CNAME", "s1._domainkey.mail", "s1.dkim.example.com")


def test_caa_names_issuers_and_nobody_is_a_wish_too() -> None:
    blocks = [
        {"issuers": ["a.example.com"], "wildcard_issuers": [], "report_to": "ana@example.com"},
        {"name": "mail", "issuers": []},
    ]
    assert [(record["name"], record["content"]) for _place, record in zone_mail.caa(blocks)] == [
        ("@", '0 issue "a.example.com"'),
        ("@", '0 issuewild ";"'),
        ("@", '0 iodef "mailto:ana@example.com"'),
        ("mail", '0 issue ";"'),
    ]


def test_every_record_of_the_specs_becomes_one() -> None:
    found = contents(DNS)
    assert ("A", "@", "203.0.113.10") in found
    assert ("CNAME", "docs", "cname.vercel-dns.com") in found
    assert ("TXT", "_dmarc", "v=DMARC1; p=none") in found
    assert ("CAA", "@", '0 issue "letsencrypt.org"') in found
    assert len(found) == len(set(found))


def test_a_frontend_without_a_record_gets_the_common_one() -> None:
    dns = copy.deepcopy(DNS)
    dns["records"] = [record for record in dns["records"] if record["name"] not in ("docs", "mkt")]
    dns["records"].append({"type": "A", "name": "mkt", "host": "vps", "proxied": True})
    dns["frontend_record"]["ttl"] = 300
    found = {record["name"]: record for _place, record in zone_wishes.of_specs(dns, SERVICES, address_of).records}
    assert (found["docs"]["content"], found["docs"]["ttl"], found["mkt"]["type"]) == ("cname.vercel-dns.com", 300, "A")
    assert found["app"]["ttl"] == dns["ttl"]


def test_types_beside_addresses_keep_their_parts_and_their_ttl() -> None:
    records = [
        {"type": "TXT", "name": "note", "text": "hello", "ttl": 600},
        {"type": "MX", "name": "@", "target": "mx.example.net", "priority": 10},
        {"type": "SRV", "name": "_sip._tcp", "priority": 1, "weight": 2, "port": 443, "target": "sip.example.net"},
        {"type": "CAA", "name": "mail", "tag": "issue", "value": 'a.example.com; note="x"', "flags": 128},
        {"type": "AAAA", "name": "six", "address": "2001:db8::7", "proxied": False},
    ]
    found = zone_wishes.of_specs({**DNS, "records": records}, {}, address_of).records
    made = {record.key: record for record in (zone_records.wish_of(record, "example.com") for _place, record in found)}
    assert (made["TXT note.example.com"].ttl, made["TXT note.example.com"].content) == (600, "hello")
    assert (made["MX example.com"].priority, made["MX example.com"].content) == (10, "mx.example.net")
    assert made["SRV _sip._tcp.example.com"].content == "1 2 443 sip.example.net"
    assert made["CAA mail.example.com"].content == '128 issue "a.example.com; note=\\"x\\""'
    assert made["AAAA six.example.com"].content == "2001:db8::7"


def test_machines_without_an_address_are_all_told() -> None:
    dns = {**DNS, "mail": {"spf": [{"hosts": ["vps"]}]}}
    wishes = zone_wishes.of_specs(dns, SERVICES, lambda _host, _version: "")
    led = [position for position, record in enumerate(DNS["records"]) if record.get("host")]
    expected = [("records", position, "host") for position in led] + [("mail", "spf", 0, "hosts", 0)]
    assert [place for place, *_rest in wishes.lacking] == expected
    assert not any(record["name"] == "n8n" for _place, record in wishes.records)


def machines(
    said: dict[str, Any] | None = None, names: tuple[str, ...] = ("vps1",), **variables: Any
) -> zone_addresses.Machines:
    return zone_addresses.Machines(names, lambda _host, name: variables.get(name), said or {})


@pytest.mark.parametrize(
    ("found", "version", "address", "why"),
    [
        (machines(ansible_host="203.0.113.10"), 4, "203.0.113.10", ""),
        (machines(smos_public_address="203.0.113.11", ansible_host="10.0.0.5"), 4, "203.0.113.11", ""),
        (machines(smos_public_address6="2001:db8::10"), 6, "2001:db8::10", ""),
        (machines({"vps": ["203.0.113.12", "2001:db8::12"]}, ansible_host="203.0.113.10"), 4, "203.0.113.12", ""),
        (machines({"vps": "203.0.113.12"}), 6, "", "zone_addresses.vps is not set"),
        (machines(ansible_host="10.0.0.5"), 4, "", "which the world cannot reach"),
        (machines(ansible_host="127.0.0.1"), 4, "", "which the world cannot reach"),
        (machines(ansible_host="vps.example.com"), 4, "", "which is no address"),
        (machines(), 4, "", "smos_public_address of vps1 and ansible_host of vps1 are not set"),
        (machines(names=()), 4, "", "has no host"),
    ],
)
def test_where_a_machine_is(found: zone_addresses.Machines, version: int, address: str, why: str) -> None:
    assert found.address_of("vps", version) == address
    assert why in found.why_not("vps", version)
    assert bool(found.why_not("vps", version)) == bool(why)


def test_a_host_of_the_machines_name_goes_before_the_first() -> None:
    def read(host: str, name: str) -> str | None:
        return {"vps1": "203.0.113.1", "two": "203.0.113.2"}[host] if name == "ansible_host" else None

    assert zone_addresses.Machines(["vps1", "two"], read, {}).address_of("two", 4) == "203.0.113.2"


@pytest.fixture(scope="module")
def specs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zone") / "specs"
    shutil.copytree(ROOT / "specs", folder)
    return folder


def told(root: Path, **changed: Any) -> str:
    path = root / "infra" / "dns.yml"
    path.write_text(yaml.safe_dump({**DNS, **changed}, sort_keys=False))
    return "\n".join(map(str, rules.judge_specs(root, tenants=())))


def beside(*records: dict[str, Any]) -> dict[str, Any]:
    return {"records": [*DNS["records"], *records]}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (beside({"type": "TXT", "name": "app", "text": "x"}), "a TXT beside a CNAME record"),
        (
            beside(
                {"type": "TXT", "name": "@", "text": "v=spf1 -all"},
                {"type": "TXT", "name": "@", "text": "v=spf1 mx -all"},
            ),
            "two SPF",
        ),
        ({"mail": {"spf": [{}, {"mx": True}]}}, "two SPF records"),
        (beside({"type": "A", "name": "help", "proxied": True}), '"help" has neither'),
        (
            beside({"type": "A", "name": "help", "host": "vps", "address": "203.0.113.1", "proxied": True}),
            '"help" has both',
        ),
        (beside({"type": "A", "name": "help", "address": "2001:db8::1", "proxied": True}), "Not an address for type A"),
        (beside({"type": "TXT", "name": "shoe.shop", "text": "x"}), '"shop" could be taken by a tenant'),
        (beside({"type": "TXT", "name": "help", "text": "x", "ttl": 30}), "30 is less"),
        ({"mail": {"spf": [{"hosts": ["vpz"]}]}}, '"vpz" is unknown'),
        ({"mail": {"spf": [{"addresses": ["203.0.113"]}]}}, '"203.0.113" is none'),
        ({"mail": {"spf": [{"include": [f"s{n}.example.com" for n in range(11)]}]}}, "It costs 11"),
        ({"mail": {"dkim": [{"selector": "s1"}]}}, '"s1" has neither'),
        ({"mail": {"dmarc": [{"name": "shop", "policy": "none"}]}}, '"shop" could be taken by a tenant'),
        (beside({"type": "NOPE", "name": "help"}), "One of: A, AAAA, CAA, CNAME, MX, SRV, TXT"),
        (beside({"type": "MX", "name": "@", "target": "mx.example.net"}), "priority is missing"),
    ],
)
def test_what_is_refused_is_told_with_its_place(specs: Path, changed: dict[str, Any], words: str) -> None:
    found = told(specs, **changed)
    assert words in found
    assert "infra/dns.yml:" in found


def test_what_mail_needs_can_be_said(specs: Path) -> None:
    mail = {
        "spf": [{"hosts": ["vps"], "mx": True, "include": ["spf.example.com"], "others": "fail"}, {"name": "mail"}],
        "dkim": [{"selector": "s1", "key": KEY}, {"selector": "s2", "target": "s2.dkim.example.com"}],
        "dmarc": [{"policy": "reject", "reports_to": ["ana@example.com"]}],
    }
    records = beside(
        {"type": "AAAA", "name": "@", "host": "vps", "proxied": True},
        {"type": "MX", "name": "@", "target": "mx.example.net", "priority": 10},
        {"type": "TXT", "name": "@", "text": "proof=abc"},
        {"type": "CNAME", "name": "_proof.docs", "target": "abc.example.net", "proxied": False},
        {"type": "A", "name": "*.docs", "address": "203.0.113.7", "proxied": False},
    )
    assert told(specs, mail=mail, **records) == ""
