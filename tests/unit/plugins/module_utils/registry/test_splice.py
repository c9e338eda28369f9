# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Replacing one block of a tenant file."""

from __future__ import annotations

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.registry import splice, yaml_text

NEW = {"sandbox": {"phase": "active"}}
BLOCK = "status:\n  sandbox:\n    phase: active"

CASES = {
    "the block at the end": ("spec: {a: 1} # one\nstatus:\n  sandbox: {phase: pending}\n", f"spec: {{a: 1}} # one\n{BLOCK}\n"),
    "no block yet": ("# top\nspec:\n  a: 1\n# end\n", f"# top\nspec:\n  a: 1\n# end\n{BLOCK}\n"),
    "no block and no final line break": ("spec:\n  a: 1", f"spec:\n  a: 1\n{BLOCK}"),
    "the block at the end without a line break": ("spec: {a: 1}\nstatus: {}", f"spec: {{a: 1}}\n{BLOCK}"),
    "an empty block": ("status:\nspec: {a: 1}\n", f"{BLOCK}\nspec: {{a: 1}}\n"),
    "an empty block with a comment": ("status: # none yet\nspec: {a: 1}\n", f"{BLOCK}\nspec: {{a: 1}}\n"),
    "the block first, comments around": (
        "# before\nstatus:\n  sandbox:\n    phase: pending # no\n\n# about the spec\nspec:\n  a: 1\n\n\n# last\n",
        f"# before\n{BLOCK}\n\n# about the spec\nspec:\n  a: 1\n\n\n# last\n",
    ),
    "the block in the middle": ("a: 1\nstatus:\n- x\nz:   'last'   # odd   spacing\n", f"a: 1\n{BLOCK}\nz:   'last'   # odd   spacing\n"),
    "a literal text at the end of the block": (
        "status:\n  reason: |\n    one\n    two\n\n# after\nspec: {a: 1}\n",
        f"{BLOCK}\n\n# after\nspec: {{a: 1}}\n",
    ),
    "a kept literal text": ("status:\n  reason: |+\n    one\n\n\nspec: {a: 1}\n", f"{BLOCK}\n\n\nspec: {{a: 1}}\n"),
    "a text over several lines": ("status:\n  reason: one\n    two # c\nspec: {a: 1}\n", f"{BLOCK}\nspec: {{a: 1}}\n"),
    "brackets over several lines": ("status: {\n  sandbox: {}\n  }  # c\nspec: {a: 1}\n", f"{BLOCK}\nspec: {{a: 1}}\n"),
    "a key in quotes": ('"status": {}\nspec: {a: 1}\n', f"{BLOCK}\nspec: {{a: 1}}\n"),
    "letters outside ASCII before it": ("spec: {a: ñandú 🦙 \u2028}\nstatus: {}\nz: é\n", f"spec: {{a: ñandú 🦙 \u2028}}\n{BLOCK}\nz: é\n"),
    "a byte order mark": ("\ufeffspec: {a: 1}\nstatus: {}\n", f"\ufeffspec: {{a: 1}}\n{BLOCK}\n"),
    "a document marker": ("---\nspec: {a: 1}\nstatus: {}\n", f"---\nspec: {{a: 1}}\n{BLOCK}\n"),
    "an indented file": ("  spec:\n    a: 1\n  status: {}\n", "  spec:\n    a: 1\n  status:\n    sandbox:\n      phase: active\n"),
    "an indented file without the block": ("  spec:\n    a: 1\n", "  spec:\n    a: 1\n  status:\n    sandbox:\n      phase: active\n"),
    "Windows line breaks": (
        "spec:\r\n  a: 1\r\nstatus:\r\n  x: 1\r\n# end\r\n",
        "spec:\r\n  a: 1\r\n" + BLOCK.replace("\n", "\r\n") + "\r\n# end\r\n",
    ),
    "one line": ("{spec: {a: 1}, status: {x: 1}} # c\n", "{spec: {a: 1}, status: {sandbox: {phase: active}}} # c\n"),
    "one line without the block": ('{"spec": {"a": 1}}\n', '{"spec": {"a": 1}, status: {sandbox: {phase: active}}}\n'),
    "one line, a comma at the end": ("{spec: {a: 1},}\n", "{spec: {a: 1},status: {sandbox: {phase: active}}}\n"),
}  # a table, easier to compare in rows  # fmt: skip


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES.keys())
def test_everything_else_stays_byte_for_byte(before: str, after: str) -> None:
    parsed = yaml_text.parse(before)
    assert splice.with_block(before, parsed, "status", NEW) == after
    assert yaml_text.parse(after).document == {**parsed.document, "status": NEW}
