# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The ways to the admin: a webhook, mail, WhatsApp. Each hands over one message and raises Unsent where it could not.

What is lost without an answer is sent again another time: a failure that is told twice is better than one that is
never told. No error holds an address with its path, a token or a password.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import typing as t
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_text import News, Words, plain
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import mail, whatsapp_cloud
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy

TIMEOUT_S = 10.0  # for one answer
TEMPLATE, LANGUAGE = "smarteros_respaldo", "es"
WEBHOOK, EMAIL, WHATSAPP = "webhook", "email", "whatsapp"
_MOST = 64 * 1024  # bytes of an answer that are read

Settings = t.Mapping[str, t.Any]
Secret = t.Callable[[str], str]  # the secret in the file of this path; raises Unsent


class Unsent(Exception):
    """A message was not handed over (or nobody knows); the text says why, for the machine's log."""


class Way(t.Protocol):
    """One channel."""

    def send(self, news: News, words: Words) -> None:
        """Hand one message over. Raises Unsent."""


@dataclass(frozen=True)
class Webhook:
    """POSTs the news as JSON. ``text`` is what chat programs show of it."""

    url: str
    token: str = ""

    def send(self, news: News, words: Words) -> None:
        """See `Way`."""
        body = {
            "source": "smarteros",
            "environment": news.environment,
            "zone": news.zone,
            "job": news.job,
            "state": news.what,
            "message": news.message,
            "since": int(news.since),
            "text": f"SmarterOS {news.environment}: {words.line}",
        }
        _post(self.url, self.token, body)


@dataclass(frozen=True)
class Mail:
    """Hands a mail to an SMTP server."""

    server: mail.Server
    to: str

    def send(self, news: News, words: Words) -> None:
        """See `Way`."""
        mark = hashlib.sha256(f"{news.environment} {news.job} {news.what} {news.message} {news.since}".encode())
        letter = mail.Mail(self.to, "", words.subject, words.body, f"smarteros.{news.job}.{mark.hexdigest()[:24]}")
        client = mail.MailClient(self.server, Policy(read=TIMEOUT_S))
        try:
            client.send(letter)
        except ApiError as exc:
            raise Unsent(plain(exc.message)) from None
        finally:
            client.close()


@dataclass(frozen=True)
class WhatsApp:
    """Sends a template that Meta approved: nobody can be written to freely who has not written for 24 hours."""

    url: str  # of the Graph API with its version
    number: str  # Meta's id of the number that writes
    token: str
    to: str
    template: str = TEMPLATE
    language: str = LANGUAGE

    def send(self, news: News, words: Words) -> None:
        """See `Way`. The template has two places, the environment and what happened, unless the words say others."""
        texts = words.parameters or (news.environment, words.line)
        parameters = [{"type": "text", "text": whatsapp_cloud.parameter(each)} for each in texts]
        content = {
            "name": self.template,
            "language": {"policy": "deterministic", "code": self.language},
            "components": [{"type": "body", "parameters": parameters}],
        }
        body = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": self._recipient(),
            "type": "template",
            "template": content,
        }
        answer = _post(f"{self.url.rstrip('/')}/{self.number}/messages", self.token, body, _of_meta)
        if not isinstance(answer, dict) or not answer.get("messages"):
            raise Unsent("Meta's answer names no message")

    def _recipient(self) -> str:
        try:
            return whatsapp_cloud.digits(self.to)
        except ApiError as exc:
            raise Unsent(exc.message) from None


def way_of(name: str, settings: Settings, secret: Secret | None = None) -> Way:
    """The channel of that name as it is configured. Raises Unsent.

    ``secret`` gives what is in the files that the settings name; they are read where there is none.
    """
    try:
        return _MAKERS[name](settings, secret or secret_in)
    except KeyError as exc:
        raise Unsent(f"{exc.args[0]} is not set") from None
    except (TypeError, ValueError, AttributeError):
        raise Unsent("its settings have another shape than they should") from None


def _webhook(settings: Settings, secret: Secret) -> Way:
    url = secret(settings["url_file"]) if settings.get("url_file") else str(settings["url"])
    return Webhook(url, _optional(settings, "token_file", secret))


