"""As much of GraphQL as a small API needs: documents are read, held against types, costed and carried out.

Not here: subscriptions, introspection, unions, directives other than ignored ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

TOKEN = re.compile(
    r'(?:[\s,\ufeff]+|#[^\n]*)*("""(?:\\"""|(?!""")[\s\S])*"""|"(?:\\.|[^"\\\n])*"|\.\.\.|[{}()\[\]:!=@$|&]'
    r"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[_A-Za-z]\w*)"
)
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
MUTATION_COST, CONNECTION_COST = 10, 2


class GraphQLError(Exception):
    """The whole document is refused; ``code`` is Shopify's word for why, ``more`` goes beside it."""

    def __init__(self, message: str, code: str, path: Sequence[str] = (), **more: Any) -> None:
        super().__init__(message)
        self.message, self.code, self.path, self.more = message, code, list(path), more

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"message": self.message, "locations": [{"line": 1, "column": 1}]}
        if self.path:
            shown["path"] = self.path
        return {**shown, "extensions": {"code": self.code, **self.more}}


@dataclass(frozen=True)
class Variable:
    """A place for a variable's value."""

    name: str


@dataclass
class Selection:
    """A field as it was asked for; ``children`` is ``None`` where it has no braces."""

    name: str
    alias: str
    arguments: dict[str, Any]
    children: list[Selection] | None


@dataclass
class Document:
    """One operation with its variables' types (``required`` those that end in ``!`` and have no default)."""

    kind: str
    name: str
    required: set[str] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)
    defaults: dict[str, Any] = field(default_factory=dict)
    selections: list[Selection] = field(default_factory=list)


@dataclass(frozen=True)
class Field:
    """What a field gives (``None``: a scalar) and which arguments it takes; ``needed`` are the required ones."""

    type: str | None = None
    arguments: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()


Types = Mapping[str, Mapping[str, Field]]
Resolvers = Mapping[str, Callable[[Mapping[str, Any]], Any]]


@lru_cache(maxsize=256)
def parse(text: str) -> Document:
    """The first operation of a document; not to be changed. Raises :class:`GraphQLError`."""
    return _Parser(text).document()


def prepared(document: Document, variables: Mapping[str, Any]) -> list[Selection]:
    """The selections with the variables' values in their places. Raises :class:`GraphQLError`."""
    for name in sorted(document.required):
        if variables.get(name) is None:
            raise GraphQLError(
                f"Variable ${name} was provided invalid value", "INVALID_VARIABLE", value=None, problems=[]
            )
    given = {**document.defaults, **{key: value for key, value in variables.items() if key in document.declared}}
    return [_filled(each, given, document.declared) for each in document.selections]


def validate(types: Types, name: str, selections: Sequence[Selection], path: tuple[str, ...] = ()) -> None:
    """Hold selections against a type. Raises :class:`GraphQLError` for the first thing that does not fit."""
    for each in selections:
        here = (*path, each.alias)
        if each.name == "__typename":
            continue
        known = types[name].get(each.name)
        if known is None:
            message = f"Field '{each.name}' doesn't exist on type '{name}'"
            raise GraphQLError(message, "undefinedField", here, typeName=name, fieldName=each.name)
        _validate_arguments(each, known, here)
        if (known.type is None) != (each.children is None):
            message = f"Field '{each.name}' of type '{name}' has a wrong selection"
            raise GraphQLError(message, "selectionMismatch", here, typeName=name, nodeName=each.name)
        if known.type is not None:
            validate(types, known.type, each.children or [], here)


def cost(types: Types, name: str, selections: Sequence[Selection], sizes: Mapping[int, int] | None = None) -> int:
    """Points: 1 per object, 10 per mutation, a connection 2 and its nodes as often as ``first`` says.

    ``sizes`` gives, by ``id`` of a selection, how many nodes really came: then it is what was used, not asked for.
    """
    total = 0
    for each in selections:
        known = types[name].get(each.name)
        if known is None or known.type is None:
            continue
        inner = cost(types, known.type, each.children or [], sizes)
        if known.type.endswith("Connection"):
            count = each.arguments.get("first") or each.arguments.get("last") or 0
            if sizes is not None:
                count = sizes.get(id(each), 0)
            total += CONNECTION_COST + inner * int(count)
        else:
            total += (MUTATION_COST if name == "Mutation" else 1) + (0 if name == "Mutation" else inner)
    return total


