# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos cost`: what the specs add up to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smos import cost, exitcodes
from smos.cli import main
from unit.specs.samples import SPECS

TENANT = """spec:
  rut: {rut}
  name: Shop {slug}
  slug: {slug}
  domain: {slug}.smarterbot.cl
  plan: {plan}
"""


@pytest.fixture
def specs(tmp_path: Path) -> Path:
    copy = tmp_path / "specs"
    shutil.copytree(SPECS, copy, ignore=shutil.ignore_patterns("registry"))
    (copy / "services").mkdir(exist_ok=True)
    shutil.copy(SPECS / "services/registry.yml", copy / "services/registry.yml")
    (copy / "tenants/registry").mkdir(parents=True)
    return copy


def replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


def told(specs: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["cost", "--specs", str(specs), "--json", *words])
    return code, json.loads(capsys.readouterr().out)


def test_the_owners_figures_come_out(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = told(specs, capsys)
    result = document["result"]
    assert (code, document["changed"], document["run"], document["errors"]) == (exitcodes.DONE, False, None, [])
    assert (result["currency"], result["period"], result["fixed"], result["per_tenant"]) == ("USD", "month", 35, 39)
    assert {row["tenants"]: row["total"] for row in result["projections"]} == {10: 425, 50: 1985, 100: 3935}
    assert (result["now"]["tenants"], result["now"]["total"]) == (0, 35)
    assert all(item["source"] and item["date"] and item["where"] for item in result["items"])
    assert {row["margin"] for row in [result["now"], *result["projections"]]} == {None}


def test_tenants_of_now_count_by_their_plans_and_those_that_left_do_not(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = "status:\n  sandbox: {phase: deleted}\n"
    shops = [("12345678-5", "acme", "starter", ""), ("76086428-5", "other", "free", ""), ("1-9", "third", "free", gone)]
    for rut, slug, plan, more in shops:
        text = TENANT.format(rut=rut, slug=slug, plan=plan) + more
        (specs / "tenants/registry" / f"{rut}.yml").write_text(text, encoding="utf-8")
    registry = specs / "tenants/registry.yml"
    replaced(registry, "    title: Free\n", "    title: Free\n    monthly_usd: 0\n")
    replaced(registry, "    title: Starter\n", "    title: Starter\n    monthly_usd: 99.90\n")
    now = told(specs, capsys)[1]["result"]["now"]
    assert (now["plans"], now["total"], now["income"]) == ({"starter": 1, "free": 1}, 35 + 78, 99.90)
    assert now["margin"] == round(99.90 - 113, 2)


def test_prices_give_margin_and_break_even(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replaced(
        specs / "tenants/registry.yml", "    title: Professional\n", "    title: Professional\n    monthly_usd: 49.50\n"
    )
    result = told(specs, capsys, "--tenants", "4", "--tenants", "3", "--plan", "professional")[1]["result"]
    assert [(row["tenants"], row["margin"]) for row in result["projections"]] == [(4, 7.0), (3, -3.5)]
    plan = next(each for each in result["plans"] if each["plan"] == "professional")
    assert (plan["contribution"], plan["break_even"]) == (10.5, 4)  # 35 / 10.5 is 3.3
    assert told(specs, capsys, "--tenants", "4")[1]["result"]["projections"][0]["margin"] is None  # starter has none
    assert main(["cost", "--specs", str(specs)]) == exitcodes.DONE
    assert "fixed costs covered from 4 tenants on" in capsys.readouterr().out


def test_a_service_that_is_paid_for_counts_once_or_for_each_tenant(
    specs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalogue = specs / "services/registry.yml"
    replaced(
        catalogue, "  shopify:\n", "  shopify:\n    cost: {monthly_usd: 1.25, per: tenant, what: an app of the store}\n"
    )
    replaced(catalogue, "  vercel:\n", "  vercel:\n    cost: {monthly_usd: 20, per: system}\n")
    result = told(specs, capsys, "--tenants", "2")[1]["result"]
    assert (result["fixed"], result["per_tenant"], result["projections"][0]["total"]) == (55, 40.25, 135.50)
    assert main(["cost", "--specs", str(specs)]) == exitcodes.DONE
    shown = capsys.readouterr().out
    assert "no source is given" in shown
    assert "no plan has a price" in shown


def test_bad_input_names_the_place(specs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = told(specs, capsys, "--plan", "golden")
    assert (code, document["errors"][0]["next"][:13]) == (exitcodes.INVALID, "Choose one of")
    assert told(specs, capsys, "--tenants", "-1")[0] == exitcodes.INVALID
    replaced(specs / "infra/dns.yml", "monthly_usd: 15", "monthly_usd: fifteen")
    code, document = told(specs, capsys)
    assert code == exitcodes.INVALID
    assert "infra/dns.yml" in document["errors"][0]["where"]


@given(st.lists(st.integers(0, 100_000_000), max_size=50), st.integers(0, 1_000_000))
def test_sums_are_exact_to_the_cent(amounts: list[int], tenants: int) -> None:
    found = [cost.Item("x", cost.SYSTEM, cost.cents(amount / 100), "") for amount in amounts]
    costs = cost.Costs.of([*found, cost.Item("y", cost.TENANT, 1, "")], {"p": {"monthly_usd": 0.01}})
    row = costs.row({"p": tenants})
    assert round(row["total"] * 100) == sum(amounts) + tenants
    assert round(row["margin"] * 100) == -sum(amounts)
