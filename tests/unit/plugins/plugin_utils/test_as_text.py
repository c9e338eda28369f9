# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Tenants and items on their way through a template, as lists or as one text."""

from __future__ import annotations

from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import as_text


def slugs(tenants: list[dict[str, Any]], more: str = "") -> list[dict[str, Any]]:
    """What the filters do."""
    return [{"tenant": tenant["id"], "slug": tenant["slug"] + more} for tenant in tenants]


def test_a_text_comes_out_as_a_text_and_a_list_as_a_list() -> None:
    either = as_text.for_tenants(slugs)
    assert either([{"id": "1-9", "slug": "ñandú"}], more="!") == [{"tenant": "1-9", "slug": "ñandú!"}]
    text = either('[{"id": "1-9", "slug": "ñandú"}]', more="!")
    assert as_text.items_of({"items": text}, {"items": {"type": "list", "elements": "dict"}}) == {
        "items": [{"tenant": "1-9", "slug": "ñandú!"}]
    }
    assert either.__doc__ == slugs.__doc__


def test_only_lists_of_items_are_taken_apart() -> None:
    options = {"items": {"type": "list", "elements": "dict"}, "names": {"type": "list", "elements": "str"}}
    args = {"items": [{"tenant": "1-9"}], "names": "[a]", "url": "[::1]"}
    assert as_text.items_of(args, options) == {}
