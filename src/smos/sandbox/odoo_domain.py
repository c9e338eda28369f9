# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Odoo search domains (prefix notation) and orders as SQL over the sandbox's tables."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from smos.sandbox.odoo_errors import OdooError, python_error, user_error
from smos.sandbox.odoo_models import MODELS, Field, Model

NEGATED = {"!=": "=", "not in": "in", "not like": "like", "not ilike": "ilike"}
COMPARE = {"<": "<", ">": ">", "<=": "<=", ">=": ">="}
_ORDER = re.compile(r"^\s*(\w+)(?:\s+(asc|desc))?\s*$", re.IGNORECASE)
_SPECIAL = {"*": "[*]", "?": "[?]", "[": "[[]"}


class Sql(NamedTuple):
    """A condition and its parameters."""

    text: str
    values: tuple[Any, ...] = ()


TRUE, FALSE = Sql("1"), Sql("0")


def field_of(model: Model, name: str, term: object) -> Field:
    """The field of a domain term; raises Odoo's ValueError where the model has none of that name."""
    spec = model.fields.get(model.name_field if name == "display_name" else name)
    if spec is None or spec.kind == "password":
        raise python_error("ValueError", f"Invalid field {model.name}.{name} in leaf {term!r}")
    return spec


def where(model: Model, domain: Any) -> Sql:
    """The condition of a domain. Terms without an operator between them are joined by «and»."""
    if not isinstance(domain, list | tuple):
        raise python_error("ValueError", f"Invalid domain: {domain!r}")
    stack: list[Sql] = []
    for term in reversed(domain):
        if term == "!":
            stack.append(_negate(_pop(stack, domain)))
        elif term in ("&", "|"):
            stack.append(_join(term, _pop(stack, domain), _pop(stack, domain)))
        else:
            stack.append(_leaf(model, term))
    result = TRUE
    for condition in reversed(stack):
        result = condition if result is TRUE else _join("&", result, condition)
    return result


def mentions(domain: Sequence[Any], name: str) -> bool:
    """Whether a term of the domain is about this field."""
    return any(isinstance(term, list | tuple) and term and term[0] == name for term in domain)


def order_by(model: Model, order: Any) -> str:
    """The ORDER BY list of an Odoo order such as ``name desc, id``."""
    parts = []
    for part in str(order or model.order).split(","):
        found = _ORDER.match(part)
        if not found:
            raise user_error(
                f'Invalid "order" specified ("{order}"). A valid "order" specification is a comma-separated list of'
                " valid field names (optionally followed by asc/desc for the direction)"
            )
        name = model.name_field if found[1] == "display_name" else found[1]
        spec = model.fields.get(name)
        if spec is None or not spec.stored:
            raise python_error("ValueError", f"Invalid field {name!r} on model {model.name!r}")
        collate = " COLLATE NOCASE" if spec.kind == "char" else ""
        parts.append(f'"{name}"{collate} {(found[2] or "asc").upper()}')
    return ", ".join([*parts, '"id" ASC'])


def _pop(stack: list[Sql], domain: object) -> Sql:
    if not stack:
        raise python_error("ValueError", f"Domain {domain!r} has an operator without its terms")
    return stack.pop()


def _negate(condition: Sql) -> Sql:
    return Sql(f"NOT IFNULL({condition.text}, 0)", condition.values)


def _join(operator: str, left: Sql, right: Sql) -> Sql:
    word = "AND" if operator == "&" else "OR"
    return Sql(f"({left.text} {word} {right.text})", left.values + right.values)


def _leaf(model: Model, term: Any) -> Sql:
    if not isinstance(term, list | tuple) or len(term) != 3:
        raise python_error("ValueError", f"Invalid leaf {term!r}")
    left, operator, value = term
    if isinstance(left, int):
        return TRUE if (left == value) == (operator == "=") else FALSE
    name, _dot, rest = str(left).partition(".")
    spec = field_of(model, name, tuple(term))
    if rest:
        return _through(spec, name, [rest, operator, value], term)
    if operator in NEGATED:
        return _negate(_positive(spec, _column(model, name), NEGATED[operator], value, term))
    return _positive(spec, _column(model, name), operator, value, term)


def _column(model: Model, name: str) -> str:
    return f'"{model.name_field if name == "display_name" else name}"'


def _through(spec: Field, name: str, rest: list[Any], term: object) -> Sql:
    """A path such as ``company_id.name``: the records whose other end fits."""
    if not spec.relation:
        raise python_error("ValueError", f"Invalid field path in leaf {term!r}")
    other = MODELS[spec.relation]
    inner = where(other, [rest])
    found = f"SELECT id FROM {other.table} WHERE {inner.text}"
    return _linked(spec, f'"{name}"', Sql(found, inner.values))


