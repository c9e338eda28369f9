# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Questions to servers that answer well, badly, and ever so slowly."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.probe import Question, ask

Talk = Callable[[ssl.SSLSocket, threading.Event], None]


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=shop.example.com", "-days", "30", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*request, *names], check=True, capture_output=True)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate, key)
    return made


@contextmanager
def server(context: ssl.SSLContext, talk: Talk) -> Iterator[Question]:
    """One that talks so to whoever comes first."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            plain, _address = listener.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as secure:
                    secure.recv(4096)
                    talk(secure, over)
            except OSError:
                pass  # who asked has gone

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Question("shop.example.com", "/", "127.0.0.1", listener.getsockname()[1])
        over.set()
        thread.join(60)


def test_an_answer_with_its_certificate(context: ssl.SSLContext) -> None:
    def talk(secure: ssl.SSLSocket, _over: threading.Event) -> None:
        secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with server(context, talk) as question:
        found = ask(question, 60)
    assert (found.status, found.text, found.why) == (200, "ok", "")
    assert found.certificate


def test_a_server_that_sends_a_byte_now_and_then_keeps_nobody(context: ssl.SSLContext) -> None:
    sent = []

    def talk(secure: ssl.SSLSocket, over: threading.Event) -> None:
        secure.sendall(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.05):
            secure.sendall(b"x")
            sent.append(1)

    with server(context, talk) as question:
        found = ask(question, 1.0)
    assert found.status == 0
    assert found.why
    assert sent


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    found = ask(Question("shop.example.com", "/", "127.0.0.1", port), 5)
    assert (found.status, found.certificate) == (0, b"")
    assert found.why
