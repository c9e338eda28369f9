# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Judge a change of registered tenants, or a step of their lives, before anything is touched."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import (
    changes,
    clashes,
    drift,
    identify,
    inventory_cache,
    requested,
    rules,
    status,
    tenant,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    INVALID,
    REFUSED,
    RegistryAction,
    Setting,
    Stop,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.inventory_cache import Entry
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import SpecError, shown
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain


class ActionModule(RegistryAction):
    """Gives each tenant's new document and merged form; writes nothing."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "job": {"type": "str", "required": True, "choices": [*changes.JOBS]},
        "id": {"type": "list", "elements": "str", "default": []},
        "due": {"type": "bool", "default": False},
        "confirm": {"type": "list", "elements": "str", "default": []},
        "reason": {"type": "str"},
        "name": {"type": "str"},
        "plan": {"type": "str"},
        "template": {"type": "str"},
        "email": {"type": "str"},
        "owner_name": {"type": "str"},
        "phone": {"type": "str"},
        "custom_domain": {"type": "str"},
        "shopify_store": {"type": "str"},
        "with": {"type": "list", "elements": "str"},
        "without": {"type": "list", "elements": "str"},
        "variables": {"type": "str"},
    }

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Called by Ansible. Variables are taken raw: in braces, their values would be evaluated."""
        self.take_variables(task_vars or {}, besides=("job", "due"))
        return super().run(tmp, task_vars)

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        del task_vars  # the request is all in the arguments
        entries = self._due(setting) if args["due"] else self._named(args["id"], setting)
        self._confirmed(entries, args, setting)
        wish = {key: value for key, value in args.items() if value is not None}
        documents = [self._changed(entry, args["job"], wish, setting) for entry in entries]
        self._refuse_clashes(entries, documents, setting)
        return {
            "changed": False,
            "tenants": [
                {
                    "host": document["spec"]["slug"],
                    "document": document,
                    "judged": drift.digest(t.cast("dict[str, t.Any]", entry.document)["spec"]),
                    "groups": [requested.CHANGED],
                    "tenant": tenant.merged(document, setting.specs, setting.environment),
                }
                for entry, document in zip(entries, documents, strict=True)
            ],
        }

    @staticmethod
    def _named(identifiers: t.Sequence[str], setting: Setting) -> list[Entry]:
        try:
            return identify.tenants(setting.root, setting.environment, identifiers)
        except identify.NoSuchTenant as exc:
            what, where = f"tenant {shown(exc.identifier)}", str(setting.registry.folder)
            raise Stop(INVALID, [row(what, str(exc), where, "See `smos tenant list`")]) from None

    @staticmethod
    def _due(setting: Setting) -> list[Entry]:
        """The deleted tenants whose time is up, and those whose purge did not come to its end."""
        every = inventory_cache.load_all(setting.root, setting.environment)
        now, days = status.now(), setting.specs.registry["retention"]["purge_days"]
        sound = [entry for entry in every if entry.lives_here and not entry.mistakes and entry.document]
        return [entry for entry in sound if changes.is_due(entry.document["spec"], setting.environment, now, days)]

    @staticmethod
    def _confirmed(entries: t.Sequence[Entry], args: dict[str, t.Any], setting: Setting) -> None:
        """What is asked for needs the slug of each tenant once more, unless its time is up."""
        policy = setting.specs.environments.get(setting.environment, {})
        if args["due"] or setting.check_mode or not changes.must_be_confirmed(args["job"], policy):
            return
        missing = [entry for entry in entries if entry.slug not in args["confirm"]]
        if missing:
            why = f"to {args['job']} a tenant in {setting.environment} has to be confirmed with its slug"
            rows = [row(f"tenant {entry.slug} ({entry.rut})", why, "", _CONFIRM % entry.slug) for entry in missing]
            raise Stop(REFUSED, rows)

    @staticmethod
    def _changed(entry: Entry, job: str, wish: dict[str, t.Any], setting: Setting) -> dict[str, t.Any]:
        """The new document of one tenant; raises Stop or SpecError."""
        known = t.cast("dict[str, t.Any]", entry.document)
        days = setting.specs.registry["retention"]["restorable_days"]
        try:
            spec = changes.changed(known["spec"], job, _cleaned(wish), setting.environment, status.now(), days)
        except changes.NotPossible as exc:
            raise Stop(INVALID, [row(f"tenant {entry.slug} ({entry.rut})", exc.why, job, exc.following)]) from None
        document = {**known, "spec": spec}
        mistakes = rules.judge_tenant(document, setting.specs, setting.environment)
        if mistakes:
            raise SpecError(map(tenant.as_argument, mistakes))
        return t.cast("dict[str, t.Any]", plain(document))

    @staticmethod
    def _refuse_clashes(entries: t.Sequence[Entry], documents: t.Sequence[dict[str, t.Any]], setting: Setting) -> None:
        """Refuse what belongs to another tenant. Only a new value can clash: most changes need not read all tenants."""
        new = [
            document["spec"]
            for entry, document in zip(entries, documents, strict=True)
            if clashes.claims(document["spec"]) - clashes.claims(t.cast(t.Any, entry.document)["spec"])
        ]
        every = inventory_cache.load_all(setting.root, setting.environment) if new else []
        for spec in new:
            clashes.refuse(spec, [other for other in every if other.rut != spec["rut"]])


_CONFIRM = "Give --yes, or -e tenant_confirm=%s to the playbook"


def _cleaned(wish: dict[str, t.Any]) -> dict[str, t.Any]:
    """Texts as a spec keeps them."""
    return {
        key: tenant.cleaned(key, value) if isinstance(value, str) else value
        for key, value in wish.items()
        if key not in ("job", "id", "due", "confirm")
    }