def _linked(spec: Field, column: str, found: Sql) -> Sql:
    """The records that point to one of the ids that ``found`` selects."""
    if spec.link:
        table, own, other = spec.link
        return Sql(f"id IN (SELECT {own} FROM {table} WHERE {other} IN ({found.text}))", found.values)
    return Sql(f"{column} IN ({found.text})", found.values)


def _positive(spec: Field, column: str, operator: str, value: Any, term: Any) -> Sql:
    if operator == "=?":
        return TRUE if value in (False, None) else _positive(spec, column, "=", value, term)
    if operator in ("child_of", "parent_of"):
        operator = "in"  # the sandbox knows no deep hierarchies
    if operator == "in" or (operator == "=" and isinstance(value, list | tuple)):
        return _among(spec, column, value if isinstance(value, list | tuple) else [value])
    if operator == "=":
        return _among(spec, column, [value])
    if operator in COMPARE and spec.stored:
        return Sql(f"{column} {COMPARE[operator]} ?", (value,))
    if operator in ("like", "ilike", "=like", "=ilike"):
        return _like(spec, column, operator, str(value or ""))
    raise _invalid_operator(operator, term)


def _invalid_operator(operator: object, term: object) -> OdooError:
    return python_error("ValueError", f"Invalid operator {operator!r} in domain term {term!r}")


def _among(spec: Field, column: str, values: Sequence[Any]) -> Sql:
    """``in``: False and None in the list stand for «not set»."""
    if spec.kind == "boolean":
        return _boolean(column, {bool(value) for value in values})
    wanted = [value for value in values if value is not False and value is not None]
    unset = len(wanted) < len(values)
    names = [value for value in wanted if isinstance(value, str)] if spec.relation else []
    if names:
        other = MODELS[spec.relation]
        found = Sql(f'SELECT id FROM {other.table} WHERE "{other.name_field}" IN (SELECT value FROM json_each(?))')
        return _linked(spec, column, Sql(found.text, (json.dumps(names),)))
    if spec.kind in ("char", "selection", "html", "text"):
        wanted = [str(value) for value in wanted]
    some = _equal(spec, column, wanted)
    return _join("|", some, _unset(spec, column)) if unset else some


def _boolean(column: str, wanted: set[bool]) -> Sql:
    if len(wanted) != 1:
        return TRUE if wanted else FALSE
    return Sql(f"{column} = 1") if True in wanted else Sql(f"IFNULL({column}, 0) = 0")


def _equal(spec: Field, column: str, wanted: list[Any]) -> Sql:
    if not wanted:
        return FALSE
    if spec.link:
        return _linked(spec, column, Sql("SELECT value FROM json_each(?)", (json.dumps(wanted),)))
    if len(wanted) == 1:
        return Sql(f"{column} = ?", (wanted[0],))
    return Sql(f"{column} IN (SELECT value FROM json_each(?))", (json.dumps(wanted),))


def _unset(spec: Field, column: str) -> Sql:
    if spec.link:
        table, own, _other = spec.link
        return Sql(f"id NOT IN (SELECT {own} FROM {table})")
    return Sql(f"({column} IS NULL OR {column} = '')" if spec.kind == "char" else f"{column} IS NULL")


def _like(spec: Field, column: str, operator: str, value: str) -> Sql:
    """Patterns: GLOB keeps the case (and can use an index), the lower-cased LIKE does not."""
    if spec.relation:
        other = MODELS[spec.relation]
        inner = _like(other.fields[other.name_field], f'"{other.name_field}"', operator, value)
        return _linked(spec, column, Sql(f"SELECT id FROM {other.table} WHERE {inner.text}", inner.values))
    pattern = value if operator.startswith("=") else f"%{value}%"
    if operator in ("ilike", "=ilike"):
        return Sql(f"odoo_lower({column}) LIKE ? ESCAPE '\\'", (pattern.lower(),))
    return Sql(f"{column} GLOB ?", (_glob(pattern),))


def _glob(pattern: str) -> str:
    """A LIKE pattern (``%``, ``_``, backslash escapes) as a GLOB pattern."""
    out, letters = [], iter(pattern)
    for letter in letters:
        if letter == "\\":
            letter = next(letters, "\\")
            out.append(_SPECIAL.get(letter, letter))
        else:
            out.append({"%": "*", "_": "?"}.get(letter) or _SPECIAL.get(letter, letter))
    return "".join(out)
