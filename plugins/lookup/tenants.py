# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The merged tenants of host names, as they are now."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tenants
author:
  - SmarterCL (@SmarterCL)
version_added: 0.1.0
short_description: Merged tenants of inventory host names
description:
  - Gives the list of merged tenants for a list of inventory host names, in that order, in one step for all of them.
  - The registry is looked at when the lookup runs, so what an earlier task of the same play wrote into it is seen.
  - A host of the group C(tenants_requested) is taken as its variable C(tenant) has it, with the status of the registry, since what
    was just requested is not written yet. So is a host that is not in the registry.
options:
  _terms:
    description: Inventory host names (slugs), for example R(ansible_play_hosts_all, ansible_play_hosts_all).
    type: list
    elements: str
    required: true
  without:
    description: Slugs or RUTs of tenants that are left out.
    type: list
    elements: str
    default: []
  text:
    description:
      - Give all of them as one JSON text, which passes a template a hundred times as fast as a list of a thousand mappings.
      - The filters that make module items of tenants take it, and give a text too; bulk modules take that.
    type: bool
    default: false
  specs:
    description: Folder of the specs.
    type: str
    required: true
    vars:
      - name: smos_specs
    env:
      - name: SMOS_SPECS_REPO
  environment:
    description: Environment whose status is part of the tenants.
    type: str
    required: true
    vars:
      - name: smos_environment
  cache_file:
    description:
      - File of the cache.
      - Without it, C(cache/registry.sqlite) in the folder E(SMOS_STATE_DIR), or else in C(.smos) of the project.
    type: str
    env:
      - name: SMOS_REGISTRY_CACHE
seealso:
  - plugin: smartercl.smarteros.tenants
    plugin_type: inventory
    description: Makes the hosts that the names are of.
"""

EXAMPLES = r"""
- name: Make the companies
  smartercl.smarteros.odoo_companies:
    companies: >-
      {{ lookup('smartercl.smarteros.tenants', ansible_play_hosts_all, without=smos_failed, text=true)
         | smartercl.smarteros.odoo_companies }}
  run_once: true
"""

RETURN = r"""
_raw:
  description: The merged tenants, in the order of the names; with O(text), one JSON text.
  type: list
  elements: raw
"""

import json
import typing as t
from pathlib import Path

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import inventory_cache, requested
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import SpecError


class LookupModule(LookupBase):
    """Looks into the registry in this process."""

    def run(
        self, terms: t.Sequence[t.Any], variables: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any
    ) -> list[t.Any]:
        """See the documentation."""
        self.set_options(var_options=variables or {}, direct=kwargs)
        names = [str(name) for term in terms for name in ([term] if isinstance(term, str) else term)]
        without = {str(one) for one in self.get_option("without")}
        wanted = [name for name in names if name not in without]
        found = [tenant for tenant in self._tenants(wanted, variables or {}) if tenant["id"] not in without]
        return [json.dumps(found)] if self.get_option("text") else found

    def _tenants(self, names: list[str], variables: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
        try:
            tenants = requested.merged_tenants(names, self._entries(names), variables)
        except KeyError as missing:
            raise AnsibleLookupError(
                f"{missing.args[0]!r} is no tenant: neither the registry nor its variables know it"
            ) from None
        return [tenants[name] for name in names]

    def _entries(self, names: list[str]) -> dict[str, inventory_cache.Entry]:
        specs = Path(self._setting("specs"))
        cache = self._setting("cache_file")
        if not specs.is_dir():
            raise AnsibleLookupError(f"{specs} is no folder of specs; the variable smos_specs names it")
        try:
            return inventory_cache.load_some(specs, self._setting("environment"), names, Path(cache) if cache else None)
        except SpecError as error:
            raise AnsibleLookupError(f"The specs in {specs} have mistakes:\n{error}") from None
        except (RuntimeError, OSError) as error:
            raise AnsibleLookupError(f"The specs in {specs} cannot be loaded: {error}") from error

    def _setting(self, option: str) -> str:
        value = self.get_option(option)
        if value and self._templar is not None:  # options come from variables as these were written
            value = self._templar.template(value)
        return str(value or "")
