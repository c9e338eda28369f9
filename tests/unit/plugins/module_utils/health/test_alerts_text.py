# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a person reads of an alert."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.health import alerts_text
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_plan import (
    NEW,
    OVER,
    PHASES,
    RECOVERED,
    REMINDED,
    UNSTEADY,
    Alert,
    Item,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_rules import Rules
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.alerts_state import Way
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import CRITICAL, WARNING

CHILE = ZoneInfo("America/Santiago")
NOW = datetime(2026, 11, 24, 12, tzinfo=CHILE).timestamp()
RULES = Rules(CHILE, {})
DOWN = Item(NEW, CRITICAL, "service:n8n", "service", "n8n", "no responde", NOW - 600)


def words(*items: Item, language: str = "es") -> alerts_text.Words:
    return alerts_text.words(Alert("admin/email", items, NOW, Way()), "production", RULES, language)


def test_one_thing_is_one_short_line() -> None:
    found = words(DOWN)
    assert found.line == "CRÍTICO: n8n: no responde"
    assert found.subject == "SmarterOS production: CRÍTICO: n8n: no responde"
    assert found.body == (
        "SmarterOS, ambiente production\n\nCRÍTICO:\n- n8n: no responde (desde el 2026-11-24 11:50)\n\n"
        "Revisa el estado con: smos status --env production\n"
    )


def test_several_things_begin_with_how_many() -> None:
    found = words(
        DOWN,
        replace(DOWN, phase=UNSTEADY, title="odoo", times=5),
        replace(DOWN, phase=REMINDED, title="botpress", opened=NOW - 7200),
        replace(DOWN, severity=WARNING, title="disco", kind="host", what="91 %"),
        replace(DOWN, phase=RECOVERED, title="metabase", opened=NOW - 3600, ended=NOW - 600),
        replace(DOWN, phase=OVER, title="chatwoot", opened=NOW - 3600, ended=NOW - 600, times=2),
    )
    assert found.line == (
        "3 críticos, 1 aviso, 2 resueltos. CRÍTICO: n8n: no responde. Inestable: odoo (5 veces). Sigue sin resolverse: "
        "botpress (desde hace 2 h). Aviso: disco: 91 %. Resuelto: metabase (duró 50 min). Ya pasó: chatwoot (2 veces) (duró 50 min)"
    )
    assert found.subject == "SmarterOS production: 3 críticos, 1 aviso, 2 resueltos"


def test_who_hears_of_it_late_hears_how_old_it_is() -> None:
    assert words(replace(DOWN, opened=NOW - 2100)).line == "CRÍTICO: n8n: no responde (desde hace 35 min)"


def test_it_is_told_in_english_too() -> None:
    assert words(DOWN, replace(DOWN, phase=RECOVERED), language="en").line == (
        "1 critical, 1 resolved. CRITICAL: n8n: no responde. Resolved: n8n (lasted 10 min)"
    )
    assert words(DOWN, language="fr").line.startswith("CRÍTICO")


@pytest.mark.parametrize("many", [1, 300])
def test_a_line_always_fits_and_a_mail_can_be_read(many: int) -> None:
    items = [
        replace(DOWN, phase=phase, kind=f"kind{number % 7}", title="W" * 500, what="M " * 500)
        for phase in PHASES
        for number in range(many)
    ]
    found = words(*items)
    assert len(found.line) <= alerts_text.LINE
    assert len(found.subject) <= 160
    assert len(found.body.splitlines()) <= alerts_text.LINES + 20
    assert found.line.startswith(f"{4 * many} críticos, {2 * many} resueltos.")


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("*Pan*_y_[Sal](http://evil.example)", "PanySal(…"),
        ("Pan\n\ny\u202e Sal\x00", "Pan y Sal"),
        ("https://evil.example/x", "…"),
        ("A" * 60, "A" * 31 + "…"),
        ("", "tenant:76543210-3/shop"),
    ],
)
def test_names_are_data(title: str, shown: str) -> None:
    found = words(replace(DOWN, subject="tenant:76543210-3/shop", kind="tenant", title=title))
    assert found.line == f"CRÍTICO: {shown}: no responde"
