# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What owners and the admin are told, from the command to the outbox; once, also when the run is killed."""

from __future__ import annotations

import signal
import time
from typing import Any

from smos.sandbox import server
from support import processes
from support.instance import ACME, Instance


def outbox(smos: Instance) -> list[dict[str, Any]]:
    done = smos.run("sandbox", "outbox", "--json")
    assert done.code == 0, done
    messages = done.result["messages"]
    assert isinstance(messages, list)
    return messages


def titles(smos: Instance) -> list[str]:
    return [f"{row['provider']} {row['to']} {row['subject'] or row['template']}" for row in outbox(smos)]


def written(smos: Instance) -> str:
    return (smos.registry / f"{ACME.rut}.yml").read_text(encoding="utf-8")


def test_a_new_tenant_is_welcomed_and_the_admin_told_once(smos: Instance) -> None:
    done = smos.create(ACME, "--email", "ana@example.com")
    assert done.code == 0, done
    expected = [f"smtp ana@example.com {ACME.name} ya está lista", "whatsapp 56900000000 smarteros_aviso"]
    assert titles(smos) == expected
    assert smos.run("tenant", "apply").code == 0
    assert titles(smos) == expected


def test_an_emptied_sandbox_has_written_to_nobody(smos: Instance) -> None:
    assert smos.create(ACME, "--email", "ana@example.com").code == 0
    before = titles(smos)
    assert smos.run("sandbox", "reset").code == 0
    (smos.registry / f"{ACME.rut}.yml").unlink()
    assert smos.create(ACME, "--email", "ana@example.com").code == 0
    assert titles(smos) == before


def test_an_undeliverable_welcome_leaves_the_tenant_active(smos: Instance) -> None:
    done = smos.create(ACME, "--email", "ana@bounce.example")
    assert done.code == 0, done
    assert smos.phase(ACME) == "active"
    assert "welcome not delivered" in written(smos)


def test_a_run_that_is_killed_while_it_writes_never_writes_twice(smos: Instance) -> None:
    smos.up()
    server.fault(smos.sandbox, provider="smtp", kind="timeout_after_commit", seconds=300, times=1)
    running = smos.start("create", "tenant", *ACME.words, "--email", "ana@example.com")
    while not server.outbox(smos.sandbox)["messages"]:
        assert running.poll() is None
        time.sleep(0.05)
    family = processes.below(running.pid)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    assert processes.gone(family, 60) == []
    done = smos.create(ACME, "--email", "ana@example.com")
    assert done.code == 0, done
    mails = [row for row in outbox(smos) if row["provider"] == "smtp"]
    assert len(mails) == 1
    assert "may have been sent" in written(smos)


def test_a_refused_login_stops_the_run_before_anything_is_written(smos: Instance) -> None:
    smos.up()
    planted, before = "planted-mail-password", smos.registered()
    done = smos.create(ACME, SMOS_SANDBOX_SMTP_TOKEN=planted)
    assert (done.code, smos.registered(), smos.writes()) == (3, before, [])
    assert "it refuses the login" in str(done)
    assert planted not in str(done)
