# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Which ways the machine itself has to the admin, from the variables of the inventory.

The machine tells of failed backups without the control node (``module_utils/backup/notice.py``): it gets the addresses in
its configuration, and each secret in a file of its own.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import config, notice_text, notice_ways
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import mail
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import INVALID, Stop
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

VARIABLES = (
    *("smos_admin_phone", "smos_admin_email", "smos_notice_webhook", "smos_notice_webhook_token"),
    *("smos_notice_template", "smos_notice_language"),
    *("whatsapp_url", "whatsapp_token", "whatsapp_phone_number_id"),
    *("smtp_host", "smtp_port", "smtp_user", "smtp_password", "smtp_from", "smtp_tls"),
)
"""What `channels` looks at. One that the inventory does not define counts as empty."""
NAMES = notice_ways.NAMES
_HIGHEST_PORT = 65535

Values = t.Mapping[str, t.Any]


@dataclass(frozen=True)
class Channels:
    """``notices``: the section of the machine's configuration. ``files``: secrets by path, for the owner's eyes only (0600).

    An address of a webhook is a secret, too: for most chat programs who knows it may write.
    """

    notices: dict[str, t.Any] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict, repr=False)


def of_task(variables: Values, template: t.Callable[[t.Any], t.Any]) -> Channels:
    """The channels, out of the variables of a task. Raises Stop that names the variable whose value cannot be right."""
    try:
        return channels({name: plain(template(variables[name])) for name in VARIABLES if name in variables})
    except ApiError as exc:
        following = "Correct that variable, then run the same command again"
        raise Stop(INVALID, [errors.row("notices", exc.message, "", following)]) from exc


def channels(values: Values, folder: str = str(config.FOLDER), prefix: str = "notice") -> Channels:
    """The channels for which all is set; one that lacks something is left out.

    ``values`` are templated; the files' names begin with ``prefix``. Raises ApiError that names the variable whose value cannot be right.
    """
    found = Channels()
    if _text(values, "smos_notice_language"):
        found.notices["language"] = _text(values, "smos_notice_language")
    for name, of in ((notice_ways.WEBHOOK, _webhook), (notice_ways.EMAIL, _mail), (notice_ways.WHATSAPP, _whatsapp)):
        settings, secrets = of(values)
        if not settings:
            continue
        for key, secret in secrets.items():
            path = f"{folder}/{prefix}-{name}-{key.removesuffix('_file')}"
            settings[key], found.files[path] = path, f"{_one_line(name, key, secret)}\n"
        found.notices[name] = settings
    return found


def _webhook(values: Values) -> tuple[dict[str, t.Any], dict[str, str]]:
    url, token = _text(values, "smos_notice_webhook"), _text(values, "smos_notice_webhook_token")
    if not url:
        return {}, {}
    if not url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise ApiError("smos_notice_webhook does not begin with https://", errors.INVALID)
    settings: dict[str, t.Any] = {"url_file": ""}
    return settings, {"url_file": url, **({"token_file": token} if token else {})}


def _mail(values: Values) -> tuple[dict[str, t.Any], dict[str, str]]:
    host, sender, to = (_text(values, name) for name in ("smtp_host", "smtp_from", "smos_admin_email"))
    if not (host and sender and to):
        return {}, {}
    port, tls = _text(values, "smtp_port") or "0", _text(values, "smtp_tls") or mail.STARTTLS
    if not (port.isascii() and port.isdigit()) or int(port) > _HIGHEST_PORT:
        raise ApiError("smtp_port is not a port", errors.INVALID)
    if tls not in mail.PORTS:
        raise ApiError(f"smtp_tls is none of {', '.join(mail.PORTS)}", errors.INVALID)
    user, password = _text(values, "smtp_user"), _text(values, "smtp_password")
    settings = {"host": host, "port": int(port), "tls": tls, "user": user, "from": sender, "to": to}
    return settings, {"password_file": password} if user and password else {}


def _whatsapp(values: Values) -> tuple[dict[str, t.Any], dict[str, str]]:
    names = ("whatsapp_url", "whatsapp_phone_number_id", "whatsapp_token", "smos_admin_phone")
    url, number, token, to = (_text(values, name) for name in names)
    if not (url and number and token and to):
        return {}, {}
    template = _text(values, "smos_notice_template") or notice_ways.TEMPLATE
    language = _text(values, "smos_notice_language") or notice_text.SPANISH
    settings = {"url": url, "phone_number_id": number, "to": to, "template": template, "language": language}
    return settings, {"token_file": token}


def _text(values: Values, name: str) -> str:
    found = values.get(name)
    return "" if found is None else str(found).strip()


def _one_line(channel: str, key: str, secret: str) -> str:
    if not secret.isprintable():
        what = key.removesuffix("_file")
        raise ApiError(
            f"the {what} for notices by {channel} has a line break or an invisible sign in it", errors.INVALID
        )
    return secret
