"""Shopify's own schema of the Admin API: documents are validated against it, and answers are read by it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    build_schema,
    parse,
    validate,
)
from graphql.execution.values import get_variable_values
from graphql.type import GraphQLOutputType

SHARED = Path(os.environ.get("SMOS_SHARED") or Path(__file__).parents[2].parent / "shared")
SDL = SHARED / "contracts" / "shopify" / "admin-2026-10.graphql"
BUILT_IN: dict[str, type | tuple[type, ...]] = {
    "Int": int,
    "Float": (int, float),
    "Boolean": bool,
    "String": str,
    "ID": str,
}


@cache
def schema() -> GraphQLSchema:
    """The schema, read once (about two seconds)."""
    return build_schema(SDL.read_text(encoding="utf-8"), assume_valid=True)  # it breaks a rule about deprecation itself


def flaws(document: str, variables: dict[str, Any]) -> list[str]:
    """What Shopify would not accept about a document or its variables; deprecated fields count."""
    parsed = parse(document)
    found = [error.message for error in validate(schema(), parsed)]
    if found:
        return found
    (operation,) = (each for each in parsed.definitions if isinstance(each, OperationDefinitionNode))
    values = get_variable_values(schema(), operation.variable_definitions or (), variables)
    if isinstance(values, list):
        found = [error.message for error in values]
    kind = root(operation)
    return found + _deprecated(kind, operation.selection_set)


def misfits(document: str, data: dict[str, Any]) -> list[str]:
    """Where the data of an answer is not what the document asked for, in the types of the schema."""
    (operation,) = (each for each in parse(document).definitions if isinstance(each, OperationDefinitionNode))
    return _object(root(operation), operation.selection_set, data, "data")


def root(operation: OperationDefinitionNode) -> GraphQLObjectType:
    kind = schema().mutation_type if operation.operation == OperationType.MUTATION else schema().query_type
    assert kind is not None
    return kind


def _object(kind: GraphQLObjectType, selections: SelectionSetNode, value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: not an object of {kind.name}"]
    fields = [each for each in selections.selections if isinstance(each, FieldNode)]
    names = [each.alias.value if each.alias else each.name.value for each in fields]
    found = [f"{path}: not asked for {name}" for name in value if name not in names]
    for name, each in zip(names, fields, strict=True):
        if name not in value:
            found.append(f"{path}: {name} is missing")
        else:
            found += _value(kind.fields[each.name.value].type, each, value[name], f"{path}.{name}")
    return found


def _value(kind: GraphQLOutputType, field: FieldNode, value: Any, path: str) -> list[str]:
    if isinstance(kind, GraphQLNonNull):
        return [f"{path}: null"] if value is None else _value(kind.of_type, field, value, path)
    if value is None:
        return []
    if isinstance(kind, GraphQLList):
        if not isinstance(value, list):
            return [f"{path}: no list"]
        return [each for at, item in enumerate(value) for each in _value(kind.of_type, field, item, f"{path}[{at}]")]
    if isinstance(kind, GraphQLEnumType):
        return [] if value in kind.values else [f"{path}: {value!r} is no {kind.name}"]
    if isinstance(kind, GraphQLScalarType):
        known = BUILT_IN.get(kind.name, object if kind.name == "JSON" else str)
        wrong = not isinstance(value, known) or (isinstance(value, bool) and kind.name in ("Int", "Float"))
        return [f"{path}: {value!r} is no {kind.name}"] if wrong else []
    assert isinstance(kind, GraphQLObjectType)
    assert field.selection_set is not None
    return _object(kind, field.selection_set, value, path)


def _deprecated(kind: GraphQLObjectType, selections: SelectionSetNode) -> list[str]:
    found: list[str] = []
    for each in selections.selections:
        assert isinstance(each, FieldNode)
        field = kind.fields[each.name.value]
        if field.deprecation_reason:
            found.append(f"{kind.name}.{each.name.value} is deprecated: {field.deprecation_reason}")
        inner: Any = field.type
        while isinstance(inner, (GraphQLNonNull, GraphQLList)):
            inner = inner.of_type
        if each.selection_set is not None and isinstance(inner, GraphQLObjectType):
            found += _deprecated(inner, each.selection_set)
    return found
