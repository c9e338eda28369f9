"""Providers that fail: answers that never come, refusals, resets, on everything. All is there once, nothing twice."""

from __future__ import annotations

import json

import pytest
import yaml

from smos.sandbox import server
from support.instance import SERVICES, Done, Instance, Shop, shop
from support.phases import HELD, off
from support.providers import COMPLETE

TRIES = 4
Operations = list[str]
"""`provider operation`, each once, in the order of a run."""


def completed(smos: Instance, *words: str) -> int:
    """Run the command until it ends with 0, and give how many times that took."""
    for turn in range(1, TRIES + 1):
        done = smos.run(*words, "--json")
        assert done.code in (0, 1), done
        if done.code == 0:
            return turn
        print(f"run {turn}: {done.why}")
    raise AssertionError(f"not completed in {TRIES} tries: {done}")


def written(smos: Instance, *words: str) -> Operations:
    """Every writing operation that a command takes."""
    before = smos.seen()
    done = smos.run(*words, "--json")
    assert done.code == 0, done
    return list(dict.fromkeys(smos.writes(before)))


def survived(smos: Instance, known: Operations, *words: str) -> None:
    """Of every one of these operations the first and the third answer is lost, in one run; the command completes it."""
    for each in known:
        provider, operation = each.split()
        for after in (0, 1):  # the second rule does not see what the first one hits: 0 is the first call, 1 the third
            server.fault(
                smos.sandbox,
                provider=provider,
                operation=operation,
                kind="timeout_after_commit",
                seconds=0.1,
                after=after,
            )
    turns = completed(smos, *words)
    rules = server.faults(smos.sandbox)
    server.clear_faults(smos.sandbox)
    fired = sum(rule["fired"] for rule in rules)
    print(f"{' '.join(words[:2])}: {fired} answers lost of {len(known)} operations, completed in run {turns}")
    spared = [f"{rule['provider']} {rule['operation']}" for rule in rules if not rule["fired"] and not rule["after"]]
    assert spared == [], "operations that did not occur"


@pytest.mark.slow
def test_answers_that_never_come_while_a_tenant_is_made_make_nothing_twice(smos: Instance) -> None:
    """Of all writes that the first tenant of an installation takes, with those that all tenants share."""
    smos.up()
    known = written(smos, "create", "tenant", *shop(0).words)
    print(f"{len(known)} operations: {', '.join(known)}")
    assert {each.split()[0] for each in known} >= {*SERVICES, "smtp"}
    (smos.registry / f"{shop(0).rut}.yml").unlink()
    server.reset(smos.sandbox)
    survived(smos, known, "create", "tenant", *shop(1).words)
    assert smos.inventory().wrong([shop(1).rut]) == []
    assert smos.run("plan", "tenants", "--exit-code").code == 0


@pytest.mark.slow
def test_answers_that_never_come_in_a_tenants_life_do_nothing_twice(smos: Instance) -> None:
    """The same of all that changes, closes, opens and removes: what one tenant takes in peace, of another one is lost."""
    smos.up()
    calm, other = shop(0), shop(1)
    smos.add_files([calm, other])
    assert smos.run("tenant", "apply").code == 0
    phases = {calm.rut: "active", other.rut: "active"}
    dns = "cloudflare dns_records.batch"
    once = "res.partner.category.create"  # the mark of suspended users: made for the first tenant that needs it
    server.fault(smos.sandbox, provider="odoo", operation=once, kind="timeout_after_commit", seconds=0.1)

    def both(phase: str, job: str, *more: str) -> Operations:
        known = [each for each in written(smos, "tenant", job, calm.slug, *more) if once not in each]
        if job == "suspend":
            assert [rule["fired"] for rule in server.faults(smos.sandbox)] == [1]
        survived(smos, known, "tenant", job, other.slug, *more)
        checked(phase, {calm, other})
        return known

    def checked(phase: str, which: set[Shop]) -> None:
        phases.update({each.rut: phase for each in which})
        assert off(smos.inventory(), phases) == []
        assert smos.locks() == []

    closing = both("suspended", "suspend")
    opening = both("active", "resume")
    survived(smos, [*closing, dns], "tenant", "delete", other.slug, "--yes")
    checked("deleted", {other})
    survived(smos, [*opening, dns], "tenant", "restore", other.slug)
    checked("active", {other})
    both("active", "update", "--name", "Another Name")
    both("purged", "delete", "--purge", "--yes")


def test_an_answer_slower_than_the_time_out_makes_nothing_twice(smos: Instance) -> None:
    """The same with a connection that stays open and silent: our own time-out ends it."""
    smos.up()
    short = json.dumps({f"{provider}_timeout": 3 for provider in SERVICES})
    for provider, operation in (
        ("chatwoot", "platform.accounts.create"),
        ("n8n", "workflows.create"),
        ("odoo", "res.company.create"),
    ):
        server.fault(smos.sandbox, provider=provider, operation=operation, kind="timeout_after_commit", seconds=60)
    completed(smos, "create", "tenant", *shop(1).words, "-e", short)
    assert [rule["fired"] for rule in server.faults(smos.sandbox)] == [1, 1, 1]
    assert smos.inventory().wrong([shop(1).rut]) == []


