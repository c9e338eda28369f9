# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Keep in the vault what services make themselves: API keys and tokens that are shown only once."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import secret_jobs, vault
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import INVALID, Setting, Stop


def keep(given: t.Mapping[str, str], opened: vault.Vault, setting: Setting) -> list[str]:
    """Write the values that differ from those that are kept, unless in check mode; gives their names. Raises Stop.

    Their names were checked before they were made.
    """
    before = opened.read()
    differing = [name for name, value in given.items() if before.values.get(name) != value]
    if differing and not setting.check_mode:
        with opened.changing() as content:
            for name in differing:
                content.put(name, given[name])
    return differing


def check(names: t.Iterable[str], setting: Setting) -> None:
    """Raise Stop unless services make these secrets: a name that is meant to be ours would be lost in the vault."""
    known = secret_jobs.catalogue(setting.root)
    for name in names:
        if secret_jobs.named(known, name)["kind"] != secret_jobs.MADE:
            following = f"Names of kind {secret_jobs.MADE} are kept; see specs/secrets.yml"
            raise Stop(INVALID, [row(name, "this secret is not made by a service", "specs/secrets.yml", following)])
