# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How tenant files are read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.module_utils.registry import render, yaml_text
from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.errors import BrokenFile
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import documents

PLAIN = """\
a: null
b: ~
c:
d: true
e: False
f: 12
g: -3
h: 1.50
i: 0123
j: no
k: 2026-11-22
l: 12:30:00
m: 1e3
n: 0x1F
o: "12"
p: 'true'
q: !  x
r: [1, two, {three: 3.0}]
s: {}
t: []
u: |
  first
  second
v: >-
  one
  line
w: 99999999999999999999
x: .inf
y: y
"""


def test_words_mean_what_they_look_like() -> None:
    document = yaml_text.parse(PLAIN).document
    assert document["a"] is document["b"] is document["c"] is None
    assert (document["d"], document["e"], document["f"], document["g"], document["h"]) == (True, False, 12, -3, 1.5)
    assert [document[key] for key in "ijklmn"] == ["0123", "no", "2026-11-22", "12:30:00", "1e3", "0x1F"]
    assert (document["o"], document["p"], document["r"]) == ("12", "true", [1, "two", {"three": 3.0}])
    assert (document["s"], document["t"], document["u"], document["v"]) == ({}, [], "first\nsecond\n", "one line")
    assert (document["w"], document["x"], document["y"]) == ("9" * 20, ".inf", "y")


@pytest.mark.parametrize("text", [PLAIN, '{spec: {rut: 12345678-9}, "status": {}}', "---\nspec: {a: 1}\n...\n"])
def test_the_store_and_the_controller_read_a_file_alike(text: str) -> None:
    assert yaml_text.parse(text).document == documents.parse(text, "file")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "empty"),
        ("- a\n", 1, "mapping"),
        ("just text\n", 1, "mapping"),
        ("spec:\n  a: 1\n  a: 2\n", 3, "second time"),
        ("spec:\n  a: [1, 2\n", 3, "did not find"),
        ("spec: &x {}\nstatus: *x\n", 1, "anchors"),
        ("spec: *x\n", 1, "anchors"),
        ("spec: !!python/object/apply:os.system [ls]\n", 1, "tag"),
        ("spec: 1\n---\nspec: 2\n", 2, "more than one document"),
        ("12: x\n", 1, "put it in quotes"),
        ("? [a]\n: x\n", 1, "a key must be a word"),
        ("a: \x00\n", 0, "a character that YAML does not allow"),
        ("spec: " + "[" * 200_000, 1, "deep"),
        ("spec:\n\tname: x\n", 2, "token"),
    ],
)
def test_a_broken_file_is_told_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(BrokenFile) as caught:
        yaml_text.parse(text)
    assert words in caught.value.reason
    assert caught.value.line == line


def test_text_that_is_not_utf_8_is_told_with_its_line() -> None:
    with pytest.raises(BrokenFile) as caught:
        yaml_text.decode("spec:\n  name: ñ\n".encode("latin-1"))
    assert caught.value.line == 2


def test_a_byte_order_mark_is_no_part_of_the_data() -> None:
    assert yaml_text.parse("\ufeffspec: {a: 1}\n").document == {"spec": {"a": 1}}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text("abc\"': #-\n", min_size=1, max_size=8), VALUES, min_size=1, max_size=4))
def test_whatever_is_written_is_read_back_the_same_by_every_reader(data: dict[str, Any]) -> None:
    text = "\n".join(render.block(data)) + "\n"
    assert yaml_text.parse(text).document == data
    assert documents.parse(text, "file") == data


@pytest.mark.parametrize(
    "word",
    [
        "no",
        "NO",
        "y",
        "Off",
        "null",
        "~",
        "1.5",
        "0123",
        "2026-11-22",
        "12:30",
        "-",
        "=",
        "<<",
        "",
        " x",
        "x ",
        "a: b",
        "a #b",
        "*a",
        "{{ 7*7 }}",
        "nan",
        "1e3",
        "0x1F",
        "1_000",
        "@x",
        "%x",
        "- a",
        "? a",
        "|",
        ">",
        "!x",
    ],
)
def test_text_that_looks_like_something_else_is_quoted(word: str) -> None:
    assert render.scalar(word).startswith('"')


@pytest.mark.parametrize(
    "word", ["acme", "Acme Corp", "12345678-9", "12345678-K", "acme.smarterbot.cl", "ana@example.com"]
)
def test_usual_text_needs_no_quotes(word: str) -> None:
    assert render.scalar(word) == word


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), float("inf"), "\ud800"])
def test_what_a_file_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        render.flow(render.plain_data(value))
