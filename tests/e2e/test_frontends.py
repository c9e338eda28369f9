# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos deploy frontend` through the real command, against the sandbox's Vercel."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
import requests

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import locks
from support.instance import ROOT, ZONE, Done, Instance
from support.sandbox_api import ByHand

ALL = ("app", "dash", "mkt", "store", "docs")
KEY = "planted-supabase-key-71c2"


def deploy(smos: Instance, *words: str, **environment: Any) -> Done:
    return smos.run("deploy", "frontend", "--json", *words, **environment)


def page(smos: Instance, name: str) -> str:
    """What a visitor gets."""
    url = (smos.sandbox / "url").read_text().strip()
    return requests.get(f"{url}/vercel/_web/{name}.{ZONE}/", timeout=60).text


def name_ref(smos: Instance, service: str, ref: str) -> None:
    """The release names another ref for a frontend."""
    path = smos.specs / "smos-version.yml"
    lines = path.read_text().splitlines(keepends=True)
    at = next(place for place, line in enumerate(lines) if line.startswith(f"  {service}: v"))
    lines[at] = f"  {service}: {ref}\n"
    path.write_text("".join(lines))


@pytest.mark.timeout(1800)
def test_frontends_are_deployed_once_and_a_bad_ref_leaves_them_alone(smos: Instance) -> None:
    smos.environment["SMOS_SANDBOX_SUPABASE_TOKEN"] = KEY
    smos.up()
    foretold = deploy(smos, "--check")
    assert (foretold.code, smos.writes()) == (0, []), foretold
    first = deploy(smos)
    assert first.code == 0, first
    assert {name: each["state"] for name, each in first.result["services"].items()} == dict.fromkeys(ALL, "ready")
    assert {each["image"].partition("@")[0] for each in first.result["services"].values()} == {"v0.2.0"}
    record = json.loads(smos.run("history", first.document["run"], "--json").out)["result"]["run"]
    assert record["changes"] == foretold.result["changes"]
    assert page(smos, "docs") == "smarteros-docs v0.2.0"
    seen = smos.seen()
    second = deploy(smos)
    assert (second.code, second.document["changed"], smos.writes(seen)) == (0, False, []), second
    everything = first.out + first.err + foretold.out + second.out + json.dumps(record)
    assert KEY not in everything

    name_ref(smos, "docs", "v0.3.0-broken")
    name_ref(smos, "mkt", "v0.3.0")
    failed = deploy(smos)
    docs, mkt = (failed.result["services"][name] for name in ("docs", "mkt"))
    assert (failed.code, docs["state"], docs["changed"], mkt["state"]) == (1, "failed", False, "ready"), failed
    assert docs["image"] == first.result["services"]["docs"]["image"]
    assert 'Error: Command "npm run build" exited with 1' in failed.why
    assert [page(smos, name) for name in ("docs", "mkt")] == ["smarteros-docs v0.2.0", "smarteros-mkt v0.3.0"]

    name_ref(smos, "docs", "v0.3.0-nowhere")
    unknown = deploy(smos)
    assert (unknown.code, unknown.document["changed"]) == (2, False), unknown
    assert "Vercel finds no v0.3.0-nowhere in github:smartercl/docs" in unknown.why
    name_ref(smos, "docs", "v0.2.0")
    by_playbook = smos.play("deploy_frontend.yml", "--check")
    assert by_playbook.code == 0, by_playbook
    assert "changed=0" in by_playbook.out


@pytest.mark.timeout(1800)
def test_the_way_back_is_vercels_own_and_needs_no_value(smos: Instance) -> None:
    smos.up()
    for words in (("--release", "0.1.0", "--service", "docs"), ("--service", "docs", "--service", "mkt")):
        assert deploy(smos, *words).code == 0
    tasks = {"ansible.builtin.include_tasks": str(ROOT / "playbooks" / "tasks" / "frontends_back.yml")}
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "vars": {"frontends_release": "0.1.0"}}
    book = smos.home / "back.yml"
    book.write_text(json.dumps([{**play, "tasks": [tasks]}]))
    seen = smos.seen()
    gone = smos.play(str(book), "-e", "supabase_secret_key=")
    assert gone.code == 0, gone
    assert smos.writes(seen) == ["vercel projects.rollback"]
    # What was never deployed with that release stays
    assert [page(smos, name) for name in ("docs", "mkt")] == ["smarteros-docs v0.1.0", "smarteros-mkt v0.2.0"]
    without = smos.play(str(book), "-e", "vercel_token=")
    assert (without.code, "changed=0" in without.out) == (0, True), without
    forth = deploy(smos, "--service", "docs")
    assert (forth.code, page(smos, "docs")) == (0, "smarteros-docs v0.2.0"), forth


@pytest.mark.timeout(1800)
def test_what_cannot_be_done_is_refused_before_anything_is_touched(smos: Instance) -> None:
    smos.up()
    ByHand(smos).vercel("POST", "v11/projects", {"name": "smarteros-docs"})
    seen = smos.seen()
    theirs = deploy(smos)
    assert (theirs.code, "does not bear our mark" in theirs.why) == (4, True), theirs
    store = locks.Locks(smos.registry, "sandbox")
    store.acquire(["frontends"], "20261122-050000-abcd", "deploy frontend", os.getpid())
    busy = deploy(smos, "--service", "mkt")
    assert (busy.code, "20261122-050000-abcd" in busy.why) == (4, True), busy
    store.release("20261122-050000-abcd")
    for code, words, environment in (
        (2, ("--service", "nope"), {}),
        (2, ("--release", "9.9"), {}),
        (3, ("--service", "mkt"), {"SMOS_SANDBOX_VERCEL_TOKEN": "wrong"}),
    ):
        refused = deploy(smos, *words, **environment)
        assert refused.code == code, refused
        assert refused.document["errors"][0]["next"]
    assert (smos.writes(seen), smos.locks()) == ([], [])
