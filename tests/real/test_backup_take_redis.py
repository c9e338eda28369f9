"""Queues streamed out of a real Redis, and a second server that starts from what was streamed."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import redis
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.place import Place
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine
from real.installs import Unavailable
from real.processes import free_port, running, wait_until
from real.tools import needing_tools

PASSWORD = "loopback-test"


@contextmanager
def server(data: Path, work: Path, *more: str) -> Iterator[redis.Redis]:
    """A server of these data, asked as one in a container is: by the redis-cli that is found there."""
    if shutil.which("redis-server") is None:
        raise Unavailable("Redis is needed (Debian: apt install redis-server)")
    data.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True)
    port, secret, command = free_port(), work / "password", work / "redis-cli"
    secret.write_text(PASSWORD)
    command.write_text(f'#!/bin/sh\nexec {shutil.which("redis-cli")} -p {port} "$@"\n')
    command.chmod(0o755)
    where = {"PATH": f"{work}:{os.environ['PATH']}", "REDIS_PASSWORD_FILE": str(secret)}
    words = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(data), "--appendonly", "yes"]
    words += ["--repl-diskless-sync-delay", "0"]  # else it waits five seconds for more who want the same
    log = work / "log"
    with running([*words, "--requirepass", PASSWORD, *more], log=log, cwd=work) as process:
        found = redis.Redis(Engine("/nowhere"), "test", Place((), where))

        def answers() -> bool:
            return cli(found, "ping") == "PONG"

        wait_until(answers, "Redis", process=process, log=log, seconds=300)
        yield found


def cli(there: redis.Redis, *words: str, stdin: str = "") -> str:
    done = subprocess.run(
        ["redis-cli", "--no-auth-warning", *words],
        env={**there.env, "REDISCLI_AUTH": PASSWORD},
        input=stdin,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def streamed(there: redis.Redis, target: Path) -> None:
    target.mkdir()
    with (target / redis.FILE).open("wb") as file:
        subprocess.run(there.dump_argv(), stdout=file, env=there.env, check=True, stderr=subprocess.DEVNULL)


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_a_server_starts_from_what_was_streamed(tmp_path: Path, diskless: str) -> None:
    with needing_tools():
        with server(tmp_path / "one", tmp_path / "w1", "--repl-diskless-sync", diskless) as first:
            cli(first, stdin="".join(f"RPUSH queue:{n % 7} 'trabajo ñ {n}'\nSET key:{n} {n}\n" for n in range(2000)))
            expected = {f"queue:{n}": cli(first, "LRANGE", f"queue:{n}", "0", "-1") for n in range(7)}
            streamed(first, tmp_path / "two")
            assert first.count() == 2007
            assert first.version().startswith("7.")
        redis.check(tmp_path / "two")
        redis.settle(tmp_path / "two", {"uid": os.getuid(), "gid": os.getgid()})
        assert not (tmp_path / "two" / redis.FILE).exists()
        with server(tmp_path / "two", tmp_path / "w2") as second:
            assert second.count() == 2007
            assert {name: cli(second, "LRANGE", name, "0", "-1") for name in expected} == expected
            cli(second, "SET", "later", "1")
        with server(tmp_path / "two", tmp_path / "w3") as third:
            assert cli(third, "GET", "later") == "1", "it goes on writing where the restored data end"


def test_an_empty_server_and_one_that_is_written_to(tmp_path: Path) -> None:
    with needing_tools(), server(tmp_path / "one", tmp_path / "w1") as first:
        streamed(first, tmp_path / "empty")
        redis.settle(tmp_path / "empty")
        stop, wrote = threading.Event(), threading.Event()

        def write() -> None:
            while not stop.is_set():
                cli(first, stdin="".join(f"RPUSH busy {n}\n" for n in range(500)))
                wrote.set()

        writer = threading.Thread(target=write)
        writer.start()
        try:
            assert wrote.wait(300)
            streamed(first, tmp_path / "busy")
        finally:
            stop.set()
            writer.join()
        redis.settle(tmp_path / "busy")
        for name in ("empty", "busy"):
            with server(tmp_path / name, tmp_path / f"w-{name}") as again:
                assert again.count() == (name == "busy")


def test_the_password_is_in_no_command_line(tmp_path: Path) -> None:
    with needing_tools(), server(tmp_path / "one", tmp_path / "w1") as there:
        assert PASSWORD not in " ".join(there.dump_argv())
        (tmp_path / "w1" / "password").write_text("wrong")
        with pytest.raises(redis.RedisError):
            there.count()


def test_what_is_no_data_of_a_redis_is_refused(tmp_path: Path) -> None:
    (tmp_path / redis.FILE).write_bytes(b"NOAUTH Authentication required.")
    with pytest.raises(redis.RedisError):
        redis.check(tmp_path)
