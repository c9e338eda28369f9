# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos sync workflows` against the sandbox's n8n, and `smos sync specs` between two clones and their remote."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import locks
from support.instance import ACME, Done, Instance, instance
from support.sandbox_api import ByHand

PLANTED = "shpat_0123456789abcdef0123456789abcdef"
WHO = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ana",
    "GIT_AUTHOR_EMAIL": "ana@example.com",
    "GIT_COMMITTER_NAME": "Ana",
    "GIT_COMMITTER_EMAIL": "ana@example.com",
}


@pytest.fixture
def smos(tmp_path: Path) -> Iterator[Instance]:
    """An instance whose specs are a checkout with one commit."""
    with instance(tmp_path / "smos", **WHO) as made:
        git(made, "init", "--quiet", "--initial-branch=main")
        git(made, "add", "--all")
        git(made, "commit", "--quiet", "--message", "chore(specs): begin")
        yield made


def git(smos: Instance, *words: str, folder: Path | None = None) -> str:
    line = ["git", "-C", str(folder or smos.specs), *words]
    done = subprocess.run(line, env=smos.variables, capture_output=True, text=True)
    assert done.returncode == 0, done
    return done.stdout.strip()


def report(name: str, path: str, **parameters: Any) -> dict[str, Any]:
    """A workflow that a person makes: a webhook, and a request with a header."""
    hook = {"httpMethod": "POST", "path": path, "responseMode": "onReceived", "options": {}}
    nodes = [
        {"name": "Ask", "type": "n8n-nodes-base.httpRequest", "typeVersion": 4, "position": [200.0, 0], "id": "b"},
        {"name": "Begin", "type": "n8n-nodes-base.webhook", "typeVersion": 2, "position": [0, 0], "id": "a"},
    ]
    nodes[0]["parameters"] = {"url": "https://example.com", "options": {}, **parameters}
    nodes[0]["credentials"] = {"httpBasicAuth": {"id": "17", "name": "The shop's"}}
    nodes[1] |= {"parameters": hook, "webhookId": f"hook-{path}"}
    wires = {"Begin": {"main": [[{"node": "Ask", "type": "main", "index": 0}]]}}
    return {"name": name, "nodes": nodes, "connections": wires, "settings": {"executionOrder": "v1"}}


def sync(smos: Instance, *words: str, **environment: Any) -> Done:
    return smos.run("sync", "workflows", "--json", *words, **environment)


def test_workflows_go_to_git_and_back(smos: Instance) -> None:
    smos.up()
    by_hand = ByHand(smos)
    secret = {"headerParameters": {"parameters": [{"name": "Authorization", "value": f"Bearer {PLANTED}"}]}}
    made = by_hand.n8n("POST", "workflows", report("Daily report", "daily", **secret))
    by_hand.n8n("POST", f"workflows/{made['id']}/activate")
    tag = by_hand.n8n("POST", "tags", {"name": "smarteros"})
    by_hand.n8n("PUT", f"workflows/{made['id']}/tags", [{"id": tag["id"]}])
    file = smos.specs / "workflows" / "live" / "daily-report.json"

    foretold = sync(smos, "--check", "--diff")
    assert (foretold.code, file.exists()) == (0, False), foretold
    first = sync(smos)
    assert first.code == 0, first
    assert first.result["changes"] == foretold.result["changes"]
    assert first.result["message"] == "feat(workflows): add daily-report from n8n of sandbox"
    assert git(smos, "log", "-1", "--format=%s") == first.result["message"]
    assert git(smos, "status", "--porcelain", "--", "workflows") == ""
    (masked,) = first.result["masked"]
    assert masked["where"] == "Ask: headerParameters.parameters.0.value"
    kept = json.loads(file.read_text())
    assert [node["name"] for node in kept["nodes"]] == ["Ask", "Begin"]
    assert kept["nodes"][0]["credentials"] == {"httpBasicAuth": {"name": "The shop's"}}
    assert (kept["active"], kept["tags"]) == (True, ["smarteros"])
    assert not {"id", "versionId", "staticData", "pinData", "createdAt", "meta"} & {*kept, *kept["nodes"][0]}
    everything = first.out + first.err + foretold.out + foretold.err + git(smos, "log", "--patch")
    assert PLANTED not in everything

    second = sync(smos)
    assert (second.code, second.document["changed"], second.result["commit"]) == (0, False, ""), second

    # Only the file changes: it is applied with --push; the secret in n8n stays
    kept["nodes"][0]["parameters"]["url"] = "https://example.org"
    file.write_text(json.dumps(kept, indent=2) + "\n")
    pushed = sync(smos, "--push")
    assert pushed.code == 0, pushed
    assert [change["what"] for change in pushed.result["changes"]] == ["workflow Daily report"]
    there = by_hand.workflow("Daily report")
    asks = {node["name"]: node for node in there["nodes"]}["Ask"]
    assert asks["parameters"]["url"] == "https://example.org"
    assert PLANTED in json.dumps(asks)
    assert asks["credentials"]["httpBasicAuth"]["id"] == "17"
    assert git(smos, "log", "-1", "--format=%s") == "chore(workflows): push daily-report to n8n of sandbox"

    # Both change: told, and nothing is overwritten until a person decides
    kept["nodes"][0]["parameters"]["url"] = "https://file.example.org"
    file.write_text(json.dumps(kept, indent=2) + "\n")
    changed = {key: there[key] for key in ("nodes", "connections", "settings")} | {"name": "Morning report"}
    by_hand.n8n("PUT", f"workflows/{there['id']}", changed)
    for words in ((), ("--push",)):
        clash = sync(smos, *words)
        assert clash.code == 1, clash
        assert "both changed" in clash.why
        assert "--resolve daily-report=n8n" in clash.why
    assert json.loads(file.read_text()) == kept
    assert by_hand.workflow("report")["name"] == "Morning report"
    decided = sync(smos, "--resolve", "daily-report=n8n")
    assert decided.code == 0, decided
    assert json.loads(file.read_text())["name"] == "Morning report"


