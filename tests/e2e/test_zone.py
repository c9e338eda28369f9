# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The whole zone through plain `ansible-playbook playbooks/zone.yml`, against the sandbox's Cloudflare."""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import locks
from support.instance import ZONE, Done, Instance
from support.sandbox_api import ByHand

MARK = "smarteros:system"
MAIL = """mail:
  spf: [{name: mail, hosts: [vps], include: [spf.mail.example.com], others: fail}]
  dkim: [{selector: mail2026, target: mail2026.dkim.mail.example.com}]
  dmarc: [{policy: quarantine, reports_to: [ana@example.com]}]
"""


def play(smos: Instance, *words: str, **environment: str) -> Done:
    """The playbook, as somebody without `smos` runs it."""
    smos.environment.update(environment)
    try:
        return smos.play("zone.yml", *words)
    finally:
        for name in environment:
            del smos.environment[name]


def zone(hand: ByHand) -> dict[str, dict[str, Any]]:
    """The records by type, name and (where there are several) content."""
    rows = hand.cloudflare("GET", "dns_records?per_page=5000")
    return {f"{row['type']} {row['name']} {row['content']}": row for row in rows}


def ours(hand: ByHand) -> set[str]:
    return {key for key, row in zone(hand).items() if row["comment"] == MARK}


def exports(smos: Instance) -> list[dict[str, Any]]:
    """What was kept of the zone, the oldest first."""
    files = sorted((smos.state / "zones" / "sandbox").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(path.read_text()) for path in files]


def wish(smos: Instance, old: str, new: str) -> None:
    """Change the wish in the specs."""
    path = smos.specs / "infra" / "dns.yml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.timeout(1800)
def test_the_zone_becomes_as_the_specs_say_once(smos: Instance) -> None:
    smos.up()
    hand = ByHand(smos)
    before = zone(hand)
    seen = smos.seen()
    foretold = play(smos, "--check", "--diff")
    assert (foretold.code, smos.writes(seen), exports(smos)) == (0, [], []), foretold
    assert f"DNS A n8n.{ZONE}" in foretold.out
    text = (smos.specs / "infra" / "dns.yml").read_text()
    start, end = text.index("mail:\n"), text.index("# Let's Encrypt")
    (smos.specs / "infra" / "dns.yml").write_text(text[:start] + MAIL + "\n" + text[end:])
    first = play(smos)
    assert first.code == 0, first
    made = zone(hand)
    for key in (
        f"A {ZONE} 203.0.113.10",
        f"A *.{ZONE} 203.0.113.10",
        f"CNAME docs.{ZONE} cname.vercel-dns.com",
        f'TXT mail.{ZONE} "v=spf1 ip4:203.0.113.10 ip6:2001:db8::10 include:spf.mail.example.com -all"',
        f"CNAME mail2026._domainkey.{ZONE} mail2026.dkim.mail.example.com",
        f'TXT _dmarc.{ZONE} "v=DMARC1; p=quarantine; rua=mailto:ana@example.com"',
        f'CAA {ZONE} 0 issue "letsencrypt.org"',
    ):
        assert made[key]["comment"] == MARK, key
    assert {key: made[key] for key in before} == before, "records made by hand are as they were"
    (kept,) = exports(smos)
    assert {row["id"]: row for row in kept["records"]} == {row["id"]: row for row in before.values()}
    seen = smos.seen()
    second = play(smos)
    assert (second.code, smos.writes(seen), len(exports(smos))) == (0, [], 1), second
    assert "changed=0" in second.out
    by_hand = hand.record(f"traefik.{ZONE}")
    hand.cloudflare("PATCH", f"dns_records/{by_hand['id']}", {"content": "192.0.2.99"})
    wish(smos, "  - {type: A, name: portainer, host: vps, proxied: true}\n", "")
    tenants = {"type": "CNAME", "name": "acme", "content": f"app.{ZONE}", "ttl": 1, "comment": "smarteros:12345678-5"}
    hand.cloudflare("POST", "dns_records", tenants)
    third = play(smos)
    assert third.code == 0, third
    after = zone(hand)
    assert f"A traefik.{ZONE} 203.0.113.10" in after
    assert not any(f" portainer.{ZONE} " in key for key in after)
    assert after[f"CNAME acme.{ZONE} app.{ZONE}"]["comment"] == "smarteros:12345678-5"
    assert set(before) <= set(after)
    assert len(exports(smos)) == 2


