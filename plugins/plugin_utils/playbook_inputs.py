# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a playbook takes from its caller, and what of that is missing, wrong or unknown."""

from __future__ import annotations

import difflib
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from ansible.module_utils.common.validation import (
    check_type_bool,
    check_type_dict,
    check_type_float,
    check_type_int,
    check_type_list,
)

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import shown
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
DESCRIPTION = PLAYBOOKS / "vars" / "inputs.yml"
_Loader: t.Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_HIDDEN = "a value that is not shown"


def _text(value: t.Any) -> str:
    if isinstance(value, (list, dict)):
        raise TypeError
    return str(value)


_TYPES: dict[str, tuple[str, t.Callable[[t.Any], t.Any]]] = {
    "str": ("a text", _text),
    "bool": ("true or false", check_type_bool),
    "int": ("a whole number", check_type_int),
    "float": ("a number", check_type_float),
    "list": ("a list", check_type_list),
    "dict": ("a mapping", check_type_dict),
}
"""By name: its words, and what converts a value or raises TypeError. The same as in a module's options."""
TYPES = tuple(_TYPES)


@dataclass(frozen=True)
class Variable:
    """A variable of a playbook."""

    name: str
    type: str
    description: str
    required: bool = False
    choices: tuple[str, ...] = ()
    secret: bool = False
    needs: tuple[str, ...] = ()

    def wrong(self, value: t.Any) -> str:
        """Why the value cannot be used; nothing where it can."""
        if _is_template(value):
            return ""  # what becomes of it is only known where it is used
        words, convert = _TYPES[self.type]
        found = _HIDDEN if self.secret else shown(value)
        try:
            given = convert(value)
        except (TypeError, ValueError):
            return f"it is {words}; {found} was given"
        if self.choices:
            each = [str(item) for item in (given if isinstance(given, list) else [given])]
            unknown = [item for item in each if item not in self.choices]
            if unknown:
                told = found if self.secret else " and ".join(shown(item) for item in unknown)
                return f"it is one of {', '.join(self.choices)}; {told} was given"
        return ""


@dataclass(frozen=True)
class Inputs:
    """All playbooks with their variables."""

    prefixes: tuple[str, ...]
    playbooks: t.Mapping[str, t.Mapping[str, Variable]]
    """The variables of each playbook's own, by its name and theirs."""
    parts: t.Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The playbooks that a playbook imports."""

    def variables(self, playbook: str) -> dict[str, Variable]:
        """A playbook's variables with those of the playbooks that it imports; its own words come first."""
        found: dict[str, Variable] = {}
        for part in self.parts.get(playbook, ()):
            found.update(self.variables(part))
        return {**found, **self.playbooks[playbook]}


def load(path: Path = DESCRIPTION) -> Inputs:
    """Read the description."""
    document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - the loader is a safe one
    described = document["playbooks"]
    return Inputs(
        tuple(document["prefixes"]),
        {name: _variables(entry.get("variables") or {}) for name, entry in described.items()},
        {name: tuple(entry.get("with") or ()) for name, entry in described.items()},
    )


def _variables(described: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, Variable]:
    return {name: _variable(name, one) for name, one in described.items()}


def _variable(name: str, one: t.Mapping[str, t.Any]) -> Variable:
    whole: dict[str, t.Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in one.items()}
    return Variable(name, **whole)


def judge(
    inputs: Inputs, playbook: str, started: t.Sequence[str], given: t.Mapping[str, t.Any], known: t.Container[str]
) -> list[dict[str, str]]:
    """All that is missing, wrong or unknown, as rows of an error.

    :param started: the playbooks that were named on the command line
    :param given: the extra variables, as they were written
    :param known: names of variables that have a value, be it from the inventory
    """
    own = inputs.variables(playbook)
    rows: list[dict[str, str]] = []
    for name, variable in own.items():
        value = given.get(name)
        if name in given and not _empty(value):
            why = variable.wrong(value)
            lacking = [other for other in variable.needs if _empty(given.get(other)) and other not in known]
            if lacking:
                why = why or f"with it {' and '.join(lacking)} must be given"
            rows += [_row(playbook, name, why, _described(variable))] if why else []
        elif variable.required and (name in given or name not in known):
            rows.append(_row(playbook, name, "it is missing", _described(variable)))
    return rows + _unknown(inputs, playbook, started, given)


def _unknown(
    inputs: Inputs, playbook: str, started: t.Sequence[str], given: t.Mapping[str, t.Any]
) -> list[dict[str, str]]:
    """Variables that look like ours and are none: most often a name that was mistyped."""
    # What was started says what may be given: an imported playbook takes less. Somebody else's playbook may import any
    ours = [playbook, *started] if set(started) & set(inputs.playbooks) else [*inputs.playbooks]
    allowed = {name for each in ours if each in inputs.playbooks for name in inputs.variables(each)}
    strange = [name for name in given if name.startswith(inputs.prefixes) and name not in allowed]
    roles = _role_variables() if strange else frozenset()
    rows = []
    for name in strange:
        if name in roles:
            continue
        near = difflib.get_close_matches(name, sorted(allowed), 1)
        following = f"Perhaps {near[0]} is meant" if near else f"It takes: {', '.join(sorted(allowed)) or 'nothing'}"
        rows.append(_row(playbook, name, "this playbook has no such variable", following))
    return rows


def _role_variables() -> frozenset[str]:
    """Variables of roles share our prefixes, and may be given to any playbook. Only read where one is in question."""
    found: set[str] = set()
    for path in (PLAYBOOKS.parent / "roles").glob("*/defaults/main.yml"):
        found.update(yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader) or {})  # noqa: S506 - a safe loader
    return frozenset(found)


def extra_variables(loader: t.Any) -> dict[str, t.Any]:
    """What was given with -e, without Ansible's tags. Ansible has read it already and keeps it."""
    from ansible.utils.vars import load_extra_vars

    return {str(name): plain(value) for name, value in load_extra_vars(loader).items()}


def started() -> tuple[str, ...]:
    """The names of the playbooks on the command line, without folder, collection and ending."""
    from ansible import context

    named = context.CLIARGS.get("args") or ()
    return tuple(Path(str(each)).name.removesuffix(".yml").removesuffix(".yaml").rpartition(".")[2] for each in named)


def _row(playbook: str, name: str, why: str, following: str) -> dict[str, str]:
    return row(f"variable {name}", why, f"playbook {playbook}.yml", following)


def _described(variable: Variable) -> str:
    needed = " (required)" if variable.required else ""
    choices = f", one of {', '.join(variable.choices)}" if variable.choices else ""
    return f"{variable.name}{needed}: {variable.type}{choices}. {variable.description}"


def _empty(value: t.Any) -> bool:
    """Forms send a text without a character for what nobody filled in."""
    return value is None or value == ""


def _is_template(value: t.Any) -> bool:
    return isinstance(value, str) and "{{" in value
