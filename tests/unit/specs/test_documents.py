# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import documents
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.documents import DocumentError, lines, load, parse

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.text(st.characters(max_codepoint=0xFFFF, codec="utf-8"), max_size=20),
    lambda below: (
        st.lists(below, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=0xFFFF, codec="utf-8"), max_size=8), below, max_size=4)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_what_is_written_as_json_is_read_back(value: object) -> None:
    assert parse(json.dumps(value), "x") == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: no", "no"),
        ("a: off", "off"),
        ("a: 2026-11-22", "2026-11-22"),
        ("a: 2026-11-22T15:26:43Z", "2026-11-22T15:26:43Z"),
        ("a: 12:30:00", "12:30:00"),
        ("a: 0123", "0123"),
        ("a: 0x1F", "0x1F"),
        ("a: 1_000", "1_000"),
        ("a: 1e3", "1e3"),
        ("a: .inf", ".inf"),
        ("a: =", "="),
        ("a: 12345678-5", "12345678-5"),
        ("a: 123456785", 123456785),
        ("a: -7", -7),
        ("a: 1.5", 1.5),
        ("a: '1.5'", "1.5"),
        ("a: true", True),
        ("a: ~", None),
        ("a:", None),
        ("a: |\n  one\n  two\n", "one\ntwo\n"),
    ],
)
def test_values_are_what_they_look_like(text: str, value: object) -> None:
    assert parse(text, "x") == {"a": value}


def test_an_empty_file_is_null() -> None:
    assert parse("# nothing\n", "x") is None


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "twice"),
        ("a:\n  b: 1\n  'b': 2\n", 3, "twice"),
        ("a: &x [1]\nb: *x\n", 1, "anchor"),
        ("a: 1\nb: &x\n  c: 1\n", 2, "anchor"),
        ("a: &x b\n", 1, "anchor"),
        ("a: !!python/object:os.system x\n", 1, "tag"),
        ("a: !!timestamp 2026-11-22\n", 1, "tag"),
        ("a: 1\n--- \nb: 2\n", 2, "several documents"),
        ("1: a\n", 1, "no text"),
        ("true: a\n", 1, "no text"),
        ("[a]: b\n", 1, "no text"),
        ("a: [1\nb: 2\n", 2, "no YAML"),
        ("a: \x01\n", 0, "no YAML"),
        ("a: 'unfinished\n", 2, "no YAML"),
        ("a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> other\n", 2, "merge"),
        ("a: |\n  text\n>>>>>>> other\n", 3, "merge"),
        ("[" * 500_000, 1, "nested too deeply"),
        ("- " * 400_000, 1, "nested too deeply"),
        ("{a: " * 200_000, 1, "nested too deeply"),
        ("a: \ud800\n", 0, "surrogate"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_specs_do_not_use_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    with pytest.raises(DocumentError) as refused:
        parse(text, "specs/x.yml")
    mistake = refused.value.mistake
    assert message in mistake.message
    assert (mistake.file, mistake.line) == ("specs/x.yml", line)
    assert mistake.rule


def test_an_alias_bomb_is_refused_at_once() -> None:
    bomb = "a: &a [x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)},*{chr(97 + n)}]\n" for n in range(20)
    )
    with pytest.raises(DocumentError, match="anchor"):
        parse(bomb, "x")


def test_a_file_above_one_mebibyte_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.yml"
    path.write_text("a: 1\n" + "#" * documents.HIGHEST_SIZE, encoding="utf-8")
    with pytest.raises(DocumentError, match="too large"):
        load(path)


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yml"
    path.write_bytes(b"a: 1\nb: Per\xfa\n")
    with pytest.raises(DocumentError) as refused:
        load(path)
    assert refused.value.mistake.line == 2


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="cannot be read"):
        load(tmp_path / "none.yml")


def test_lines_lead_to_keys_and_entries() -> None:
    found = lines("# one\na: 1\nb:\n  c: [x,\n    y]\n  d: {e: 1}\n")
    assert found[("a",)] == 2
    assert found[("b", "c")] == 4
    assert found[("b", "c", 1)] == 5
    assert found[("b", "d", "e")] == 6


def test_the_reader_in_python_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: [1, x, {b: no}]\nc: 'é'\n"
    fast = parse(text, "x")
    monkeypatch.setattr(documents, "_Loader", yaml.SafeLoader)
    assert parse(text, "x") == fast
