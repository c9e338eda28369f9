# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From specs and variables to the section by which a machine tells people of its incidents: pure functions.

No secret is in it: it names the files that hold them.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import config
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import CRITICAL, WARNING
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import notice_channels
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import INVALID, Stop
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

ADMIN, DEPUTY = "admin", "deputy"
DEPUTYS: Mapping[str, str] = {
    "smos_admin_phone": "smos_deputy_phone",
    "smos_admin_email": "smos_deputy_email",
    "smos_notice_webhook": "smos_deputy_webhook",
    "smos_notice_webhook_token": "smos_deputy_webhook_token",
}
"""Where the deputy is, by the variable that says so of the admin. The ways themselves are the same."""
PING = "smos_health_ping"
VARIABLES = (*notice_channels.VARIABLES, *DEPUTYS.values(), PING)
PATTERNS = ("notice-*", "deputy-*", "ping-*")  # of the files with secrets, in the folder of the configuration

Values = Mapping[str, t.Any]


@dataclass(frozen=True)
class Made:
    """``section``: part of the machine's configuration. ``files``: secrets by path, for the owner's eyes only (0600)."""

    section: dict[str, t.Any]
    files: dict[str, str] = field(default_factory=dict, repr=False)


def of_task(spec: Values, variables: Values, template: Callable[[t.Any], t.Any]) -> Made:
    """The section, out of the variables of a task. Raises Stop that names the variable whose value cannot be right."""
    try:
        return alert_config(spec, {name: plain(template(variables[name])) for name in VARIABLES if name in variables})
    except ApiError as exc:
        following = "Correct that variable, then run the same command again"
        raise Stop(INVALID, [errors.row("alerts", exc.message, "", following)]) from exc


def alert_config(spec: Values, values: Values, folder: str = str(config.FOLDER)) -> Made:
    """The section out of ``alerts`` of ``infra/monitoring.yml`` and templated variables.

    Only ways for which all is set are named. Raises ApiError that names the variable whose value cannot be right.
    """
    admin = notice_channels.channels(values, folder)
    deputy = notice_channels.channels(_as_deputy(values), folder, DEPUTY)
    notices = {ADMIN: admin.notices, DEPUTY: deputy.notices}
    ways = {
        f"{contact}/{name}": settings
        for contact, found in notices.items()
        for name, settings in found.items()
        if name in notice_channels.NAMES
    }
    section: dict[str, t.Any] = {
        "ways": ways,
        "rules": _rules(spec, ways),
        "silent_after_s": spec["collector_silent_min"] * 60,
    }
    if admin.notices.get("language"):
        section["language"] = admin.notices["language"]
    files = {**admin.files, **deputy.files}
    url = _ping(values)
    if url:
        section["ping_file"] = f"{folder}/ping-url"
        files[section["ping_file"]] = f"{url}\n"
    return Made(section, files)


def _rules(spec: Values, ways: Values) -> dict[str, t.Any]:
    """The rules with the ways that there are. Where none of those that a severity names is, all of the admin's are taken."""
    own = [name for name in ways if name.startswith(f"{ADMIN}/")]
    routes = {}
    for severity in (CRITICAL, WARNING):
        wanted = [f"{ADMIN}/{channel}" for channel in spec["channels"][severity]]
        routes[severity] = [name for name in wanted if name in ways] or own
    steps = []
    for each in spec.get("escalation", ()):
        named = [f"{each['contact']}/{channel}" for channel in each["channels"]]
        found = [name for name in named if name in ways]
        if found:
            steps.append({"after_min": each["after_min"], "ways": found})
    kept = ("remind_h", "flapping", "per_hour")
    return {
        "routes": routes,
        "escalation": steps,
        "quiet_hours": dict(spec["quiet_hours"]) if spec.get("quiet_hours") else None,
        **{name: dict(spec[name]) if isinstance(spec[name], Mapping) else spec[name] for name in kept},
    }


def _as_deputy(values: Values) -> dict[str, t.Any]:
    others = {name: each for name, each in values.items() if name not in DEPUTYS}
    return {**others, **{name: values[own] for name, own in DEPUTYS.items() if own in values}}


def _ping(values: Values) -> str:
    url = str(values.get(PING) or "").strip()
    if url and not (url.startswith("https://") and url.isprintable()):
        raise ApiError(f"{PING} does not begin with https://, or has an invisible sign in it", errors.INVALID)
    return url