def test_what_was_wiped_is_made_again_and_what_is_not_ours_is_left(smos: Instance) -> None:
    smos.up()
    by_hand = ByHand(smos)
    plain = report("Night report", "night")
    del plain["nodes"][0]["credentials"]
    made = by_hand.n8n("POST", "workflows", plain)
    by_hand.n8n("POST", f"workflows/{made['id']}/activate")
    other = {**report("Caller", "call"), "settings": {"executionOrder": "v1", "errorWorkflow": made["id"]}}
    del other["nodes"][0]["credentials"]
    called = by_hand.n8n("POST", "workflows", other)
    assert sync(smos).code == 0
    caller = smos.specs / "workflows" / "live" / "caller.json"
    assert json.loads(caller.read_text())["settings"]["errorWorkflow"] == "workflow:Night report"

    # Another run is at it: refused before anything is read
    store = locks.Locks(smos.registry, "sandbox")
    store.acquire(["workflows"], "20261122-050000-abcd", "sync workflows", os.getpid())
    busy = sync(smos)
    assert busy.code == 4, busy
    assert "20261122-050000-abcd" in busy.why
    store.release("20261122-050000-abcd")

    # No mark, neither there nor in the file: refused
    night = smos.specs / "workflows" / "live" / "night-report.json"
    text = night.read_text()
    night.write_text(text.replace("https://example.com", "https://example.org"))
    refused = sync(smos, "--push")
    assert refused.code == 1, refused
    assert "does not bear our mark" in refused.why
    night.write_text(text)

    for ident in (made["id"], called["id"]):
        by_hand.n8n("DELETE", f"workflows/{ident}")
    gone = sync(smos)
    assert (gone.code, gone.result["states"]) == (0, {"gone_from_n8n": ["caller", "night-report"]}), gone
    back = sync(smos, "--push")
    assert back.code == 0, back
    new, again = by_hand.workflow("Night report"), by_hand.workflow("Caller")
    assert (new["active"], again["active"]) == (True, False)
    assert again["settings"]["errorWorkflow"] == new["id"] != made["id"]
    hook = next(node for node in new["nodes"] if node["name"] == "Begin")
    assert hook["webhookId"] == "hook-night"
    still = sync(smos)
    assert (still.code, still.document["changed"]) == (0, False), still


def test_copies_of_templates_get_no_file_and_deviations_are_told(smos: Instance) -> None:
    assert smos.create(ACME, "--without", "odoo").code == 0
    by_hand = ByHand(smos)
    first = sync(smos)
    assert first.code == 0, first
    assert first.result["copies"] == {"chatwoot-router": 1, "contacts-to-odoo": 1, "shopify-orders": 1}
    assert first.result["deviations"] == []
    assert not list((smos.specs / "workflows" / "live").glob("[a-z]*.json"))
    found = by_hand.workflow("Contacts to Odoo")
    for node in found["nodes"]:
        if node["name"] == "Refuse":
            node["parameters"]["options"]["responseCode"] = 400
    body = {key: found[key] for key in ("name", "nodes", "connections", "settings")}
    by_hand.n8n("PUT", f"workflows/{found['id']}", body)
    by_playbook = smos.play("sync_workflows.yml", "--check")
    assert by_playbook.code == 0, by_playbook
    assert "is not as the template contacts-to-odoo says: node Refuse" in by_playbook.out + by_playbook.err
    stranger = sync(smos, SMOS_SANDBOX_N8N_TOKEN="wrong")
    assert stranger.code == 3, stranger
    told = sync(smos)
    assert told.code == 0, told
    (row,) = told.result["deviations"]
    assert (row["tenant"], row["template"], row["differs"]) == (ACME.rut, "contacts-to-odoo", ["node Refuse"])


def specs(smos: Instance, *words: str, **environment: Any) -> Done:
    return smos.run("sync", "specs", "--json", *words, **environment)


