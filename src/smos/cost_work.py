# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos cost`: reads the specs, asks nobody, and tells what they add up to."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from gettext import gettext as _
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import specs as specs_files
from smos import cost, exitcodes, tenants, work
from smos.outcome import Outcome, Speaker, failure
from smos.project import Project
from smos.settings import Settings

KINDS = ("services", "tenants", "vps", "dns")
USUAL = (10, 50, 100)
GONE = ("deleted", "purged")
CURRENCY = "USD"


def carry_out(counts: Sequence[int], plan: str | None, settings: Settings) -> int:
    """Tell the costs for now and for so many tenants; gives the exit code. ``plan`` is what those tenants have."""
    speaker = Speaker("cost", settings.env, settings.as_json)
    project = work.project_for(settings)
    documents, files = _read(project)
    registry = documents["tenants"]
    chosen = _plan(plan, registry, files["tenants"])
    found = cost.items(documents, files)
    costs = cost.Costs.of(found, registry["plans"])
    result = {
        "currency": CURRENCY,
        "period": "month",
        "items": [item.as_row() for item in found],
        "fixed": cost.in_dollars(costs.fixed),
        "per_tenant": cost.in_dollars(costs.per_tenant),
        "now": costs.row(_here(project, settings.env)),
        "projections": [{**costs.row({chosen: count}), "plan": chosen} for count in counts or USUAL],
        "plans": [costs.plan(name) for name in registry["plans"]],
    }
    return speaker.finish(Outcome(result), lambda: show(result))


def monthly(project: Project, env: str) -> float:
    """What the environment costs a month as it is now. Raises Failure."""
    documents, files = _read(project)
    costs = cost.Costs.of(cost.items(documents, files), documents["tenants"]["plans"])
    return float(costs.row(_here(project, env))["total"])


def _read(project: Project) -> tuple[dict[str, Any], dict[str, str]]:
    """The documents that have figures, and the names of their files. Raises Failure with every mistake in them."""
    reader = specs_files.Reader(project.specs_dir)
    with tenants.sound_specs():
        reader.take(KINDS)
        if reader.mistakes:
            raise specs_files.SpecError(reader.mistakes)
    named = reader.documents["index"]["files"]
    files = {
        "services": named["services"],
        "tenants": named["tenants"]["registry"],
        "vps": named["infra"]["vps"],
        "dns": named["infra"]["dns"],
    }
    return reader.documents, files


def _plan(wanted: str | None, registry: Mapping[str, Any], file: str) -> str:
    chosen = wanted or str(registry["default_plan"])
    if chosen not in registry["plans"]:
        known = ", ".join(registry["plans"])
        raise failure(exitcodes.INVALID, f"plan {chosen}", "there is no such plan", file, f"Choose one of: {known}")
    return chosen


def _here(project: Project, env: str) -> dict[str, int]:
    """How many tenants of the environment have which plan. Those that left cost nothing any more."""
    rows = tenants.listed(project.specs_dir, env)
    return dict(Counter(row["plan"] for row in rows if row["phase"] not in GONE))


def show(result: Mapping[str, Any]) -> None:
    """Print the tables."""
    _say(_("{currency} a month").format(currency=CURRENCY))
    for item in result["items"]:
        per = _("per tenant") if item["per"] == cost.TENANT else _("fixed")
        known = ", ".join(filter(None, (item["source"], item["date"]))) or _("no source is given")
        _say(f"  {item['what']:<34} {per:<10} {_amount(item['monthly']):>11}  {known}")
    _say(f"  {_('sum'):<34} {_('fixed'):<10} {_amount(result['fixed']):>11}")
    _say(f"  {'':<34} {_('per tenant'):<10} {_amount(result['per_tenant']):>11}")
    priced = any(each["price"] is not None for each in result["plans"])
    _say(
        f"\n{_('tenants'):>9} {_('fixed'):>11} {_('of tenants'):>11} {_('total'):>11}"
        + (f" {_('income'):>11} {_('margin'):>11}" * priced)
    )
    for label, row in [(_("now"), result["now"]), *(("", row) for row in result["projections"])]:
        _show_row(label, row, priced)
    if priced:
        plan = result["projections"][0]["plan"]
        _say("\n" + _("the rows below the first: all tenants on {plan} (--plan)").format(plan=plan) + "\n")
        for each in result["plans"]:
            _show_plan(each)
    else:
        _say(
            "\n" + _("no plan has a price (monthly_usd of a plan in tenants/registry.yml), so the margin is not known")
        )


def _show_row(label: str, row: Mapping[str, Any], priced: bool) -> None:
    columns = ["fixed", "per_tenant", "total", *(["income", "margin"] if priced else [])]
    _say(f"{label:<5}{row['tenants']:>5} " + " ".join(f"{_amount(row[key]):>11}" for key in columns))


def _show_plan(each: Mapping[str, Any]) -> None:
    if each["price"] is None:
        _say(f"  {each['plan']:<14} " + _("has no price"))
        return
    said = _("does not cover what a tenant costs")
    if each["break_even"] is not None:
        said = _("fixed costs covered from {count} tenants on").format(count=each["break_even"])
    price, over = _amount(each["price"]), _amount(each["contribution"])
    earned = _("price {price}  leaves {over} a tenant").format(price=f"{price:>9}", over=f"{over:>9}")
    _say(f"  {each['plan']:<14} {earned}  {said}")


def _amount(dollars: float | None) -> str:
    if dollars is None:
        return _("not known")
    return f"{dollars:,.2f}".removesuffix(".00")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
