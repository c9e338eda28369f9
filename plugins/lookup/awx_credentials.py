# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The credentials that the jobs have in AWX."""

from __future__ import annotations

DOCUMENTATION = r"""
name: awx_credentials
author:
  - SmarterCL (@SmarterCL)
version_added: 0.1.0
short_description: Credentials of the jobs, as AWX takes them
description:
  - Gives the credentials that jobs in AWX need, from this environment. The tokens of each provider that are set become one credential
    with a type of its own, which brings them back as the same variables. Keys are read from the files that
    E(SMOS_SCHEDULER_SSH_KEY_FILE), E(SMOS_SCHEDULER_GIT_KEY_FILE) and E(SMOS_SCHEDULER_VAULT_FILE) name; E(SMOS_SCHEDULER_SSH_USER)
    is the user on the machines.
  - A credential's description has a salted, slow fingerprint of what it holds, since AWX gives no secret back. While it fits, the
    description stays, and C(awx.awx.credential) with C(update_secrets=false) has nothing to do.
options:
  _terms:
    description: With what all names begin.
    type: list
    elements: str
    required: true
  places:
    description: Variables of the environment that are no secrets, such as C(SMOS_SPECS_REPO).
    type: dict
    default: {}
  existing:
    description: The credentials that are there, as AWX lists them.
    type: list
    elements: dict
    default: []
notes:
  - The result holds secrets. Hand it to an option that is not logged.
"""

EXAMPLES = r"""
- name: Name the credentials
  ansible.builtin.debug:
    msg: "{{ lookup('smartercl.smarteros.awx_credentials', 'SmarterOS production') | map(attribute='name') }}"
"""

RETURN = r"""
_raw:
  description:
    - For each term the list of credentials, each with C(name), C(type), C(inputs), C(description) and C(fields). The latter are
      those of the type where it is ours, else empty.
  type: list
  elements: list
"""

import os
import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import scheduler_awx, scheduler_jobs


class LookupModule(LookupBase):
    """Reads the environment of this process."""

    def run(
        self, terms: t.Sequence[t.Any], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[t.Any]:
        """See the documentation."""
        self.set_options(var_options=variables or {}, direct=kwargs)
        places, existing = self.get_option("places"), self.get_option("existing")
        try:
            return [scheduler_awx.credentials(str(term), os.environ, places, existing) for term in terms]
        except scheduler_jobs.UnreadableKey as error:
            raise AnsibleLookupError(str(error)) from None
