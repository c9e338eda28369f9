# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Starting the panel: what it needs is judged before anything is served."""

from __future__ import annotations

import os
import time

from smos import exitcodes, records, vault_password, work
from smos.project import Project
from smos.redact import Redactor
from smos.settings import Settings

LARGEST_AUDIT = 20_000_000  # bytes; strangers can have lines written, so one older file is kept and no more


def carry_out(address: str, settings: Settings) -> int:
    """Serve on this address until told to end; gives the exit code. Raises Failure before anything is served."""
    project = work.project_for(settings)
    work.ready_sandbox(settings, project)
    vault_password.ready(settings.env)

    import anyio

    from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import whatsapp_cloud
    from smos.mcp.audit import Audit
    from smos.mcp.command import Commands
    from smos.panel import http
    from smos.panel.history import History
    from smos.panel.seen import Seen
    from smos.panel.sender import Sender
    from smos.panel.service import Service
    from smos.panel.setting import HIDDEN, taken

    setting = taken(os.environ, _sandbox(settings, project))
    listener = http.listening(address)
    redactor = Redactor(os.environ)

    async def web() -> None:
        service = Service(
            env=settings.env,
            numbers=setting.numbers,
            own=setting.connection["phone_number_id"],
            commands=Commands(project, settings.env, HIDDEN),
            history=History(records.Records(project.state_dir, redactor), settings.env),
            audit=Audit(project.state_dir, redactor, "panel", LARGEST_AUDIT),
            seen=Seen(project.state_dir / "panel" / "seen.db", time.time),
            redactor=redactor,
            send=Sender(whatsapp_cloud.connect(setting.connection)).send,
            check=settings.check,
        )
        await http.serve(service, setting.secrets, listener)

    anyio.run(web)
    return exitcodes.DONE


def _sandbox(settings: Settings, project: Project) -> str:
    """The address of the sandbox's WhatsApp; empty in other environments."""
    if settings.env != "sandbox":
        return ""
    from smos.sandbox.server import BASES

    url = os.environ.get("SMOS_SANDBOX_URL") or (project.state_dir / "sandbox" / "url").read_text(encoding="utf-8")
    return url.strip().rstrip("/") + BASES["whatsapp"]
