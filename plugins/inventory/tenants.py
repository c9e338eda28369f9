# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The tenants of the registry as hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tenants
author:
  - SmarterCL (@SmarterCL)
version_added: 0.1.0
short_description: Tenants of the registry as hosts
description:
  - Makes a host of each tenant in the registry of the specs, named by its slug, in the group C(tenants) and in groups by
    plan (C(plan_starter)), phase (C(phase_active)) and region (C(region_cl)).
  - Each host has the variables C(tenant), what template, plan and tenant file say in one, and C(tenant_id), the RUT.
  - Shown are the tenants of one environment; C(sandbox) shows all of them, so that anything can be rehearsed there.
  - A tenant file with a mistake is told as a warning with file, line, key and rule, and left out; the others load.
  - What tenant files say is data and is never evaluated as a template.
  - What was read is kept in a cache and read again when a file or anything that it depends on changes.
requirements:
  - PyYAML
  - jsonschema-rs
extends_documentation_fragment:
  - ansible.builtin.constructed
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [smartercl.smarteros.tenants]
  specs:
    description:
      - Folder of the specs, relative to the folder of this file.
      - E(SMOS_SPECS_REPO) comes before it, so that another spec repository can be used without an edit.
    type: str
    default: ../../specs
  environment:
    description: Environment whose tenants are shown. Without it, the name of the folder that this file lies in.
    type: str
  cache_file:
    description:
      - File of the cache.
      - Without it, C(cache/registry.sqlite) in the folder E(SMOS_STATE_DIR), or else in C(.smos) of the project.
      - Where it cannot be written, everything works without it.
    type: path
    env:
      - name: SMOS_REGISTRY_CACHE
"""

EXAMPLES = r"""
# inventories/production/tenants.yml
plugin: smartercl.smarteros.tenants

# With groups of one's own
---
plugin: smartercl.smarteros.tenants
specs: ../../specs
environment: staging
groups:
  analysts: tenant.features.analytics
keyed_groups:
  - key: tenant.locale.language
    prefix: language
"""

import gc
import os
import re
import typing as t
from pathlib import Path

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.template import trust_as_template

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import inventory_cache
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.in_parallel import no_collection
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import Mistake, SpecError

FILE_NAMES = ("tenants.yml", "tenants.yaml")
_MOST_WARNINGS = 20
_NOT_IN_GROUP_NAMES = re.compile(r"[^a-z0-9_]")


class Tenant(t.NamedTuple):
    """A tenant as the inventory has it: host name, groups besides C(tenants), the merged tenant."""

    name: str
    groups: tuple[str, ...]
    merged: dict[str, t.Any]


def tenants_of(entries: t.Iterable[inventory_cache.Entry]) -> t.Iterator[Tenant]:
    """The tenants that live in the environment and have no mistakes."""
    for entry in entries:
        if entry.row.valid and entry.row.lives_here:
            yield Tenant(entry.row.slug, groups_of(entry.merged), entry.merged)


def groups_of(tenant: t.Mapping[str, t.Any]) -> tuple[str, ...]:
    """The groups by plan, phase and region, made of letters that a group name may have."""
    region = tenant.get("region") or (tenant.get("locale") or {}).get("country") or "none"
    named = (("plan", tenant["plan"]), ("phase", tenant.get("phase") or "pending"), ("region", region))
    return tuple(f"{kind}_{_NOT_IN_GROUP_NAMES.sub('_', str(value).lower())}" for kind, value in named)


# Groups that a play fills for the next one. They exist from the start: Ansible warns of patterns that match no name.
FILLED_BY_PLAYS = ("tenants_requested", "tenants_not_ready")


class InventoryModule(BaseInventoryPlugin, Constructable):
    """Feeds the tenants to Ansible."""

    NAME = "smartercl.smarteros.tenants"

    def verify_file(self, path: str) -> bool:
        """Ours are the files of that name."""
        return bool(super().verify_file(path)) and os.path.basename(path) in FILE_NAMES

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Read the configuration and the registry, and add what is there."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        specs = self._specs(path)
        with no_collection():
            self._load(specs, self._environment(path))

    def _load(self, specs: Path, environment: str) -> None:
        try:
            entries = inventory_cache.load_all(specs, environment, self._cache_file(), keep=True)
        except SpecError as error:
            raise AnsibleParserError(f"The specs in {specs} have mistakes:\n{error}") from None
        except (RuntimeError, OSError) as error:
            raise AnsibleParserError(f"The specs in {specs} cannot be loaded: {error}") from error
        self._warn([mistake for entry in entries for mistake in entry.mistakes])
        self._add_tenants(tenants_of(entries))
        gc.freeze()  # Every task is a fork of this process: its collections need not walk over all tenants, and copy their pages

    def _specs(self, path: str) -> Path:
        named = os.environ.get("SMOS_SPECS_REPO")
        specs = Path(named).expanduser() if named else Path(path).parent / Path(self._text("specs")).expanduser()
        if not specs.is_dir():
            source = "SMOS_SPECS_REPO" if named else f"the option specs in {path}"
            raise AnsibleParserError(f"{specs} is no folder; it is named by {source}.")
        return specs.resolve()

    def _environment(self, path: str) -> str:
        return self._text("environment") or Path(path).resolve().parent.name

    def _cache_file(self) -> Path | None:
        named = self._text("cache_file")
        return Path(named) if named else None

    def _text(self, option: str) -> str:
        return str(self.get_option(option) or "")

    def _warn(self, mistakes: list[Mistake]) -> None:
        for mistake in mistakes[:_MOST_WARNINGS]:
            self.display.warning(f"Tenant left out: {mistake}")
        if len(mistakes) > _MOST_WARNINGS:
            self.display.warning(f"… and {len(mistakes) - _MOST_WARNINGS} more mistakes in tenant files")

    def _add_tenants(self, tenants: t.Iterable[Tenant]) -> None:
        inventory = self.inventory
        for group in ("tenants", *FILLED_BY_PLAYS):
            inventory.add_group(group)
        inventory.set_variable("tenants", "ansible_connection", "local")
        python = trust_as_template("{{ ansible_playbook_python }}")  # the one template here, and it is ours
        inventory.set_variable("tenants", "ansible_python_interpreter", python)
        known = {"tenants"}
        constructing = any(self.get_option(option) for option in ("compose", "groups", "keyed_groups"))
        for tenant in tenants:
            inventory.add_host(tenant.name, "tenants")
            for group in tenant.groups:
                if group not in known:
                    known.add(group)
                    inventory.add_group(group)
                inventory.add_child(group, tenant.name)
            # Through the host and not through the inventory, which copies and tags each text of a value: 4 s for 10,000
            # tenants. Untagged text is untrusted, as text from outside must be.
            host = inventory.hosts[tenant.name]
            host.set_variable("tenant", tenant.merged)
            host.set_variable("tenant_id", tenant.merged["id"])
            if constructing:
                self._construct(tenant.name)

    def _construct(self, name: str) -> None:
        """What the configuration asks for besides: variables and groups made of the tenant's values."""
        variables = self.inventory.hosts[name].get_vars()
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict=strict)
