# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Render the stack templates of all services at once, on the controller: role by role this would cost a task for each."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping
from pathlib import Path

import yaml
from ansible.errors import AnsibleError
from ansible.template import trust_as_template

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.stacks import StackError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

ROLES = Path(__file__).parents[2] / "roles"
TEMPLATE = "stack.yml.j2"


class Renderer:
    """Renders templates with the variables of a play, as a task of the role would: role defaults lie below everything else."""

    def __init__(self, templar: t.Any, loader: t.Any, variables: Mapping[str, t.Any], roles: Path = ROLES) -> None:
        self._templar = templar
        self._loader = loader
        self._variables = variables
        self._roles = roles

    def has(self, role: str) -> bool:
        """Whether the role deploys a stack."""
        return (self._roles / role / "templates" / TEMPLATE).is_file()

    def render(self, role: str) -> t.Any:
        """The service's part of its stack file. Raises StackError."""
        folder = self._roles / role
        variables = {
            **self._file(folder / "defaults" / "main.yml"),
            **self._variables,
            **self._file(folder / "vars" / "main.yml"),
            "ansible_search_path": [str(folder)],
            "role_path": str(folder),
        }
        text = (folder / "templates" / TEMPLATE).read_text(encoding="utf-8")
        templar = self._templar.copy_with_new_env(available_variables=variables, searchpath=[str(folder / "templates")])
        try:
            rendered = templar.template(trust_as_template(text))
            return yaml.safe_load(plain(rendered))
        except AnsibleError as exc:
            raise StackError(f"{role}: {_reason(exc)}") from exc
        except yaml.YAMLError as exc:
            raise StackError(
                f"{role}: templates/{TEMPLATE} does not give YAML: {getattr(exc, 'problem', exc)}"
            ) from exc

    def _file(self, path: Path) -> dict[str, t.Any]:
        if not path.is_file():
            return {}
        found: dict[str, t.Any] = self._loader.load_from_file(str(path), trusted_as_template=True) or {}
        return found


def _reason(exc: BaseException) -> str:
    """The innermost words: Ansible wraps what a lookup says in what it was looking up for."""
    while exc.__cause__ is not None:
        exc = exc.__cause__
    return " ".join(str(getattr(exc, "message", "") or exc).split())
