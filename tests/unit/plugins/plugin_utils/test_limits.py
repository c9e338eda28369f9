# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A plan's limits against what is in use."""

from __future__ import annotations

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import limits


def test_people_of_two_services_are_the_same_people() -> None:
    assert limits.together([{"users": 3}, {"users": 5, "bots": 1}, {}]) == {"users": 5, "bots": 1}


def test_a_smaller_number_and_an_end_of_no_limit_are_narrower() -> None:
    before = {"users": 10, "bots": None, "workflows": 5}
    assert limits.narrowed(before, {"users": 5, "bots": 2, "workflows": 5}) == ["users", "bots"]
    assert limits.narrowed(before, {"users": 11, "bots": None, "workflows": None}) == []


def test_what_is_in_use_beyond_the_limit_is_told_with_both_numbers() -> None:
    assert limits.exceeded({"users": 6, "bots": 9, "workflows": 5}, {"users": 5, "bots": None, "workflows": 5}) == {
        "users": (6, 5)
    }
