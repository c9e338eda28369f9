"""Generated secrets keep to their kind, and weak ones are told from good ones without quoting them."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import secret_kinds

KINDS = sorted(secret_kinds.GENERATED)


@pytest.mark.parametrize("kind", KINDS)
@given(quarters=st.integers(8, 16))
def test_a_generated_secret_has_its_length_and_is_strong(kind: str, quarters: int) -> None:
    value = secret_kinds.generate(kind, quarters * 4)
    assert len(value) == quarters * 4
    assert secret_kinds.weakness(kind, value) == ""
    assert set(value) <= set(secret_kinds.ALPHABETS[kind])


def test_no_two_are_equal() -> None:
    assert len({secret_kinds.generate("hex", 32) for _ in range(200)}) == 200


def test_no_generated_one_has_a_character_that_a_shell_or_an_address_minds() -> None:
    for kind in ("password", "symbols", "alphanumeric", "hex"):
        many = "".join(secret_kinds.generate(kind, 32) for _ in range(200))
        assert not set(many) & set("'\"\\$`!%&;:#?/[]{}()<>|*~^= \n")


def test_a_password_suits_n8n_and_one_with_symbols_suits_chatwoot() -> None:
    for _ in range(200):
        password = secret_kinds.generate("password", 22)
        assert 8 <= len(password) <= 64
        assert set(password) & set(string.digits)
        assert set(password) & set(string.ascii_uppercase)
        symbols = secret_kinds.generate("symbols", 22)
        for needed in (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation):
            assert set(symbols) & set(needed)


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("password", "Admin1", "easy to guess"),
        ("password", "Abc123" * 8, "easy to guess"),
        ("password", "abcdefghijklmnopqrst1", "no upper-case letter"),
        ("password", "A1" + "a" * 63, "more than the 64"),
        ("symbols", "Abcdefgh12345678qrst", "no symbol"),
        ("symbols", "ABCDEFGH-12345678-XYZ", "no lower-case letter"),
        ("alphanumeric", "kq8Z-1mQ0x7L_4vB2nT9wR5y", "other than letters and digits"),
        ("hex", "0" * 64, "easy to guess"),
        ("base64", "aaaa", "easy to guess"),
        ("made", "short", "less than 16"),
        ("given", "", "less than 16"),
    ],
)
def test_a_weak_or_unfit_one_is_told(kind: str, value: str, why: str) -> None:
    told = secret_kinds.weakness(kind, value)
    assert why in told
    assert not value or value not in told


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("hex", "u2Nq/9sd+Lk2pQ0xV7bT4mZ8cR1yW5eA"),  # what n8n makes for itself is no hex, and good
        ("password", "correct-Horse-battery-staple-7"),
        ("made", "sk_0123456789abcdef"),
    ],
)
def test_what_a_former_installation_has_is_not_called_weak(kind: str, value: str) -> None:
    assert secret_kinds.weakness(kind, value) == ""


@pytest.mark.parametrize(
    ("kind", "length", "flaw"),
    [
        ("password", 40, ""),
        ("password", 21, "125 bits"),
        ("password", None, "none"),
        ("password", 65, "64"),
        ("hex", 31, "124 bits"),
        ("base64", 46, "multiple of 4"),
        ("made", 20, "have none"),
        ("made", None, ""),
    ],
)
def test_a_length_of_the_catalogue_is_judged(kind: str, length: int | None, flaw: str) -> None:
    told = secret_kinds.unfit(kind, length)
    assert flaw in told
    assert bool(told) == bool(flaw)
