# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Read what accounts elsewhere hold, all at once, for the backup of the machine."""

from __future__ import annotations

import base64
import typing as t
from functools import partial

from ansible.errors import AnsibleError
from ansible.module_utils.basic import missing_required_lib

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import shopify
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import backup_exports as exports
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import inventory_cache
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import RegistryAction, Setting

ACCOUNTS = (exports.CLOUDFLARE, exports.N8N, exports.SHOPIFY, exports.SUPABASE, exports.VERCEL)
Row = dict[str, t.Any]


class ActionModule(RegistryAction):
    """The result holds the files (private); the fact ``smos_accounts`` tells what became of each account."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "accounts": {"type": "list", "elements": "str", "choices": [*ACCOUNTS, exports.REGISTRY], "default": []},
        "timeout": {"type": "float", "default": 20.0},
        "limit": {"type": "float", "default": 120.0},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        wanted = args["accounts"] or [*ACCOUNTS, exports.REGISTRY]
        found = exports.taken(self._collectors(wanted, args, setting, task_vars), args["limit"])
        for error in found.errors:
            self.warn(f"{error['what']}: {error['why']}")
        facts = {"taken": found.accounts, "files": list(found.files), "errors": found.errors, "notes": found.notes}
        files = {name: base64.b64encode(text.encode()).decode() for name, text in found.files.items()}
        # Files hold what only the repository may hold: no callback sees them, and as no fact they lie in no cache of facts
        return {"changed": False, "files": files, "ansible_facts": {"smos_accounts": facts}, "_ansible_no_log": True}

    def _collectors(
        self, wanted: t.Sequence[str], args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]
    ) -> dict[str, exports.Collector]:
        """How each wanted account that is configured is read."""
        patience = args["timeout"]
        policy = transport.Policy(connect=min(5.0, patience), read=patience, attempts=3, patience=args["limit"])
        there, made = self._connections([name for name in ACCOUNTS if name in wanted], setting, task_vars)
        ready = {name: there[name] for name in exports.configured(there)}
        for name, collect in _SIMPLE.items():
            if name in ready:
                made[name] = partial(collect, ready[name], policy)
        if exports.SUPABASE in ready:
            made[exports.SUPABASE] = partial(exports.of_supabase, ready[exports.SUPABASE], policy, 0.9 * args["limit"])
        if exports.SHOPIFY in ready and not shopify.lacking(ready[exports.SHOPIFY]):
            tenants = _with_a_store(setting)
            made[exports.SHOPIFY] = partial(exports.of_shopify, ready[exports.SHOPIFY], tenants, policy)
        if exports.REGISTRY in wanted:
            made[exports.REGISTRY] = partial(exports.of_registry, setting.root, setting.specs.tenants_folder)
        return made

    def _connections(
        self, names: t.Sequence[str], setting: Setting, task_vars: dict[str, t.Any]
    ) -> tuple[dict[str, exports.Connection], dict[str, exports.Collector]]:
        """Of each account; and those that cannot be asked, as what fails: the machine's own data are backed up all the same."""
        found: dict[str, exports.Connection] = {}
        broken: dict[str, exports.Collector] = {}
        for name in names:
            try:
                found[name] = self.connection_of(name, setting, task_vars)
            except AnsibleError as exc:  # its text may hold a value
                broken[name] = _failing(f"its variables cannot be read ({type(exc).__name__})")
        if transport.REQUESTS_IMPORT_ERROR is not None:
            lacking = missing_required_lib("requests")
            broken |= {name: _failing(lacking) for name in exports.configured(found)}
            found = {}
        return found, broken


def _failing(why: str) -> exports.Collector:
    def fail() -> exports.Export:
        raise ApiError(why, errors.INVALID)

    return fail


_SIMPLE: t.Mapping[str, t.Callable[[t.Any, transport.Policy], exports.Export]] = {
    exports.CLOUDFLARE: exports.of_cloudflare,
    exports.N8N: exports.of_n8n,
    exports.VERCEL: exports.of_vercel,
}


def _with_a_store(setting: Setting) -> list[Row]:
    """The tenants of this environment that have something in a store of theirs."""
    entries = inventory_cache.load_all(setting.root, setting.environment)
    living = [each.merged for each in entries if each.lives_here and each.row.valid]
    return [each for each in living if _has_store(each)]


def _has_store(tenant: Row) -> bool:
    seen = (tenant["status"].get("services") or {}).get(exports.SHOPIFY) or {}
    return seen.get("state", "absent") not in ("absent", "disabled")
