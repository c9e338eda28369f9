# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos plan` and `smos deploy all` through the real command, on a sandbox without a machine."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from typing import Any

import pytest

from smos import deploy_journal
from smos.sandbox import server
from support.instance import PATIENCE_S, Done, Instance, shop
from support.stages import messages, states

RUN = ("dns", "migrations", "frontend", "tenants")  # the stages that need no machine
AWAY = ("backup", "backend", "health")
# A write of each stage, which a fault hits
WRITES = (
    ("dns", "cloudflare", "zones.settings.edit"),
    ("migrations", "supabase", "buckets.create"),
    ("frontend", "vercel", "deployments.create"),
    ("tenants", "odoo", "*create*"),
)
WRONG = "a-token-that-nobody-knows"

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def alone(smos: Instance) -> Instance:
    """An instance without tenants, whose sandbox cannot have a machine."""
    smos.environment["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    smos.up()
    return smos


def deploy(smos: Instance, *words: str, **environment: Any) -> Done:
    return smos.run("deploy", "all", "--json", *words, **environment)


def record(smos: Instance, done: Done) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(smos.run("history", done.document["run"], "--json").out)["result"]["run"]
    return found


def journal(smos: Instance) -> dict[str, Any]:
    """The newest entry; empty before the first."""
    path = smos.state / "deploys" / "sandbox.json"
    return dict(json.loads(path.read_text())[-1]) if path.is_file() else {}


def edited(smos: Instance, file: str, old: str, new: str) -> None:
    path = smos.specs / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_what_is_planned_is_what_is_done_and_the_second_run_does_nothing(alone: Instance) -> None:
    alone.add_files([shop(0)])
    plan = alone.run("plan", "--json", "--exit-code")
    assert plan.code == 10, plan
    assert {name for name, state in states(plan).items() if state == "pending"} == {*RUN}
    assert (states(plan)["backend"], "smos sandbox up --vps" in messages(plan)["backend"]) == ("unavailable", True)
    zone = alone.run("plan", "dns", "--json").result["changes"]
    assert zone == plan.result["changes"][: len(zone)] != []
    assert alone.writes() == []

    first = deploy(alone)
    assert first.code == 0, first
    assert states(first) == {
        "preflight": "done",
        **dict.fromkeys(AWAY, "unavailable"),
        **dict.fromkeys(RUN, "done"),
    } | {"notice": "nothing to do"}
    assert record(alone, first)["changes"] == plan.result["changes"]
    assert (first.result["release"], first.result["backup"]) == ("0.2.0", None)
    assert first.result["services"]["docs"]["state"] == "ready"
    assert set(alone.phases().values()) == {"active"}

    seen, files = alone.seen(), alone.registered()
    second = deploy(alone)
    assert (second.code, second.document["changed"], alone.writes(seen)) == (0, False, []), second
    assert (alone.registered(), alone.locks()) == (files, [])
    assert {states(second)[name] for name in RUN} == {"nothing to do"}
    after = alone.run("plan", "frontend", "--exit-code")
    assert (after.code, "nothing to change" in after.out, "\x1b" in after.out) == (0, True, False), after


def test_a_stage_that_fails_stops_the_deploy_and_the_same_command_goes_on_there(alone: Instance) -> None:
    for place, (stage, provider, operation) in enumerate(WRITES):
        if stage == "tenants":
            alone.add_files([shop(0)])  # other specs: all stages are judged anew
        server.fault(alone.sandbox, provider=provider, operation=operation, kind="500", times="always")
        failed = deploy(alone)
        assert (failed.code, states(failed)[stage], bool(failed.document["errors"])) == (1, "failed", True), failed
        assert {states(failed)[later] for later in RUN[place + 1 :]} <= {"not run"}, failed
        assert {states(failed)[earlier] for earlier in RUN[:place]} <= {"done", "nothing to do"}, failed
        if stage in ("migrations", "frontend"):
            assert messages(failed)["dns"].startswith("done in run ") == (stage == "frontend"), failed
        server.clear_faults(alone.sandbox)
    assert record(alone, failed)["state"] == "failed"
    last = deploy(alone)
    assert last.code == 0, last
    assert {messages(last)[name] for name in RUN[:-1]} == {f"done in run {failed.document['run']}"}
    assert (states(last)["tenants"], set(alone.phases().values())) == ("done", {"active"})


def test_a_deploy_that_is_cut_off_goes_on_where_it_was(alone: Instance) -> None:
    hangs: dict[str, Any] = {"operation": "deployments.create", "kind": "timeout_before", "seconds": 600}
    server.fault(alone.sandbox, provider="vercel", times="always", **hangs)
    runs: list[dict[str, Any]] = []
    for end in (signal.SIGKILL, signal.SIGINT):
        process = alone.start("deploy", "all", "--json")
        wait_for_fault(alone, process, runs[-1]["run"] if runs else "")
        runs.append(journal(alone))
        process.send_signal(end)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, (out, err)
    told = json.loads(out)
    assert {row["stage"]: row["state"] for row in told["result"]["stages"]}["frontend"] == "stopped"
    assert told["result"]["stages"][2]["message"] == f"done in run {runs[0]['run']}"
    kept = [row["state"] for row in json.loads(alone.run("history", "--json").out)["result"]["runs"]]
    assert kept == ["interrupted", "died"]
    server.clear_faults(alone.sandbox)
    last = deploy(alone)
    assert (last.code, messages(last)["dns"]) == (0, f"done in run {runs[0]['run']}"), last
    assert (alone.locks(), list((alone.state / "running").iterdir())) == ([], [])


def wait_for_fault(smos: Instance, process: subprocess.Popen[str], before: str) -> None:
    """Until a run after ``before`` is at its frontends, and one of its requests hangs."""
    fired = server.faults(smos.sandbox)[0]["fired"] if before else 0
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        entry = journal(smos)
        if entry.get("run", before) != before and server.faults(smos.sandbox)[0]["fired"] > fired:
            assert entry["stages"]["frontend"]["state"] == "running"
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to its frontends")


def test_every_problem_is_told_before_anything_is_touched(alone: Instance) -> None:
    seen = alone.seen()
    tokens: dict[str, Any] = {"SMOS_SANDBOX_CLOUDFLARE_TOKEN": WRONG, "SMOS_SANDBOX_VERCEL_TOKEN": WRONG}
    unusable = deploy(alone, **tokens)
    assert unusable.code == 3, unusable
    assert (states(unusable)["preflight"], states(unusable)["dns"]) == ("failed", "not run")
    assert all(name in unusable.why.lower() for name in ("cloudflare", "vercel")), unusable
    assert WRONG not in unusable.out + unusable.err
    plan = alone.run("plan", "--json", **tokens)
    assert (plan.code, states(plan)["migrations"], states(plan)["dns"]) == (3, "pending", "failed"), plan
    for words in (["--release", "9.9"], ["--skip", "nope"], ["--limit", "acme"], ["--tags", "x"]):
        assert deploy(alone, *words).code == 2, words
    with deploy_journal.opened(alone.state, "sandbox") as held:
        held.begin("20261123-100000-abcd", {}, "2026-11-23T10:00:00Z")
        busy = deploy(alone)
        assert (busy.code, "20261123-100000-abcd" in busy.why) == (4, True), busy
    edited(alone, "infra/dns.yml", "zone:", "zones:")
    edited(alone, "environments.yml", "rut_policy: warn", "rut_policy: sometimes")
    wrong = deploy(alone)
    assert wrong.code == 2, wrong
    assert all(file in wrong.why for file in ("dns.yml", "environments.yml")), wrong
    assert alone.writes(seen) == []


def test_the_rules_of_the_environment_hold(alone: Instance) -> None:
    edited(alone, "environments.yml", "confirm: false", "confirm: true\n    deploy_notice: true")
    edited(alone, "environments.yml", "backup_before_deploy: false", "backup_before_deploy: true")
    seen = alone.seen()
    nobody = deploy(alone)
    assert (nobody.code, "--yes" in nobody.why, alone.writes(seen)) == (4, True, []), nobody
    assert deploy(alone, "--yes", "--skip", "backup").code == 4
    done = deploy(alone, "--yes", "--skip", "frontend", "--skip", "tenants", "--skip", "migrations")
    assert (done.code, states(done)["frontend"], states(done)["dns"]) == (0, "skipped", "done"), done
    outbox = [str(each) for each in alone.run("sandbox", "outbox", "--json").result["messages"]]
    assert (states(done)["notice"], any(done.document["run"] in each for each in outbox)) == ("done", True), done
    skipped = [word for name in ("migrations", "frontend", "tenants") for word in ("--skip", name)]
    checked = deploy(alone, "--check", *skipped)
    assert (checked.code, states(checked)["dns"], "tenants" in states(checked)) == (0, "nothing to do", False), checked
