# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Hand mail to an SMTP server, and tell for sure whether it took it. Standard library only.

What goes wrong is told apart by the phase: until the message itself has been handed over nothing was sent; when the
connection breaks afterwards, before the server's answer, it may have been.
"""

from __future__ import annotations

import email.message
import email.policy
import email.utils
import ipaddress
import smtplib
import socket
import ssl
import threading
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy

STARTTLS, SSL, NONE = "starttls", "ssl", "none"
PORTS: t.Mapping[str, int] = {STARTTLS: 587, SSL: 465, NONE: 25}
_MAX_SHOWN = 300
_CUT_OFF = (smtplib.SMTPServerDisconnected, ConnectionError, TimeoutError, socket.timeout, ssl.SSLError, OSError)


@dataclass(frozen=True)
class Server:
    """Where mail is handed over. ``tls`` is starttls, ssl, or none (on this machine only); ``port`` 0 is the usual one."""

    host: str
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    sender: str = ""
    tls: str = STARTTLS


@dataclass(frozen=True)
class Mail:
    """A message to one person. ``id`` becomes part of its Message-ID, so that the same message bears the same one."""

    to: str
    name: str
    subject: str
    body: str
    id: str


class MailClient:
    """Sends mail through one server, over one connection per thread. Never shows the password."""

    def __init__(self, server: Server, policy: Policy | None = None) -> None:
        self.server = server
        self.sent = 0
        self._timeout = (policy or Policy()).read
        self._local = threading.local()
        self._open: list[smtplib.SMTP] = []
        self._lock = threading.Lock()

    @property
    def where(self) -> str:
        """The server as it is named in errors."""
        return f"smtp://{self.server.host}:{self.server.port or PORTS.get(self.server.tls, 0)}"

    def send(self, mail: Mail) -> str:
        """Hand a message over and give its Message-ID.

        Raises ApiError: ``unanswered`` when it may have been sent; with the code ``recipient`` when the server refuses
        this recipient for good; else nothing was sent, and another time it may be.
        """
        message = self._message(mail)
        try:
            envelope, raw = self.server.sender, message.as_bytes(policy=email.policy.SMTP)
            mail.to.encode("ascii")
        except UnicodeEncodeError:
            raise self._error("the address is not written in ASCII", errors.INVALID, "recipient") from None
        smtp = self._ready(envelope, mail.to)
        try:
            code, answer = smtp.data(raw)
        except smtplib.SMTPDataError as exc:  # the server did not even want to begin
            raise self._refused(exc.smtp_code, exc.smtp_error) from None
        except _CUT_OFF:
            self._drop()
            why = "the connection broke before the mail server answered: it may have been sent"
            raise self._error(why, errors.UNANSWERED) from None
        if code != 250:
            self._drop()
            raise self._refused(code, answer)
        with self._lock:
            self.sent += 1
        return str(message["Message-ID"])

    def probe(self) -> None:
        """Connect and log in. Raises ApiError where that is not possible."""
        try:
            code, answer = self._connected().noop()
        except _CUT_OFF:
            self._drop()
            raise self._error("no mail server answers there", errors.UNREACHABLE) from None
        if code != 250:
            raise self._refused(code, answer)

    def check(self) -> dict[str, t.Any]:
        """Whether the server can be reached and takes the login. Sends no mail."""
        if not self.server.sender:
            return {"state": "missing", "account": "", "message": "not set: smtp_from"}
        try:
            self.probe()
        except ApiError as exc:
            state = {errors.REFUSED: "invalid", errors.INVALID: "invalid"}.get(exc.kind, "unreachable")
            return {"state": state, "account": self.server.user, "message": f"{exc.message} ({exc.where})"}
        finally:
            self.close()
        return {"state": "valid", "account": self.server.user or self.server.sender, "message": "mail can be sent"}

    def close(self) -> None:
        """Take leave of the server in every thread."""
        with self._lock:
            connections, self._open = self._open, []
        for smtp in connections:
            try:
                smtp.quit()
            except (smtplib.SMTPException, OSError):
                smtp.close()
        self._local = threading.local()

    # --- inside

    def _message(self, mail: Mail) -> email.message.EmailMessage:
        message = email.message.EmailMessage(policy=email.policy.default)
        domain = self.server.sender.rpartition("@")[2] or "localhost"
        try:
            message["From"] = self.server.sender
            message["To"] = email.utils.formataddr((_line(mail.name), mail.to))
            message["Subject"] = _line(mail.subject)
            message["Message-ID"] = f"<{mail.id}@{domain}>"
            message["Date"] = email.utils.formatdate()
            message["Auto-Submitted"] = "auto-generated"
            message.set_content(mail.body)
        except (ValueError, IndexError, AttributeError):  # the library's ways to say that an address is none
            raise self._error("the address cannot be written into a message", errors.INVALID, "recipient") from None
        return message

    def _ready(self, envelope: str, recipient: str) -> smtplib.SMTP:
        """A connection that waits for the message; an old one that has meanwhile been closed is replaced once."""
        fresh = getattr(self._local, "smtp", None) is None
        for _attempt in range(2):
            try:
                smtp = self._connected()
                self._accepted(smtp.mail(envelope))
                self._accepted(smtp.rcpt(recipient), "recipient")
            except _CUT_OFF:
                self._drop()
                if fresh:
                    break
                fresh = True
            else:
                return smtp
        raise self._error("the mail server hung up before the message was handed over", errors.UNREACHABLE)

    def _accepted(self, answer: tuple[int, bytes], whose: str = "") -> None:
        code, text = answer
        if code not in (250, 251):
            smtp = getattr(self._local, "smtp", None)
            if code == 421 or smtp is None:
                self._drop()
            else:
                smtp.rset()
            raise self._refused(code, text, whose)

    def _connected(self) -> smtplib.SMTP:
        smtp: smtplib.SMTP | None = getattr(self._local, "smtp", None)
        if smtp is None:
            smtp = self._local.smtp = self._dial()
            with self._lock:
                self._open.append(smtp)
        return smtp

    def _dial(self) -> smtplib.SMTP:
        server = self.server
        if server.tls not in PORTS:
            raise self._error(f"smtp_tls is {server.tls!r}, not {', '.join(PORTS)}", errors.INVALID)
        if server.tls == NONE and not _is_this_machine(server.host):
            raise self._error("without TLS mail goes to this machine only: set smtp_tls to starttls", errors.INVALID)
        port = server.port or PORTS[server.tls]
        try:
            smtp = self._opened(port)
            if server.user:
                smtp.login(server.user, server.password)
        except smtplib.SMTPAuthenticationError as exc:
            raise self._error(f"it refuses the login: {self._shown(exc.smtp_error)}", errors.REFUSED) from None
        except smtplib.SMTPNotSupportedError as exc:
            raise self._error(f"it cannot do what is needed: {self._shown(str(exc))}", errors.INVALID) from None
        except smtplib.SMTPResponseException as exc:
            raise self._refused(exc.smtp_code, exc.smtp_error) from None
        except ssl.SSLError as exc:
            raise self._error(f"TLS failed: {self._shown(str(exc))}", errors.UNREACHABLE) from None
        except (smtplib.SMTPException, OSError, ValueError):
            raise self._error("no mail server answers there", errors.UNREACHABLE) from None
        return smtp

    def _opened(self, port: int) -> smtplib.SMTP:
        server, trust = self.server, ssl.create_default_context()
        if server.tls == SSL:
            return smtplib.SMTP_SSL(server.host, port, timeout=self._timeout, context=trust)
        smtp = smtplib.SMTP(server.host, port, timeout=self._timeout)
        try:
            smtp.ehlo_or_helo_if_needed()
            if server.tls == STARTTLS:
                # Raises where the server does not offer it, before any secret was said
                smtp.starttls(context=trust)
                smtp.ehlo()
        except (smtplib.SMTPException, OSError):
            smtp.close()
            raise
        return smtp

    def _drop(self) -> None:
        smtp = getattr(self._local, "smtp", None)
        self._local.smtp = None
        if smtp is not None:
            smtp.close()
            with self._lock:
                self._open = [each for each in self._open if each is not smtp]

    def _refused(self, code: int, answer: bytes | str, whose: str = "") -> ApiError:
        kind = errors.THROTTLED if 400 <= code < 500 else errors.INVALID
        final = whose if code >= 500 else ""
        return self._error(f"the mail server refuses it: {code} {self._shown(answer)}", kind, final)

    def _error(self, why: str, kind: str, code: str = "") -> ApiError:
        return ApiError(why, kind, code=code, where=self.where)

    def _shown(self, text: bytes | str) -> str:
        words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        if len(self.server.password) >= 4:
            words = words.replace(self.server.password, "***")
        words = _line(words)
        return words if len(words) <= _MAX_SHOWN else words[:_MAX_SHOWN] + "…"


def connect(connection: t.Mapping[str, t.Any], policy: Policy | None = None) -> MailClient:
    """The client for ``host, port, user, password, from`` (or ``sender``) and ``tls``. Raises ApiError for a bad port."""
    port = str(connection.get("port") or "0")
    if not port.isdigit() or int(port) > 65535:
        raise ApiError("smtp_port is not a port", errors.INVALID)
    sender = connection.get("from") or connection.get("sender")
    server = Server(
        host=str(connection["host"]),
        port=int(port),
        user=str(connection.get("user") or ""),
        password=str(connection.get("password") or ""),
        sender=str(sender or ""),
        tls=str(connection.get("tls") or STARTTLS),
    )
    return MailClient(server, policy)


def _line(text: str) -> str:
    """One printable line: a header must not be broken by what a tenant is called."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
