# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import pytest
from ansible.errors import AnsibleLookupError
from ansible.plugins.loader import lookup_loader


def look(*prefixes: str) -> dict[str, str]:
    (found,) = lookup_loader.get("smartercl.smarteros.environment").run(list(prefixes), {})
    assert isinstance(found, dict)
    return found


def test_variables_come_by_what_stands_behind_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SMOS_TEST_A": "1", "SMOS_TEST_B_C": "2", "SMOS_TEST_": "3", "SMOS_TEST_EMPTY": ""}.items():
        monkeypatch.setenv(name, value)
    assert look("SMOS_TEST_") == {"A": "1", "B_C": "2"}
    assert look("SMOS_NOTHING_") == {}


def test_an_empty_prefix_does_not_give_the_whole_environment() -> None:
    with pytest.raises(AnsibleLookupError, match="must not be empty"):
        look("")