def test_specs_are_committed_scanned_and_kept_here_without_a_remote(smos: Instance) -> None:
    smos.add_files([ACME])
    (smos.specs.parent / "beside.txt").write_text("not ours")
    foretold = specs(smos, "--check")
    assert (foretold.code, git(smos, "log", "--format=%s")) == (0, "chore(specs): begin"), foretold
    done = specs(smos)
    assert done.code == 0, done
    assert done.result["message"] == "feat(tenants): add acme (starter)"
    assert done.result["changes"] == foretold.result["changes"]
    assert (done.result["pushed"], done.result["commit"]) == (False, git(smos, "rev-parse", "HEAD"))
    assert "no remote" in done.result["notes"][0]
    assert (specs(smos).document["changed"], git(smos, "status", "--porcelain")) == (False, "")

    notes = smos.specs / "messages" / "README.md"
    before, head = notes.read_text(), git(smos, "rev-parse", "HEAD")
    for planted in (PLANTED, "a-value-of-this-environment"):
        notes.write_text(f"{before}\nuse {planted} here\n")
        refused = specs(smos, ODOO_TOKEN="a-value-of-this-environment")
        assert refused.code == 4, refused
        line = len(before.splitlines()) + 2
        assert refused.document["errors"][0]["where"] == f"messages/README.md:{line}"
        assert planted not in refused.out + refused.err
    notes.write_text(f"{before}\n<<<<<<< HEAD\n")
    unended = specs(smos)
    assert unended.code == 2, unended
    assert unended.document["errors"][0]["where"] == f"messages/README.md:{len(before.splitlines()) + 2}"
    assert (notes.read_text(), git(smos, "rev-parse", "HEAD")) == (f"{before}\n<<<<<<< HEAD\n", head)
    notes.write_text(before)
    file = smos.registry / f"{ACME.rut}.yml"
    file.write_text(file.read_text().replace("plan: starter", "plan: golden"))
    invalid = specs(smos)
    assert (invalid.code, git(smos, "rev-parse", "HEAD")) == (2, head), invalid
    git(smos, "checkout", "--quiet", "--", ".")
    git(smos, "checkout", "--quiet", "--detach")
    detached = specs(smos)
    assert detached.code == 3, detached
    assert "detached HEAD" in detached.why
    assert "git switch" in detached.document["errors"][0]["next"]
    git(smos, "switch", "--quiet", "main")
    nobody = specs(smos, GIT_AUTHOR_NAME="", GIT_AUTHOR_EMAIL="", GIT_COMMITTER_NAME="", GIT_COMMITTER_EMAIL="")
    assert nobody.code == 3, nobody
    assert "git config --global user.name" in nobody.document["errors"][0]["next"]
    (smos.specs / ".git").rename(smos.home / "git")
    nowhere = specs(smos)
    assert nowhere.code == 3, nowhere
    assert "init" in nowhere.document["errors"][0]["next"]


def test_two_clones_sync_at_once_and_a_conflict_is_taken_back(smos: Instance, tmp_path: Path) -> None:
    remote, other = tmp_path / "remote.git", tmp_path / "other"
    git(smos, "init", "--quiet", "--bare", "--initial-branch=main", str(remote))
    git(smos, "remote", "add", "origin", str(remote))
    first = specs(smos)
    assert (first.code, first.result["pushed"]) == (0, True), first
    git(smos, "clone", "--quiet", str(remote), str(other), folder=tmp_path)

    smos.add_files([ACME])
    text = (smos.registry / f"{ACME.rut}.yml").read_text()
    (other / "bots" / "README.md").write_text("# Ours\n")
    running = [smos.start("sync", "specs", "--json"), smos.start("sync", "specs", "--json", "--specs", str(other))]
    ended = [(*each.communicate(timeout=600), each.returncode) for each in running]
    assert [code for _out, _err, code in ended] == [0, 0], ended
    assert all(json.loads(out)["result"]["pushed"] for out, _err, _code in ended)
    log = git(smos, "log", "--format=%s", "main", folder=remote).splitlines()
    assert sorted(log[:2]) == ["chore(bots): update README.md", "feat(tenants): add acme (starter)"]

    assert specs(smos).code == 0
    assert specs(smos, "--specs", str(other)).code == 0
    (smos.registry / f"{ACME.rut}.yml").write_text(text.replace("plan: starter", "plan: professional"))
    assert specs(smos).result["message"] == "feat(tenants): move acme from starter to professional"
    theirs = other / "tenants" / "registry" / f"{ACME.rut}.yml"
    theirs.write_text(text.replace("plan: starter", "plan: enterprise"))
    clash = specs(smos, "--specs", str(other))
    assert clash.code == 1, clash
    (row,) = clash.document["errors"]
    assert row["where"] == f"tenants/registry/{ACME.rut}.yml"
    assert "git rebase --continue" in row["next"]
    assert theirs.read_text() == text.replace("plan: starter", "plan: enterprise")
    assert git(smos, "status", "--porcelain", folder=other) == ""
    assert git(smos, "rev-parse", "HEAD", folder=other) == clash.result["commit"]
    assert not clash.result["pushed"]
