"""Planted tokens are found nowhere: not in output, records, logs or files, nor in any process's arguments."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from smos.sandbox import server
from support import processes
from support.instance import ACME, SERVICES, Done, Instance, instance, shop


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[tuple[Instance, dict[str, str]]]:
    """An instance whose providers have tokens that nobody else has, and these tokens by their variable's name."""
    tokens = {
        f"SMOS_SANDBOX_{service.upper()}_TOKEN": f"plant-{service}-{secrets.token_hex(12)}" for service in SERVICES
    }
    with instance(tmp_path / "smos", **tokens) as made:
        made.up()
        yield made, tokens


class Watch:
    """Looks at the arguments of all processes below this one while something runs."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        import os

        while not self._end.wait(0.02):
            for pid in processes.below(os.getpid()):
                self.seen.update(processes.arguments(pid))

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._end.set()
            self._thread.join()


def made_secrets(smos: Instance) -> dict[str, str]:
    """Secrets that came up on the way: what Chatwoot gave its users."""
    with sqlite3.connect(f"file:{smos.sandbox / 'state.db'}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT email, access_token FROM chatwoot_user").fetchall()
    db.close()
    return {f"the token of {email}": token for email, token in rows}


def holders(smos: Instance, tokens: dict[str, str]) -> list[str]:
    """The files of the instance that hold a secret."""
    found = []
    for path in sorted(smos.home.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            found += [
                f"{path.relative_to(smos.home)}: {name}" for name, token in tokens.items() if token.encode() in content
            ]
    return found


def spilt(done: Done, tokens: dict[str, str]) -> list[str]:
    """The secrets that a command printed."""
    return [name for name, token in tokens.items() if token in done.out + done.err]


def test_planted_tokens_are_found_nowhere(planted: tuple[Instance, dict[str, str]]) -> None:
    smos, tokens = planted
    watch = Watch()
    with watch.running():
        loud = smos.run("create", "tenant", *ACME.words, "-vvvv", "--diff")
        assert loud.code == 0, loud
        assert "smartercl.smarteros" in loud.out + loud.err, "it was not loud"
        again = smos.run("create", "tenant", *ACME.words, "-vvvv", "--diff", "--json")
        assert again.code == 0, again
        plain = smos.playbook(
            "-vvvv",
            "--diff",
            "-e",
            f"tenant_rut={ACME.rut}",
            "-e",
            f"tenant_domain={ACME.domain}",
            "-e",
            "{'tenant_name': 'Acme Corp'}",
        )
        assert plain.code == 0, plain
        server.fault(smos.sandbox, kind="500", times="always", operation="*create*")
        failed = smos.run("create", "tenant", *shop(1).words, "-vvvv", "--diff")
        assert failed.code == 1, failed
        server.fault(smos.sandbox, kind="status", status=401, times="always")
        refused = smos.run("create", "tenant", *shop(2).words, "-vvvv")
        assert refused.code == 3, refused
    every = {**tokens, **made_secrets(smos)}
    assert len(every) >= len(SERVICES) + 3
    for done in (loud, again, plain, failed, refused):
        assert spilt(done, every) == [], done.args
    for args in (["history", "--json"], ["history", loud_run(smos), "--json"], ["sandbox", "requests", "--json"]):
        shown = smos.run(*args)
        assert shown.code == 0, shown
        assert spilt(shown, every) == []
    in_arguments = [name for name, token in every.items() if any(token in word for word in watch.seen)]
    assert in_arguments == []
    assert any("ansible-playbook" in word for word in watch.seen), "it was not watched"

    smos.down()
    # The emulated Chatwoot has to know its users' tokens, so its memory holds them; the providers' tokens it does not keep
    assert [row for row in holders(smos, every) if not row.startswith("state/sandbox/state.db")] == []
    assert [row for row in holders(smos, tokens) if row.startswith("state/sandbox/")] == []


def loud_run(smos: Instance) -> str:
    """The id of the newest run."""
    run: str = smos.run("history", "--json").result["runs"][-1]["run"]
    return run


def test_a_token_given_as_a_variable_is_in_no_record_and_no_argument(smos: Instance) -> None:
    smos.up()
    token = f"plant-{secrets.token_hex(12)}"
    watch = Watch()
    with watch.running():
        done = smos.run("create", "tenant", *ACME.words, "-vvvv", "-e", f"odoo_secret={token}", "--json")
    assert done.code == 3, done
    assert spilt(done, {"it": token}) == []
    assert holders(smos, {"it": token}) == []
    children = {word for word in watch.seen if token in word and "odoo_secret=" not in word}
    assert children == set(), "only the command's own arguments, which its user typed, may hold it"