@pytest.mark.timeout(1800)
def test_records_made_by_hand_are_refused_until_they_are_adopted(smos: Instance) -> None:
    smos.up()
    hand = ByHand(smos)
    for body in (
        {"type": "A", "name": "n8n", "content": "203.0.113.10", "proxied": True, "comment": "by Ana"},
        {"type": "A", "name": "@", "content": "192.0.2.7", "ttl": 300},
        {"type": "TXT", "name": "_dmarc", "content": "v=DMARC1; p=reject", "ttl": 1},
    ):
        hand.cloudflare("POST", "dns_records", {"ttl": 1, **body})
    before, seen = zone(hand), smos.seen()
    refused = play(smos)
    assert (refused.code, smos.writes(seen), exports(smos), smos.locks()) == (2, [], [], []), refused
    for words in ("there is A 192.0.2.7, wanted is A 203.0.113.10 (proxied)", f"DNS A n8n.{ZONE}", "two DMARC records"):
        assert words in refused.out, refused
    assert zone(hand) == before
    adopted = play(smos, "-e", "zone_adopt=true")
    assert adopted.code == 0, adopted
    after = zone(hand)
    assert after[f"A n8n.{ZONE} 203.0.113.10"]["comment"] == f"by Ana {MARK}"
    assert after[f"A {ZONE} 203.0.113.10"]["comment"] == MARK
    assert after[f'TXT _dmarc.{ZONE} "v=DMARC1; p=none"']["comment"] == MARK
    assert not any("192.0.2.7" in key for key in after)
    again = play(smos)
    assert (again.code, "changed=0" in again.out) == (0, True), again
    # What was there is made again out of the file, as docs/dns.md shows
    (kept,) = exports(smos)
    (old,) = [row for row in kept["records"] if row["content"] == "192.0.2.7"]
    fields = ("type", "name", "content", "ttl", "proxied", "comment")
    id_now = after[f"A {ZONE} 203.0.113.10"]["id"]
    body = {"deletes": [{"id": id_now}], "posts": [{key: old[key] for key in fields if old[key] is not None}]}
    hand.cloudflare("POST", "dns_records/batch", body)
    assert f"A {ZONE} 192.0.2.7" in zone(hand)


@pytest.mark.timeout(1800)
def test_what_cannot_be_done_is_refused_before_anything_is_touched(smos: Instance) -> None:
    smos.up()
    seen = smos.seen()
    lacking = play(smos, "-e", '{"zone_addresses": {}}')
    assert lacking.code == 2, lacking
    assert "A n8n has no address for vps" in lacking.out, lacking
    assert "infra/dns.yml" in lacking.out
    wish(smos, "provider: cloudflare", "provider: hostinger")
    abroad = play(smos)
    assert (abroad.code, "the zone's provider is hostinger" in abroad.out) == (2, True), abroad
    wish(smos, "provider: hostinger", "provider: cloudflare")
    wrong = play(smos, SMOS_SANDBOX_CLOUDFLARE_TOKEN="wrong")
    elsewhere = play(smos, "-e", "cloudflare_zone=example.org")
    reading = play(smos, "-e", "cloudflare_token=sandbox-cloudflare-limited")
    for done, words in ((wrong, "Authentication error"), (elsewhere, "no zone example.org"), (reading, "DNS Write")):
        assert done.code == 2, done
        assert words in done.out, done
        assert re.search('exit_code"?: 3', done.out), done
    store = locks.Locks(smos.registry, "sandbox")
    store.acquire(["zone"], "20261122-050000-abcd", "zone", os.getpid())
    busy = play(smos)
    assert (busy.code, "20261122-050000-abcd" in busy.out) == (2, True), busy
    store.release("20261122-050000-abcd")
    assert (smos.writes(seen), exports(smos), smos.locks()) == ([], [], [])