def execute(
    types: Types, name: str, selections: Sequence[Selection], resolvers: Resolvers, sizes: dict[int, int]
) -> dict[str, Any]:
    """The data of a document; fields of the top level come from ``resolvers``, deeper ones from what these give."""
    data: dict[str, Any] = {}
    for each in selections:
        if each.name == "__typename":
            data[each.alias] = name
            continue
        value = resolvers[each.name](each.arguments)
        data[each.alias] = _shaped(types, types[name][each.name].type, each, value, sizes)
    return data


def _shaped(types: Types, kind: str | None, selection: Selection, value: Any, sizes: dict[int, int]) -> Any:
    """The part of a value that was asked for. A callable inside is given the field's arguments."""
    if callable(value):
        value = value(selection.arguments)
    if kind is None or value is None:
        return value
    if isinstance(value, list):
        return [_shaped(types, kind, selection, item, sizes) for item in value]
    if kind.endswith("Connection"):
        sizes[id(selection)] = len(value["nodes"])
    shaped: dict[str, Any] = {}
    for each in selection.children or []:
        if each.name == "__typename":
            shaped[each.alias] = kind
        else:
            shaped[each.alias] = _shaped(types, types[kind][each.name].type, each, value[each.name], sizes)
    return shaped


def _validate_arguments(each: Selection, known: Field, path: tuple[str, ...]) -> None:
    for argument in each.arguments:
        if argument not in known.arguments:
            message = f"Field '{each.name}' doesn't accept argument '{argument}'"
            raise GraphQLError(message, "argumentNotAccepted", path, name=each.name, argumentName=argument)
    missing = sorted(argument for argument in known.needed if each.arguments.get(argument) is None)
    if missing:
        message = f"Field '{each.name}' is missing required arguments: {', '.join(missing)}"
        raise GraphQLError(message, "missingRequiredArguments", path, className="Field", name=each.name)


