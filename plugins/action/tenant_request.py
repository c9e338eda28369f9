# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Judge a request for a tenant by the specs and the registry, before anything is touched."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.lifecycle import DELETED, PURGED
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import clashes, inventory_cache, rules, status, tenant
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    INVALID,
    RegistryAction,
    Setting,
    Stop,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import shown

# Which part of a spec an argument speaks of, where it is not the one of its name
SPEAKS_OF = {
    "email": "owner.email",
    "phone": "owner.phone",
    "shopify_store": "shopify.store",
    "without": "services",
}


class ActionModule(RegistryAction):
    """Gives the tenant's document and merged form; writes nothing."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "rut": {"type": "str", "required": True},
        "name": {"type": "str", "default": ""},
        "domain": {"type": "str", "default": ""},
        "plan": {"type": "str"},
        "email": {"type": "str"},
        "phone": {"type": "str"},
        "custom_domain": {"type": "str"},
        "template": {"type": "str"},
        "shopify_store": {"type": "str"},
        "without": {"type": "list", "elements": "str", "default": []},
        "variables": {"type": "str"},
    }

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Called by Ansible."""
        self.take_variables(task_vars or {})
        return super().run(tmp, task_vars)

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        del task_vars  # the request is all in the arguments
        wish = {key: value for key, value in args.items() if value not in (None, "", [])}
        document = tenant.desired(wish, setting.specs, setting.environment, status.now())
        for warning in rules.warn_tenant(document, setting.specs, setting.environment):
            self.warn(f"{warning.message} {warning.rule} Accepted in the environment {setting.environment}.")
        entries = inventory_cache.load_all(setting.root, setting.environment)
        mine = next((entry for entry in entries if entry.rut == document["spec"]["rut"]), None)
        if mine is None:
            clashes.refuse(document["spec"], entries)
        else:
            document = self._registered(mine, document["spec"], wish, setting)
        asked = {
            "host": document["spec"]["slug"],
            "document": document,
            "tenant": tenant.merged(document, setting.specs, setting.environment),
        }
        return {"changed": False, "is_new": mine is None, "tenants": [asked]}

    def _registered(
        self, mine: inventory_cache.Entry, spec: dict[str, t.Any], wish: dict[str, t.Any], setting: Setting
    ) -> dict[str, t.Any]:
        """The document of the tenant that is registered already; refuses a request that says something else."""
        if mine.document is None or mine.mistakes:
            raise Stop(INVALID, [mistake.as_error() for mistake in mine.mistakes])
        known: dict[str, t.Any] = mine.document
        for key in ("slug", *(SPEAKS_OF.get(key, key) for key in wish)):
            if _part(known["spec"], key) != _part(spec, key):
                raise Stop(INVALID, [self._contradiction(mine, key, _part(spec, key))])
        if not tenant.lives_in(known, setting.environment):
            raise Stop(INVALID, [self._elsewhere(mine, setting.environment)])
        step = (known["spec"].get("lifecycle") or {}).get(setting.environment) or {}
        if step.get("state") in (DELETED, PURGED):
            raise Stop(INVALID, [self._gone(mine, step)])
        return known

    @staticmethod
    def _contradiction(mine: inventory_cache.Entry, key: str, asked: t.Any) -> dict[str, str]:
        known = _part((mine.document or {})["spec"], key)
        return {
            "what": f"tenant {mine.rut}",
            "where": f"{mine.path}: spec.{key}",
            "why": f"it is registered with {shown(known)}, and the request says {shown(asked)}",
            "next": "Leave the option out to go on with what is registered, or edit that file and apply it",
        }

    @staticmethod
    def _gone(mine: inventory_cache.Entry, step: dict[str, str]) -> dict[str, str]:
        return {
            "what": f"tenant {mine.rut}",
            "where": f"{mine.path}: spec.lifecycle",
            "why": f"it is {step['state']} since {step['since']}",
            "next": "Bring it back with `smos tenant restore`, or purge it before it is created anew",
        }

    @staticmethod
    def _elsewhere(mine: inventory_cache.Entry, env: str) -> dict[str, str]:
        named = (mine.document or {})["spec"].get("environments")
        return {
            "what": f"tenant {mine.rut}",
            "where": f"{mine.path}: spec.environments",
            "why": f"it lives in {', '.join(named)} and not in {env}",
            "next": f"Add {env} to that list to have it there as well",
        }


def _part(spec: dict[str, t.Any], key: str) -> t.Any:
    """A value of a spec by its dotted key; None where there is none."""
    value: t.Any = spec
    for step in key.split("."):
        value = (value or {}).get(step)
    return value