def _mail(settings: Settings, secret: Secret) -> Way:
    server = mail.Server(
        host=str(settings["host"]),
        port=int(settings.get("port") or 0),
        user=str(settings.get("user") or ""),
        password=_optional(settings, "password_file", secret),
        sender=str(settings["from"]),
        tls=str(settings.get("tls") or mail.STARTTLS),
    )
    return Mail(server, str(settings["to"]))


def _whatsapp(settings: Settings, secret: Secret) -> Way:
    return WhatsApp(
        url=str(settings["url"]),
        number=str(settings["phone_number_id"]),
        token=secret(settings["token_file"]),
        to=str(settings["to"]),
        template=str(settings.get("template") or TEMPLATE),
        language=str(settings.get("language") or LANGUAGE),
    )


_MAKERS: t.Mapping[str, t.Callable[[Settings, Secret], Way]] = {WEBHOOK: _webhook, EMAIL: _mail, WHATSAPP: _whatsapp}
NAMES = tuple(_MAKERS)


def _optional(settings: Settings, key: str, secret: Secret) -> str:
    return secret(settings[key]) if settings.get(key) else ""


def secret_in(path: str) -> str:
    """The secret in a file. Raises Unsent."""
    try:
        found = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise Unsent(f"{path} cannot be read") from None
    if not found or not found.isprintable():
        raise Unsent(f"{path} holds no secret of one line")
    return found


def ping(url: str) -> None:
    """Tell a service that waits for it that all goes on. Raises Unsent."""
    _post(url, "", {"source": "smarteros"})


# --- HTTP


class _NoWayOn(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token, and the news, elsewhere."""

    def redirect_request(self, *_args: t.Any) -> None:
        """None: the answer stays what it is, a failure."""


def _post(url: str, token: str, body: t.Any, explained: t.Callable[[t.Any], str] | None = None) -> t.Any:
    """POST JSON and give the answer (None where it is no JSON). Raises Unsent."""
    host = _checked(url)
    headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "smarteros"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")  # noqa: S310  # checked above
    secure = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(_NoWayOn, secure)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return _parsed(answer.read(_MOST))
    except urllib.error.HTTPError as exc:
        with exc:
            raise Unsent(_refused(exc, host, explained)) from None
    except (OSError, HTTPException, ValueError) as exc:  # URLError is an OSError; its text may quote the address
        raise Unsent(f"{host} does not answer ({_cause(exc)})") from None


def _checked(url: str) -> str:
    """The host of an address that news may be sent to. Raises Unsent."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        raise Unsent("its address is none") from None
    if parts.scheme not in ("http", "https") or not host:
        raise Unsent("its address does not begin with https://")
    if parts.username or parts.password:
        raise Unsent("its address holds a user name or password: put a token into its file instead")
    if parts.scheme == "http" and not _is_here(host):
        raise Unsent(f"{host} is not asked without TLS: write https://")
    return host


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _refused(exc: urllib.error.HTTPError, host: str, explained: t.Callable[[t.Any], str] | None) -> str:
    if 300 <= exc.code < 400:
        return f"{host} answers with a redirect (HTTP {exc.code}), which is not followed"
    why = ""
    if explained is not None:
        try:
            why = explained(_parsed(exc.read(_MOST)))
        except (OSError, HTTPException):
            why = ""
    return f"{host} refuses it (HTTP {exc.code}{f', {why}' if why else ''})"


def _of_meta(answer: t.Any) -> str:
    """Meta's error code and what to do about it. Meta's own words are left out: they may repeat what was sent."""
    error = answer.get("error") if isinstance(answer, dict) else None
    code = str(error.get("code") or "") if isinstance(error, dict) else ""
    if not code.isdigit():
        return ""
    advice = whatsapp_cloud.advice(code)
    return f"Meta code {code}{f': {advice}' if advice else ''}"


def _parsed(raw: bytes) -> t.Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _cause(exc: Exception) -> str:
    inner = exc.reason if isinstance(exc, urllib.error.URLError) else exc
    if isinstance(inner, TimeoutError):
        return f"no answer within {TIMEOUT_S:g} s"
    if isinstance(inner, ssl.SSLError):
        return "TLS failed"
    return type(inner).__name__ if isinstance(inner, Exception) else "no connection"
