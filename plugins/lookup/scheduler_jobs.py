# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The jobs of the specs, as a scheduler wants them."""

from __future__ import annotations

DOCUMENTATION = r"""
name: scheduler_jobs
author:
  - SmarterCL (@SmarterCL)
version_added: 0.1.0
short_description: Jobs of the specs, as a scheduler wants them
description:
  - V(semaphore) gives C(jobs), C(keys) and C(secrets) as M(smartercl.smarteros.semaphore_project) takes them. The jobs are those of
    C(schedulers.yml). The keys are read from the files that E(SMOS_SCHEDULER_SSH_KEY_FILE), E(SMOS_SCHEDULER_GIT_KEY_FILE) and
    E(SMOS_SCHEDULER_VAULT_FILE) name; E(SMOS_SCHEDULER_SSH_USER) is the user on the machines.
  - V(awx) gives the list of jobs as the modules of the collection C(awx.awx) take them.
  - V(names) gives the names of the environment variables of each provider, from the templates in C(system/env/local). V(values) gives those
    that are set, with their values.
options:
  _terms:
    description: What is wanted.
    type: list
    elements: str
    choices: [semaphore, awx, names, values]
    required: true
  specs:
    description: Folder of the specs.
    type: str
    required: true
    vars:
      - name: smos_specs
    env:
      - name: SMOS_SPECS_REPO
notes:
  - What V(values) and V(semaphore) give holds secrets. Hand it to an option that is not logged.
"""

EXAMPLES = r"""
- name: Show the jobs
  ansible.builtin.debug:
    msg: "{{ lookup('smartercl.smarteros.scheduler_jobs', 'awx') }}"
"""

RETURN = r"""
_raw:
  description: One list or mapping for each term.
  type: list
  elements: raw
"""

import os
import typing as t
from pathlib import Path

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import scheduler_jobs
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import SpecError


class LookupModule(LookupBase):
    """Reads the specs in this process."""

    def run(
        self, terms: t.Sequence[t.Any], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[t.Any]:
        """See the documentation."""
        self.set_options(var_options=variables or {}, direct=kwargs)
        return [self._one(str(term)) for term in terms]

    def _one(self, term: str) -> t.Any:
        if term == "names":
            return scheduler_jobs.provider_names()
        if term == "values":
            return scheduler_jobs.provider_variables(os.environ)
        if term not in ("semaphore", "awx"):
            raise AnsibleLookupError(f"{term!r} is none of semaphore, awx, names, values")
        try:
            document = scheduler_jobs.read(Path(self._specs()))
            return (
                scheduler_jobs.for_awx(document)
                if term == "awx"
                else scheduler_jobs.for_semaphore(document, os.environ)
            )
        except SpecError as error:
            raise AnsibleLookupError(f"The specs have mistakes:\n{error}") from None
        except scheduler_jobs.UnreadableKey as error:
            raise AnsibleLookupError(str(error)) from None

    def _specs(self) -> str:
        value = self.get_option("specs")
        return str(self._templar.template(value) if self._templar is not None else value)