def test_lost_answers_while_many_tenants_are_made_at_once_make_nothing_twice(smos: Instance) -> None:
    smos.up()
    shops = [shop(number) for number in range(12)]
    smos.add_files(shops)
    for provider in SERVICES:
        for operation in ("*create*", "*Create*", "*batch*", "*import*", "*add*", "*upsert*", "*set*"):
            server.fault(
                smos.sandbox,
                provider=provider,
                operation=operation,
                kind="timeout_after_commit",
                seconds=0.2,
                every=3,
                times=8,
            )
    turns = completed(smos, "tenant", "apply")
    lost = sum(rule["fired"] for rule in server.faults(smos.sandbox))
    print(f"completed in run {turns}; lost: {lost}")
    assert lost > 30
    assert off(smos.inventory(), {each.rut: "active" for each in shops}) == []


@pytest.mark.slow
def test_fifty_tenants_become_active_though_one_request_in_twenty_fails_and_one_in_twenty_is_cut_off(
    smos: Instance,
) -> None:
    smos.up()
    shops = [shop(number) for number in range(50)]
    smos.add_files(shops)
    for kind, every in (("429", 79), ("500", 41), ("503", 43), ("reset", 18)):
        server.fault(smos.sandbox, kind=kind, every=every, times="always", retry_after=0 if kind == "429" else None)
    before = smos.seen()
    turns = completed(smos, "tenant", "apply")
    sent = smos.seen() - before
    limited, *errors, resets = [rule["fired"] / sent for rule in server.faults(smos.sandbox)]
    server.clear_faults(smos.sandbox)
    print(
        f"completed in run {turns}; of {sent} requests {sum(errors):.1%} errors, {limited:.1%} 429, {resets:.1%} cut off"
    )
    assert sum(errors) > 0.04
    assert resets > 0.04
    assert set(smos.phases().values()) == {"active"}
    assert off(smos.inventory(), {each.rut: "active" for each in shops}) == []
    left = smos.run("tenant", "apply", "--json")  # a message that was refused for the moment is sent by the next run
    assert left.code == 0, left
    assert {write.split()[0] for write in smos.writes(before + sent)} <= {"smtp", "whatsapp"}
    assert smos.run("plan", "tenants", "--exit-code").code == 0


def test_a_refusal_with_retry_after_is_waited_for(smos: Instance) -> None:
    smos.up()
    for provider in SERVICES:
        server.fault(smos.sandbox, provider=provider, kind="429", retry_after=1, times=1, after=3)
    done = smos.create(shop(1))
    assert done.code == 0, done
    fired = {rule["provider"] for rule in server.faults(smos.sandbox) if rule["fired"]}
    assert fired >= {*SERVICES} - {"whatsapp"}, "whatsapp is asked less than four times"
    assert smos.inventory().wrong([shop(1).rut]) == []


FAILING = (
    ("suspend", "suspended", (("odoo", "res.users.write"), ("n8n", "workflows.deactivate"))),
    ("delete", "deleted", (("cloudflare", "dns_records.batch"), ("supabase", "rows.update"))),
)
"""Job, the phase that it leads to, and which providers refuse what meanwhile."""


def services_of(done: Done) -> dict[str, str]:
    return {name: each["state"] for name, each in done.result["tenant"]["services"].items()}


def reason(smos: Instance, tenant: Shop) -> str:
    """Why the tenant is failed, as its file says it."""
    text: str = yaml.safe_load((smos.registry / f"{tenant.rut}.yml").read_text())["status"]["sandbox"]["reason"]
    return text


@pytest.mark.slow
def test_services_that_cannot_be_closed_leave_no_other_one_open(smos: Instance) -> None:
    """The tenant is failed with the reason, whatever the run could close is closed, the same command closes the rest."""
    smos.up()
    shops = [shop(number) for number, _each in enumerate(FAILING)]
    smos.add_files(shops)
    assert smos.run("tenant", "apply").code == 0
    phases = {each.rut: "active" for each in shops}
    for tenant, (job, phase, refusals) in zip(shops, FAILING, strict=True):
        words = ("tenant", job, tenant.slug, "--yes", "--json")
        for provider, operation in refusals:
            server.fault(smos.sandbox, provider=provider, operation=operation, kind="400", times="always")
        done = smos.run(*words)
        server.clear_faults(smos.sandbox)
        assert done.code == 1, done
        assert done.result["tenant"]["phase"] == "failed", done
        states = services_of(done)
        failed = {provider for provider, _operation in refusals}
        assert {name for name, state in states.items() if state == "failed"} == failed, done
        assert all(f"{provider}: " in reason(smos, tenant) for provider in failed), done
        halfway = smos.inventory().tenants[tenant.rut]
        kinds = [kind for kind in COMPLETE if kind.partition(" ")[0] not in failed | {"welcome"}]
        assert {kind: halfway[kind] for kind in kinds} == {kind: HELD[phase][kind] for kind in kinds}
        done = smos.run(*words)
        assert done.code == 0, done
        phases[tenant.rut] = phase
        assert off(smos.inventory(), phases) == []
    assert smos.locks() == []
