# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Tell the admin something, on every way that is configured."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import notice_text, notice_ways
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_text import News
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_ways import Unsent
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import notice_channels
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    FAILED,
    INVALID,
    UNUSABLE,
    RegistryAction,
    Setting,
    Stop,
)

JOB = "notify"
MOST = 900  # characters: a place of a WhatsApp template holds 1024
NO_WAY = "Set SMOS_ADMIN_EMAIL, SMOS_ADMIN_PHONE or SMOS_ADMIN_WEBHOOK as docs/backup.md says under Notices"


class ActionModule(RegistryAction):
    """One message on each way; one that fails does not keep the others from going out."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "text": {"type": "str", "required": True},
        "channels": {"type": "list", "elements": "str", "choices": list(notice_ways.NAMES), "default": []},
    }

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Called by Ansible."""
        self.take_variables(task_vars or {})
        return super().run(tmp, task_vars)

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        text = judged(args["text"])
        known = notice_channels.of_task(task_vars, self._templar.template)
        names = chosen(known, args["channels"])
        if setting.check_mode:
            return {"changed": True, "changes": [_change(name, text) for name in names], "channels": {}}
        news = News(notice_text.SAID, JOB, text, time.time(), setting.environment, setting.specs.zone)
        told = {name: sent(name, known, news) for name in names}
        errors = [
            row(f"notice by {name}", why, "", "The others went out; correct this one, then name it with --via")
            for name, why in told.items()
            if why
        ]
        result = {"changed": len(errors) < len(told), "channels": {name: not why for name, why in told.items()}}
        if errors:
            raise Stop(FAILED, errors, **result)
        return result


def judged(text: str) -> str:
    """The text as it is sent: without blanks around it. Raises Stop where it is none, or too long."""
    found = text.strip()
    shown = found.replace("\n", "").replace("\t", "")
    if not found or len(found) > MOST or not shown.isprintable():
        why = f"it has 1 to {MOST} characters, and none that cannot be seen; this has {len(found)}"
        raise Stop(INVALID, [row("the text of the notice", why, "", "Nothing was sent; give another text")])
    return found


def chosen(known: notice_channels.Channels, wanted: t.Sequence[str]) -> list[str]:
    """The ways that it goes: those that are wanted, else all. Raises Stop where one is not configured, or none is."""
    there = [name for name in notice_ways.NAMES if name in known.notices]
    lacking = [name for name in wanted if name not in there]
    if lacking or not there:
        what = " and ".join(lacking) or "notices"
        raise Stop(UNUSABLE, [row(what, "this environment has no such way to the admin", "", NO_WAY)])
    return [name for name in there if not wanted or name in wanted]


def sent(name: str, known: notice_channels.Channels, news: News) -> str:
    """Hand it over; gives why it could not be, or nothing."""
    language = str(known.notices.get("language") or notice_text.SPANISH)
    try:
        way = notice_ways.way_of(name, known.notices[name], lambda path: known.files[path].strip())
        way.send(news, notice_text.words(news, language))
    except Unsent as exc:
        return str(exc)
    return ""


def _change(name: str, text: str) -> dict[str, t.Any]:
    return {"service": name, "tenant": None, "action": "create", "what": "notice", "before": None, "after": text}