def _filled(selection: Selection, variables: Mapping[str, Any], declared: set[str]) -> Selection:
    def put(value: Any) -> Any:
        if isinstance(value, Variable):
            if value.name not in declared:
                raise GraphQLError(f"Variable ${value.name} is used but not declared", "variableNotDefined")
            return variables.get(value.name)
        if isinstance(value, list):
            return [put(item) for item in value]
        if isinstance(value, dict):
            return {key: put(item) for key, item in value.items() if _present(item)}
        return value

    def _present(value: Any) -> bool:
        return not isinstance(value, Variable) or value.name not in declared or value.name in variables

    children = None
    if selection.children is not None:
        children = [_filled(each, variables, declared) for each in selection.children]
    arguments = {key: put(value) for key, value in selection.arguments.items() if _present(value)}
    return Selection(selection.name, selection.alias, arguments, children)


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        at = 0
        end = len(re.sub(r"(?:[\s,]+|#[^\n]*)+\Z", "", text))
        while at < end:
            found = TOKEN.match(text, at)
            if found is None:
                raise GraphQLError(f'Parse error on "{text[at : at + 10]}"', "PARSE_ERROR")
            self._tokens.append(found.group(1))
            at = found.end()
        self._at = 0
        self._fragments: dict[str, list[Selection]] = {}

    def document(self) -> Document:
        operations: list[Document] = []
        # Fragments may stand behind the operation that uses them: read them first
        for only_fragments in (True, False):
            self._at, operations = 0, []
            while self._at < len(self._tokens):
                self._definition(operations, only_fragments)
        if not operations:
            raise GraphQLError("No query string was present", "PARSE_ERROR")
        return operations[0]

    def _definition(self, operations: list[Document], only_fragments: bool) -> None:
        if self._peek() == "fragment":
            self._next()
            name = self._next()
            self._expect("on")
            self._next()
            self._fragments[name] = self._selections(lenient=only_fragments)
            return
        document = Document("query", "")
        if self._peek() in ("query", "mutation"):
            document.kind = self._next()
            document.name = self._next() if self._peek() not in ("(", "{", "@") else ""
            if self._peek() == "(":
                self._variables(document)
        document.selections = self._selections(lenient=only_fragments)
        operations.append(document)

    def _variables(self, document: Document) -> None:
        self._expect("(")
        while self._peek() != ")":
            self._expect("$")
            name = self._next()
            self._expect(":")
            text = ""
            while self._peek() not in ("$", ")", "="):
                text += self._next()
            document.declared.add(name)
            if self._peek() == "=":
                self._next()
                document.defaults[name] = self._value()
            elif text.endswith("!"):
                document.required.add(name)
        self._expect(")")

    def _selections(self, lenient: bool) -> list[Selection]:
        self._expect("{")
        found: list[Selection] = []
        while self._peek() != "}":
            if self._peek() == "...":
                found += self._spread(lenient)
            else:
                found.append(self._field(lenient))
        self._expect("}")
        return found

    def _spread(self, lenient: bool) -> list[Selection]:
        self._expect("...")
        if self._peek() == "{":
            return self._selections(lenient)
        name = self._next()
        if name == "on":
            self._next()
            return self._selections(lenient)
        if name not in self._fragments and not lenient:
            raise GraphQLError(f"Fragment {name} was used, but not defined", "useAndDefineFragment")
        return self._fragments.get(name, [])

    def _field(self, lenient: bool) -> Selection:
        name = alias = self._name()
        if self._peek() == ":":
            self._next()
            name = self._name()
        arguments: dict[str, Any] = {}
        if self._peek() == "(":
            self._next()
            while self._peek() != ")":
                key = self._name()
                self._expect(":")
                arguments[key] = self._value()
            self._expect(")")
        children = self._selections(lenient) if self._peek() == "{" else None
        return Selection(name, alias, arguments, children)

    def _value(self) -> Any:
        sign = self._next()
        if sign == "$":
            return Variable(self._next())
        if sign == "[":
            items = []
            while self._peek() != "]":
                items.append(self._value())
            self._next()
            return items
        if sign == "{":
            mapping: dict[str, Any] = {}
            while self._peek() != "}":
                key = self._name()
                self._expect(":")
                mapping[key] = self._value()
            self._next()
            return mapping
        return _scalar(sign)

    def _name(self) -> str:
        name = self._next()
        if not re.fullmatch(r"[_A-Za-z]\w*", name):
            raise GraphQLError(f'Parse error on "{name}"', "PARSE_ERROR")
        return name

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        if not token:
            raise GraphQLError("Unexpected end of document", "PARSE_ERROR")
        self._at += 1
        return token

    def _expect(self, token: str) -> None:
        found = self._next()
        if found != token:
            raise GraphQLError(f'Parse error on "{found}", expected "{token}"', "PARSE_ERROR")


def _scalar(token: str) -> Any:
    known: dict[str, Any] = {"true": True, "false": False, "null": None}
    if token in known:
        return known[token]
    if token.startswith('"""'):
        return token[3:-3].replace('\\"""', '"""').strip("\n")
    if token.startswith('"'):
        return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", _unescaped, token[1:-1])
    if re.fullmatch(r"-?\d+", token):
        return int(token)
    if re.match(r"-?\d", token):
        return float(token)
    if re.fullmatch(r"[_A-Za-z]\w*", token):  # an enum value
        return token
    raise GraphQLError(f'Parse error on "{token}"', "PARSE_ERROR")


def _unescaped(found: re.Match[str]) -> str:
    text = found.group(1)
    return chr(int(text[1:], 16)) if text.startswith("u") else ESCAPES.get(text, text)
