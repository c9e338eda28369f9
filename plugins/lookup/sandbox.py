# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Where the embedded sandbox is, without a chain of templates: every task of a run asks it several times."""

from __future__ import annotations

DOCUMENTATION = r"""
name: sandbox
author:
  - SmarterCL (@SmarterCL)
version_added: 0.1.0
short_description: Where the embedded sandbox is
description:
  - Gives what C(smos sandbox up) has written into the state folder, which is E(SMOS_STATE_DIR), or else C(.smos) of the project.
  - A variable of the environment goes before it, E(SMOS_SANDBOX_URL) or E(SMOS_SANDBOX_SMTP_PORT). Where neither says anything,
    the result is the address that a first sandbox takes.
options:
  _terms:
    description: What is asked for, V(url) or V(smtp_port).
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Say where the sandbox is
  ansible.builtin.debug:
    msg: "{{ lookup('smartercl.smarteros.sandbox', 'url') }}"
"""

RETURN = r"""
_raw:
  description: The address or the port, one for each term.
  type: list
  elements: str
"""

import os
import typing as t
from pathlib import Path

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

USUAL = {"url": "http://127.0.0.1:8321", "smtp_port": "8322"}


class LookupModule(LookupBase):
    """Looks into the state folder in this process."""

    def run(
        self, terms: t.Sequence[t.Any], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[str]:
        """See the documentation."""
        self.set_options(var_options=variables or {}, direct=kwargs)
        unknown = [str(term) for term in terms if term not in USUAL]
        if unknown:
            raise AnsibleLookupError(f"{', '.join(unknown)}: a sandbox has {' and '.join(USUAL)}")
        return [_found(str(term), variables or {}) for term in terms]


def _found(what: str, variables: t.Mapping[str, t.Any]) -> str:
    named = os.environ.get(f"SMOS_SANDBOX_{what.upper()}")
    if named:
        return named
    try:
        return (_state(variables) / "sandbox" / what).read_text(encoding="utf-8").strip() or USUAL[what]
    except OSError:
        return USUAL[what]


def _state(variables: t.Mapping[str, t.Any]) -> Path:
    named = os.environ.get("SMOS_STATE_DIR")
    return Path(named) if named else _project(variables) / ".smos"


def _project(variables: t.Mapping[str, t.Any]) -> Path:
    """The project's folder. A host that a play adds, and localhost, have no inventory_dir of their own."""
    named = os.environ.get("SMOS_PROJECT_DIR")
    if named:
        return Path(named)
    inventory = variables.get("inventory_dir")
    return Path(str(inventory)).parent.parent if inventory else Path(str(variables.get("playbook_dir", "."))).parent
