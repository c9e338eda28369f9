# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils import rut

NUMBERS = st.integers(min_value=1, max_value=rut.HIGHEST)
RUTS = st.builds(rut.Rut, NUMBERS, st.sampled_from("0123456789K"))


@given(NUMBERS)
@example(1)
@example(rut.HIGHEST)
def test_check_digit_agrees_with_stdnum(number: int) -> None:
    stdnum = pytest.importorskip("stdnum.cl.rut")
    assert rut.check_digit(number) == stdnum.calc_check_digit(str(number).zfill(8))


@given(RUTS)
def test_validity_agrees_with_stdnum(given_rut: rut.Rut) -> None:
    stdnum = pytest.importorskip("stdnum.cl.rut")
    assert given_rut.valid == stdnum.is_valid(f"{given_rut.number:08}{given_rut.digit}")


@given(RUTS)
def test_what_is_written_is_read_back(given_rut: rut.Rut) -> None:
    assert rut.parse(given_rut.canonical) == given_rut
    assert rut.parse(given_rut.pretty) == given_rut
    assert rut.parse(given_rut.canonical.lower()) == given_rut
    assert rut.parse(f" CL{given_rut.canonical}\t") == given_rut


@given(st.text())
def test_any_text_is_read_or_refused_with_a_printable_reason(text: str) -> None:
    try:
        found = rut.parse(text)
    except rut.RutError as error:
        reason = str(error)
    else:
        reason = "none"
        assert rut.parse(found.canonical) == found
    assert reason
    assert reason.isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "12.345.678-5", "12345678-5", "123456785", "  12345678-5 ", "CL12345678-5", "cl 12.345.678-5", "CL-12345678-5",
        "12345678\u20105", "12345678\u20135", "12345678\u20145", "12345678\u22125", "12345678\uff0d5", "12345678 - 5",
        "012.345.678-5",
        "0012345678-5",
    ],
)  # a table, easier to compare in rows  # fmt: skip
def test_usual_spellings_give_one_canonical_form(text: str) -> None:
    assert rut.parse(text).canonical == "12345678-5"
    assert rut.parse(text).pretty == "12.345.678-5"


def test_lower_k_becomes_upper() -> None:
    assert rut.parse("10000013-k").canonical == "10000013-K"
    assert rut.parse("10000013k").valid


def test_wrong_check_digit_is_read_and_told() -> None:
    found = rut.parse("12345678-9")
    assert (found.canonical, found.valid, found.number) == ("12345678-9", False, 12345678)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("acme", "only digits"),
        ("12345678-X", "only digits"),
        ("12345678-5\n; ls", "only digits"),
        ("{{ rut }}", "only digits"),
        ("٣٤٥٦٧٨٩-5", "only digits"),
        ("1.2345.678-5", "groups of three"),
        ("12345678-", "check digit"),
        ("-5", "check digit"),
        ("12345", "check digit"),
        ("12-34-5", "check digit"),
        ("0-0", "between 1 and"),
        ("100000000-4", "between 1 and"),
        ("1" * 5000, "at most"),
        (12345678, "not int"),
        (None, "not NoneType"),
    ],
)
def test_anything_else_is_refused_with_its_reason(text: object, reason: str) -> None:
    with pytest.raises(rut.RutError, match=reason):
        rut.parse(text)
