# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The digest of a day: composed, kept, and sent once."""

from __future__ import annotations

import typing as t
from datetime import date
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.action import admin_notice
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError, row
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import messages_texts
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import (
    daily_digest,
    daily_send,
    daily_system,
    daily_text,
    notice_channels,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    FAILED,
    INVALID,
    RegistryAction,
    Setting,
    Stop,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.daily_history import History

Row = dict[str, t.Any]
WANTED = "daily"  # of a tenant's key `digest`


class ActionModule(RegistryAction):
    """Reads no shop itself: the action ``tenant_activity`` did."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "activity": {"type": "dict", "required": True},
        "state_dir": {"type": "path", "required": True},
        "status": {"type": "dict", "default": {}},
        "system": {"type": "dict", "default": {}},
        "send": {"type": "bool", "default": False},
        "force": {"type": "bool", "default": False},
        "channels": {"type": "list", "elements": "str", "choices": list(admin_notice.notice_ways.NAMES), "default": []},
        "link": {"type": "str", "default": ""},
        "timeout": {"type": "float", "default": 10.0},
    }

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Called by Ansible."""
        self.take_variables(task_vars or {}, besides=("activity", "state_dir"))
        return super().run(tmp, task_vars)

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        texts = _texts(setting)
        known = notice_channels.of_task(task_vars, self._templar.template) if args["send"] else None
        names = admin_notice.chosen(known, args["channels"]) if known else []
        if args["send"] and not args["activity"]["over"]:
            why = "the day is not over, and its digest is sent once"
            raise Stop(INVALID, [row(f"--send for {args['activity']['date']}", why, "", "Send it tomorrow")])
        digest = daily_digest.composed(args["activity"], self._system(args, setting, task_vars), setting.environment)
        link = args["link"] or f"smos daily --date {digest['date']}"
        text = daily_text.message(texts[messages_texts.DAILY], digest, link)
        digest["message"] = text.text
        opted = self._opted(digest, setting, task_vars)
        if setting.check_mode:
            foretold = daily_send.changes(digest["date"], names, opted) if args["send"] else []
            return {"changed": bool(foretold), "changes": foretold, "digest": digest, "sent": {}}
        history = History(Path(args["state_dir"]) / "daily" / setting.environment)
        if digest["over"]:
            history.keep(date.fromisoformat(digest["date"]), digest)
        if known is None:
            return {"changed": False, "digest": digest, "sent": {}}
        with history.alone():
            return self._sent(args, setting, task_vars, history, _Told(digest, texts, text, known, names, opted))

    def _system(self, args: Row, setting: Setting, task_vars: Row) -> Row:
        machine = daily_system.of_machine(args["status"])
        template = self._templar.template
        expiring = daily_system.of_tokens(setting.specs, setting.environment, task_vars, template, args["timeout"])
        expiring["soon"] += machine.pop("certificates")
        return {**machine, "expiring": expiring, **args["system"]}

    @staticmethod
    def _opted(digest: Row, setting: Setting, task_vars: Row) -> list[Row]:
        """The merged tenants whose owners want a digest, and who are there to get one."""
        names = [each["slug"] for each in digest["tenants"]]
        merged = setting.tenants(names, task_vars) if names else []
        return [each for each in merged if each.get("digest") == WANTED and each["wish"] == "active"]

    def _sent(self, args: Row, setting: Setting, task_vars: Row, history: History, told: _Told) -> Row:
        outbox = history.outbox
        zone = setting.specs.zone
        sender = daily_send.Sender(outbox, setting.environment, zone, told.digest["date"], args["force"])
        try:
            founder = sender.founder(told.known, told.names, told.text)
            owners = sender.owners(told.opted, self._messengers(task_vars), told.of_owner) if told.opted else {}
        except ApiError as exc:
            raise Stop(FAILED, [exc.as_dict("the digest")], digest=told.digest) from None
        finally:
            outbox.close()
        sent = {"founder": founder, "owners": owners}
        result = {"changed": _went(founder) or _went(owners), "digest": told.digest, "sent": sent}
        errors = [*_errors(founder, "the digest by {}"), *_errors(owners, "the digest to the owner of {}")]
        if errors:
            raise Stop(FAILED, errors, **result)
        return result

    def _messengers(self, task_vars: Row) -> Row:
        """The connection to WhatsApp and to the mail server."""

        def value(name: str) -> t.Any:
            return self._templar.template(task_vars.get(name, ""))

        keys = ("url", "token", "phone_number_id")
        smtp = {key: str(value(f"smtp_{key}") or "") for key in ("host", "port", "user", "password", "from", "tls")}
        return {**{key: str(value(f"whatsapp_{key}") or "") for key in keys}, "smtp": smtp if smtp["host"] else {}}


class _Told(t.NamedTuple):
    """What is sent, and to whom."""

    digest: Row
    texts: t.Mapping[str, messages_texts.Text]
    text: messages_texts.Text
    known: notice_channels.Channels
    names: list[str]
    opted: list[Row]

    def of_owner(self, tenant: t.Mapping[str, t.Any]) -> messages_texts.Text:
        """The message to the owner of a merged tenant."""
        figures = next(each for each in self.digest["tenants"] if each["id"] == tenant["id"])
        owner = daily_send.shown_owner(tenant)
        return daily_text.owners(self.texts[messages_texts.DAILY_OWNER], self.digest, figures, owner)


def _texts(setting: Setting) -> dict[str, messages_texts.Text]:
    folder = setting.root / "messages"
    try:
        found = {kind: messages_texts.read(folder, kind) for kind in messages_texts.DIGESTS}
    except ApiError as exc:
        raise Stop(INVALID, [row("messages", exc.message, exc.where, "Correct that file; nothing was sent")]) from None
    language = messages_texts.DEFAULT_LANGUAGE
    return {kind: messages_texts.chosen(found, kind, language) for kind in found}


def _went(told: t.Mapping[str, t.Mapping[str, str]]) -> bool:
    return any(each["state"] == daily_send.SENT for each in told.values())


def _errors(told: t.Mapping[str, t.Mapping[str, str]], what: str) -> list[dict[str, str]]:
    following = "The others went out; the same command sends what is missing"
    return [
        row(what.format(name), each.get("why", ""), "", following)
        for name, each in told.items()
        if each["state"] == daily_send.NOT_SENT
    ]
