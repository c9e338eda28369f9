# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Judge a change of registered tenants, or a step of their lives, before anything is touched."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import rut
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import (
    changes,
    clashes,
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
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import SpecError, shown
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

TAKES_BACK = frozenset({"delete", "purge"})  # what cannot simply be undone has to be confirmed


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
        every = inventory_cache.load_all(setting.root, setting.environment)
        entries = self._due(every, setting) if args["due"] else [_named(name, every, setting) for name in args["id"]]
        self._confirmed(entries, args, setting)
        wish = {key: value for key, value in args.items() if value is not None}
        documents = [self._changed(entry, args["job"], wish, setting, every) for entry in entries]
        return {
            "changed": False,
            "tenants": [
                {
                    "host": document["spec"]["slug"],
                    "document": document,
                    "judged": requested.fingerprint(t.cast("dict[str, t.Any]", entry.document)["spec"]),
                    "groups": [requested.CHANGED],
                    "tenant": tenant.merged(document, setting.specs, setting.environment),
                }
                for entry, document in zip(entries, documents, strict=True)
            ],
        }

    @staticmethod
    def _due(every: list[inventory_cache.Entry], setting: Setting) -> list[inventory_cache.Entry]:
        """The deleted tenants whose time is up, and those whose purge did not come to its end."""
        now, days = status.now(), setting.specs.registry["retention"]["purge_days"]
        sound = [entry for entry in every if entry.lives_here and not entry.mistakes and entry.document]
        return [entry for entry in sound if changes.is_due(entry.document["spec"], setting.environment, now, days)]

    @staticmethod
    def _confirmed(entries: t.Sequence[inventory_cache.Entry], args: dict[str, t.Any], setting: Setting) -> None:
        """Purging needs the slug of each tenant, unless its time is up; so does deleting where the environment asks."""
        policy = setting.specs.environments.get(setting.environment, {})
        asks = args["job"] == "purge" or (args["job"] in TAKES_BACK and policy.get("confirm", True))
        if args["due"] or not asks or setting.check_mode:
            return
        missing = [entry for entry in entries if entry.slug not in args["confirm"]]
        if missing:
            why = f"to {args['job']} a tenant in {setting.environment} has to be confirmed with its slug"
            rows = [_row(f"tenant {entry.slug} ({entry.rut})", "", why, _CONFIRM % entry.slug) for entry in missing]
            raise Stop(REFUSED, rows)

    def _changed(
        self,
        entry: inventory_cache.Entry,
        job: str,
        wish: dict[str, t.Any],
        setting: Setting,
        every: list[inventory_cache.Entry],
    ) -> dict[str, t.Any]:
        """The new document of one tenant; raises Stop or SpecError."""
        if entry.document is None or entry.mistakes:
            raise Stop(INVALID, [mistake.as_error() for mistake in entry.mistakes])
        days = setting.specs.registry["retention"]["restorable_days"]
        try:
            spec = changes.changed(
                entry.document["spec"], job, _cleaned(wish), setting.environment, status.now(), restorable_days=days
            )
        except changes.NotPossible as exc:
            raise Stop(INVALID, [_row(f"tenant {entry.slug} ({entry.rut})", job, exc.why, exc.following)]) from None
        document = {**entry.document, "spec": spec}
        mistakes = rules.judge_tenant(document, setting.specs, setting.environment)
        if mistakes:
            raise SpecError(map(tenant.as_argument, mistakes))
        clashes.refuse(spec, [other for other in every if other.rut != entry.rut])
        return t.cast("dict[str, t.Any]", plain(document))


_CONFIRM = "Give --yes, or -e tenant_confirm=%s to the playbook"


def _named(name: str, every: list[inventory_cache.Entry], setting: Setting) -> inventory_cache.Entry:
    """The entry of a RUT in any usual spelling, or of a slug."""
    try:
        keys = {name, rut.parse(name).canonical}
    except rut.RutError:
        keys = {name}
    for entry in every:
        if entry.lives_here and (entry.slug in keys or entry.rut in keys):
            return entry
    why = f"no tenant of environment {setting.environment} has this RUT or slug"
    raise Stop(INVALID, [_row(f"tenant {shown(name)}", str(setting.registry.folder), why, "See `smos tenant list`")])


def _cleaned(wish: dict[str, t.Any]) -> dict[str, t.Any]:
    """Texts as a spec keeps them."""
    return {
        key: tenant.cleaned(key, value) if isinstance(value, str) else value
        for key, value in wish.items()
        if key not in ("job", "id", "due", "confirm")
    }


def _row(what: str, where: str, why: str, following: str) -> dict[str, str]:
    return {"what": what, "where": where, "why": why, "next": following}
