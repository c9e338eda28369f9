# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Judge what a playbook was given, before anything is touched."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import playbook_inputs
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import INVALID, Stop


class ActionModule(ActionBase):
    """Tells all that is missing, wrong or unknown in one failure; needs neither specs nor a connection."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Called by Ansible."""
        result: dict[str, t.Any] = super().run(tmp, task_vars)
        spec = {"playbook": {"type": "str", "required": True}}
        _valid, args = self.validate_argument_spec(argument_spec=spec)
        inputs = playbook_inputs.load()
        name = str(args["playbook"])
        if name not in inputs.playbooks:
            result.update(failed=True, msg=f"playbooks/vars/inputs.yml has no entry {name}: add one")
            return result
        given = playbook_inputs.extra_variables(self._loader)
        errors = playbook_inputs.judge(inputs, name, playbook_inputs.started(), given, task_vars or {})
        if errors:
            result.update(failed=True, msg=str(Stop(INVALID, errors)), exit_code=INVALID, errors=errors)
        return result
