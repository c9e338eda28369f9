# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Environment variables with a common beginning, as one mapping."""

from __future__ import annotations

DOCUMENTATION = r"""
name: environment
author:
  - SmarterCL (@SmarterCL)
version_added: 0.1.0
short_description: Environment variables with a common beginning
description:
  - Gives the variables of the environment whose names begin with a prefix, as one mapping from the rest of the name to the
    value. Variables that are set to nothing are left out.
  - For secrets of which there is one per tenant, such as C(SHOPIFY_TOKEN_ACME).
options:
  _terms:
    description: Prefixes; of variables that two of them name, the last one counts.
    type: list
    elements: str
    required: true
notes:
  - The result holds secrets. Hand it to an option that is not logged.
"""

EXAMPLES = r"""
- name: Hand all stores' tokens to the module
  smartercl.smarteros.shopify_webhooks:
    tokens: "{{ lookup('smartercl.smarteros.environment', 'SHOPIFY_TOKEN_') }}"
    n8n_url: https://n8n.example.com
    webhooks:
      - {tenant: 76086428-5, store: acme.myshopify.com, slug: acme}
"""

RETURN = r"""
_raw:
  description: One mapping from the names without their prefix to the values.
  type: list
  elements: dict
"""

import os
import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    """Reads the environment of this process."""

    def run(
        self, terms: t.Sequence[t.Any], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[dict[str, str]]:
        """See the documentation."""
        self.set_options(var_options=variables, direct=kwargs)
        prefixes = [str(term) for term in terms]
        if not all(prefixes):
            raise AnsibleLookupError("a prefix must not be empty: that would be the whole environment")
        return [by_rest(os.environ, prefixes)]


def by_rest(environment: t.Mapping[str, str], prefixes: t.Sequence[str]) -> dict[str, str]:
    """The variables that begin with one of the prefixes, by the rest of their names."""
    return {
        name[len(prefix) :]: value
        for prefix in prefixes
        for name, value in sorted(environment.items())
        if name.startswith(prefix) and len(name) > len(prefix) and value
    }
