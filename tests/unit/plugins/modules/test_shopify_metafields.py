"""The promises of shopify_metafields, kept against the sandbox's stores."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.modules import shopify_metafields as module
from unit.plugins.shopify_stores import APP, URL, Sent, Stores, once, wired
from unit.plugins.wire import CUT, LOST, run_module


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    return wired(monkeypatch)


def rut(n: int) -> str:
    return f"{10000000 + n}-5"


def host(n: int) -> str:
    return f"t{n}.myshopify.com"


def item(n: int, plan: str = "starter", **more: Any) -> dict[str, Any]:
    metafields = {"slug": f"t{n}", "plan": plan}
    return {"tenant": rut(n), "slug": f"t{n}", "store": host(n), "metafields": metafields, **more}


def marks(n: int, plan: str = "starter") -> dict[str, str]:
    return {"rut": rut(n), "slug": f"t{n}", "plan": plan}


def run(*items: dict[str, Any], check: bool = False, **more: Any) -> dict[str, Any]:
    return run_module(module, check, **{"url": URL, **APP, "stores": list(items), **more})


def told(answer: dict[str, Any]) -> list[Any]:
    return [(row["state"], row["created"], row["changes"]) for row in answer["results"]]


def test_check_mode_foretells_the_run_and_writes_nothing(stores: Stores) -> None:
    stores.mark(host(1), **marks(1, "old"))
    stores.mark(host(2), **marks(2), more="x")
    stores.mark(host(3), rut="99999999-9")
    situation = (item(0), item(1), item(2, state="absent"), item(3))
    foretold = run(*situation, check=True)
    assert stores.writes == []
    done = run(*situation)
    assert told(foretold) == told(done)
    assert foretold["diff"] == done["diff"]
    assert [row["state"] for row in done["results"]] == ["ready", "ready", "absent", "failed"]
    assert [row["created"] for row in done["results"]] == [True, False, False, False]
    found = [stores.marks(host(n)) for n in range(4)]
    assert found == [marks(0), marks(1), {"more": "x"}, {"rut": "99999999-9"}]


def test_a_second_run_changes_nothing_and_only_reads(stores: Stores) -> None:
    run(item(0))
    stores.sent.clear()
    assert run(item(0))["changed"] is False
    assert stores.operations == ["SmosStore"]


def test_only_what_changed_is_written(stores: Stores) -> None:
    run(item(0))
    stores.sent.clear()
    (change,) = run(item(0, "pro"))["results"][0]["changes"]
    assert change["what"] == f"metafield smarteros.plan of {host(0)}"
    assert (change["before"]["value"], change["after"]["value"]) == ("starter", "pro")
    assert [row["key"] for row in stores.writes[0].json["variables"]["metafields"]] == ["plan"]


def test_what_was_changed_by_hand_is_put_right(stores: Stores) -> None:
    run(item(0))
    stores.mark(host(0), slug="by-hand")
    assert [change["action"] for change in run(item(0))["results"][0]["changes"]] == ["update"]
    assert stores.marks(host(0)) == marks(0)


def test_suspending_leaves_them_and_removing_takes_ours_only(stores: Stores) -> None:
    run(item(0))
    suspended = run(item(0, state="suspended"))
    assert (suspended["changed"], suspended["results"][0]["state"]) == (False, "suspended")
    assert stores.marks(host(0)) == marks(0)
    assert run(item(0, state="absent"))["results"][0]["state"] == "absent"
    assert stores.marks(host(0)) == {}
    assert run(item(0, state="absent"))["changed"] is False
    stores.mark(host(1), rut="99999999-9", slug="t1")
    assert run(item(1, state="absent"))["changed"] is False
    assert stores.marks(host(1)) == {"rut": "99999999-9", "slug": "t1"}


def test_left_overs_are_ours_by_their_slug(stores: Stores) -> None:
    stores.mark(host(0), slug="t0", plan="starter")
    run(item(0, state="absent"))
    assert stores.marks(host(0)) == {}


@pytest.mark.parametrize("trouble", [LOST, CUT])
@pytest.mark.parametrize("operation", ["SmosSetMetafields", "SmosStore"])
def test_an_answer_that_is_lost_changes_nothing_about_the_end(stores: Stores, trouble: str, operation: str) -> None:
    stores.trouble = once(lambda sent: sent.operation == operation, trouble)
    assert run(item(0))["results"][0]["state"] == "ready"
    assert stores.marks(host(0)) == marks(0)


def test_a_store_that_another_run_takes_first_is_not_taken_over(stores: Stores) -> None:
    def meddle(sent: Sent) -> None:
        if sent.writes and not meddled:
            meddled.append(1)
            stores.mark(host(0), rut="99999999-9")

    meddled: list[int] = []
    stores.trouble = meddle
    row = run(item(0))["results"][0]
    assert (row["state"], row["changes"]) == ("failed", [])
    assert "belongs to tenant 99999999-9" in row["error"]["why"]
    assert stores.marks(host(0)) == {"rut": "99999999-9"}


def test_two_tenants_cannot_have_one_store(stores: Stores) -> None:
    answer = run(item(1), item(2, store=host(1)))
    assert [row["state"] for row in answer["results"]] == ["failed", "failed"]
    assert stores.marks(host(1)) == {}


def test_an_empty_metafield_is_left_out(stores: Stores) -> None:
    run(item(0, metafields={"slug": "t0", "plan": "", "more": None}))
    assert stores.marks(host(0)) == {"rut": rut(0), "slug": "t0"}


def test_a_refused_value_fails_its_tenant_and_tells_nothing_as_done(stores: Stores) -> None:
    answer = run(item(0, metafields={"a": "x"}), item(1))
    assert [row["state"] for row in answer["results"]] == ["failed", "ready"]
    assert "metafield smarteros.a" in answer["results"][0]["error"]["why"]
    assert answer["results"][0]["changes"] == []
