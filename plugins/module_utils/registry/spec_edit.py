# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Change the ``spec`` of a tenant file as a person would: comments, order and quotes stay (ruamel.yaml round trip)."""

from __future__ import annotations

import functools
import io
import re
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.registry import render, splice, yaml_text

try:
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq
    from ruamel.yaml.nodes import ScalarNode
    from ruamel.yaml.resolver import VersionedResolver
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, ScalarString
    from ruamel.yaml.tag import Tag

    HAS_RUAMEL = True
except ImportError:  # only edits of a spec need it; the caller answers with missing_required_lib("ruamel.yaml")
    HAS_RUAMEL = False

Change = t.Callable[[t.Any], None]
_TAGS = {type(None): "null", bool: "bool", int: "int", float: "float", str: "str"}
_STEP = re.compile(r"\A[^\n]*\n(?:[ ]*(?:#[^\n]*)?\n)*([ ]+)[^ #\n]")
_FLUSH_LIST = re.compile(r"^([ ]*)[^ #\n-][^\n]*:[ ]*(?:#[^\n]*)?\n(?:[ ]*(?:#[^\n]*)?\n)*\1- ", re.MULTILINE)


def with_changed_spec(text: str, parsed: yaml_text.Parsed, change: Change) -> tuple[str, dict[str, t.Any]]:
    """The text after ``change(spec)``, which alters the mapping that it is given, and the spec that it must hold.

    Only the text of the block ``spec:`` goes through the round trip. Raises ValueError where the file has no spec
    written as an unindented block.
    """
    block = parsed.blocks.get("spec")
    if block is None or block.column or parsed.one_line or not isinstance(parsed.document["spec"], dict):
        raise ValueError("there is no unindented block spec: to edit")
    end = splice.block_end(text, block)
    body = text[block.start : end].replace("\r\n", "\n") + "\n"
    yaml = _round_trip(body)
    loaded = yaml.load(body)
    change(loaded["spec"])
    wanted = render.plain_data(loaded["spec"])
    _quote_new(loaded)
    out = io.StringIO()
    yaml.dump(loaded, out)
    edited = out.getvalue().rstrip("\n").replace("\n", splice.line_break(text))
    return text[: block.start] + edited + text[end:], wanted


def _round_trip(body: str) -> t.Any:
    yaml = YAML()
    yaml.Resolver = _resolver()
    yaml.preserve_quotes = True
    yaml.width = 100_000
    step = _STEP.search(body)
    mapping = len(step.group(1)) if step else 2
    offset = 0 if _FLUSH_LIST.search(body) else 2
    yaml.indent(mapping=mapping, sequence=offset + 2, offset=offset)
    return yaml


@functools.lru_cache(maxsize=1)
def _resolver() -> t.Any:
    """Makes ruamel.yaml take words for what our reader takes them for, and quote what that would take for something else."""

    class Resolver(VersionedResolver):
        def resolve(self, kind: t.Any, value: t.Any, implicit: t.Any) -> t.Any:
            if kind is not ScalarNode or not implicit[0]:
                return super().resolve(kind, value, implicit)
            return Tag(suffix=f"tag:yaml.org,2002:{_TAGS[type(yaml_text.plain(str(value)))]}")

    return Resolver


def _quote_new(value: t.Any) -> None:
    """Put quotes around text that older readers of YAML would take for something else."""
    pairs: t.Iterable[tuple[t.Any, t.Any]] = ()
    if isinstance(value, (CommentedMap, dict)):
        pairs = list(value.items())
    elif isinstance(value, (CommentedSeq, list)):
        pairs = list(enumerate(value))
    for key, item in pairs:
        if isinstance(item, str) and not isinstance(item, ScalarString) and item.lower() in render.WORDS:
            value[key] = DoubleQuotedScalarString(item)
        elif not isinstance(item, ScalarString):
            _quote_new(item)
