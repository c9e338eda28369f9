"""Providers that fail: answers that never come, refusals, resets, on everything. All is there once, nothing twice."""

from __future__ import annotations

import pytest

from smos.sandbox import server
from support.instance import Instance, shop

TRIES = 3


def completed(smos: Instance, *words: str) -> int:
    """Run the command until it ends with 0, and give how many times that took."""
    for turn in range(1, TRIES + 1):
        done = smos.run(*words, "--json")
        assert done.code in (0, 1), done
        if done.code == 0:
            return turn
    raise AssertionError(f"not completed in {TRIES} tries: {done}")


def operations(smos: Instance) -> list[str]:
    """Every writing operation that creating a first tenant takes, in order, as `provider operation`."""
    smos.up()
    done = smos.create(shop(0))
    assert done.code == 0, done
    return list(dict.fromkeys(smos.writes()))


def test_an_answer_that_never_comes_makes_nothing_twice(smos: Instance) -> None:
    """Of every write, the first is carried out and its answer lost, once for a new tenant each."""
    known = operations(smos)
    print(f"{len(known)} operations: {', '.join(known)}")
    assert {each.split()[0] for each in known} == {"odoo", "chatwoot", "n8n", "cloudflare"}
    assert sum("create" in each or "batch" in each for each in known) >= 8
    shops = [shop(0)]
    for number, each in enumerate(known, start=1):
        provider, operation = each.split()
        tenant = shop(number)
        shops.append(tenant)
        server.fault(smos.sandbox, provider=provider, operation=operation, kind="timeout_after_commit", seconds=0.3)
        turns = completed(smos, "create", "tenant", *tenant.words)
        (rule,) = server.faults(smos.sandbox)
        server.clear_faults(smos.sandbox)
        print(f"{each}: lost {rule['fired']}, completed in run {turns}")
        assert smos.inventory().wrong(one.rut for one in shops) == [], each
    assert smos.run("plan", "--exit-code").code == 0


def test_an_answer_slower_than_the_time_out_makes_nothing_twice(smos: Instance) -> None:
    """The same with a connection that stays open and silent: our own time-out ends it."""
    smos.up()
    short = "{" + ", ".join(f'"{provider}_timeout": 1.5' for provider in server.BASES) + "}"
    for provider, operation in (
        ("chatwoot", "platform.accounts.create"),
        ("n8n", "workflows.create"),
        ("odoo", "res.company.create"),
    ):
        server.fault(smos.sandbox, provider=provider, operation=operation, kind="timeout_after_commit", seconds=60)
    completed(smos, "create", "tenant", *shop(1).words, "-e", short)
    assert [rule["fired"] for rule in server.faults(smos.sandbox)] == [1, 1, 1]
    assert smos.inventory().wrong([shop(1).rut]) == []


@pytest.mark.parametrize("seconds", [0.2])
def test_lost_answers_while_many_tenants_are_made_at_once_make_nothing_twice(smos: Instance, seconds: float) -> None:
    smos.up()
    shops = [shop(number) for number in range(12)]
    smos.add_files(shops)
    for provider in server.BASES:
        for operation in ("*create*", "*batch*"):
            server.fault(
                smos.sandbox,
                provider=provider,
                operation=operation,
                kind="timeout_after_commit",
                seconds=seconds,
                every=3,
                times=8,
            )
    turns = completed(smos, "tenant", "apply")
    print(f"completed in run {turns}; lost: {sum(rule['fired'] for rule in server.faults(smos.sandbox))}")
    assert smos.inventory().wrong(each.rut for each in shops) == []


def test_refusals_and_resets_of_everything_are_lived_through(smos: Instance) -> None:
    smos.up()
    shops = [shop(number) for number in range(10)]
    smos.add_files(shops)
    for kind, every in (("429", 17), ("500", 11), ("reset", 13)):
        server.fault(smos.sandbox, kind=kind, every=every, times="always")
    turns = completed(smos, "tenant", "apply")
    fired = [rule["fired"] for rule in server.faults(smos.sandbox)]
    print(f"completed in run {turns}; faults: {fired}")
    assert all(fired)
    server.clear_faults(smos.sandbox)
    assert set(smos.phases().values()) == {"active"}
    assert smos.inventory().wrong(each.rut for each in shops) == []
    assert smos.run("plan", "--exit-code").code == 0


def test_a_refusal_with_retry_after_is_waited_for(smos: Instance) -> None:
    smos.up()
    for provider in server.BASES:
        server.fault(smos.sandbox, provider=provider, kind="429", retry_after=1, times=1, after=4)
    done = smos.create(shop(1))
    assert done.code == 0, done
    assert [rule["fired"] for rule in server.faults(smos.sandbox)] == [1, 1, 1, 1]
    assert smos.inventory().wrong([shop(1).rut]) == []
