"""`smos sandbox …`: the embedded provider emulator, and a machine to deploy to."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from gettext import gettext as _
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from smos import exitcodes
from smos.outcome import Outcome, Speaker, failure
from smos.settings import Settings

app = typer.Typer(
    help="The embedded sandbox: providers on this machine, with faults on demand, and a VPS.", no_args_is_help=True
)
Suite = Literal["bookworm", "trixie", "noble"]
Vps = Annotated[bool, typer.Option("--vps", help="A machine to deploy to as well, on this machine's Docker Engine.")]
Provider = Annotated[str | None, typer.Option("--provider", help="cloudflare, odoo, chatwoot or n8n.")]


@app.command("up")
def up(
    ctx: typer.Context,
    port: Annotated[
        int | None, typer.Option("--port", help="Exactly this port; else 8321 or the next free one.")
    ] = None,
    latency: Annotated[float | None, typer.Option("--latency", help="Milliseconds that every answer takes.")] = None,
    rate_limits: Annotated[
        bool | None, typer.Option("--rate-limits/--no-rate-limits", help="The providers' own rate limits.")
    ] = None,
    n8n_version: Annotated[str | None, typer.Option("--n8n-version", help="Behave like n8n 1 or 2.")] = None,
    vps: Vps = False,
    suite: Annotated[Suite | None, typer.Option("--suite", help="The VPS's system; else bookworm.")] = None,
    nodes: Annotated[int | None, typer.Option("--nodes", min=1, max=3, help="How many machines; else one.")] = None,
    real_images: Annotated[
        bool | None,
        typer.Option("--real-images/--no-real-images", help="Images may be pulled from public registries; else never."),
    ] = None,
) -> int:
    """Start it, or change the settings of the one that runs. Its state survives a restart.

    Example: smos sandbox up --latency 50
    Example: smos sandbox up --vps --suite trixie
    """
    from smos.sandbox import server

    if not vps and (suite, nodes, real_images) != (None, None, None):
        raise typer.BadParameter("--suite, --nodes and --real-images are about the VPS: add --vps")

    def work(state: Path) -> dict[str, Any]:
        # First what may be refused
        told = {"vps": _machines(ctx.obj, state, suite, nodes, real_images)} if vps else {}
        found = server.up(state, port, latency_ms=latency, rate_limits=rate_limits, n8n_version=n8n_version)
        return {"url": found.url, "pid": found.pid, **told}

    def human(result: dict[str, Any]) -> None:
        print(_running(result))
        for row in result.get("vps", []):
            print(f"{row['name']} ({row['suite']}): ssh root@{row['host']} port {row['port']}, key {row['key']}")

    return _told(ctx.obj, "up", work, human)


@app.command("images")
def images(ctx: typer.Context) -> int:
    """Make the service images of the VPS now; the first deploy does it otherwise. Starts the VPS where it does not run.

    Example: smos sandbox images
    """
    from smos import vps_ready
    from smos.sandbox.images import builder

    settings: Settings = ctx.obj
    vps_ready.ready(settings)

    def human(result: dict[str, Any]) -> None:
        for name, image in result["images"].items():
            print(f"{name:<17} {image['version']:<16} {image['kind']}")

    return _told(settings, "images", lambda state: {"images": builder.kept(state.parent)}, human)


@app.command("down")
def down(
    ctx: typer.Context,
    vps: Annotated[bool, typer.Option("--vps", help="Only the VPS: the providers go on.")] = False,
    purge: Annotated[bool, typer.Option("--purge", help="Remove the VPS with all its data.")] = False,
) -> int:
    """Stop the providers and the VPS; their state stays, unless --purge removes the VPS.

    Example: smos sandbox down --vps --purge
    """
    from smos.sandbox import server
    from smos.sandbox import vps as machines

    def work(state: Path) -> dict[str, Any]:
        found = machines.down(state.parent, purge=purge)
        told = {} if vps else {"stopped": server.down(state)}
        return told | {"vps": found} if vps or any(found.values()) else told

    def human(result: dict[str, Any]) -> None:
        if "stopped" in result:
            print(_("stopped") if result["stopped"] else _("it was not running"))
        for verb, names in result.get("vps", {}).items():
            print(f"VPS, {verb}: {', '.join(names) or 'nothing'}")

    return _told(ctx.obj, "down", work, human)


@app.command("status")
def status(ctx: typer.Context) -> int:
    """Tell whether it runs, where, and with which faults; and the VPS, where there is one.

    Example: smos sandbox status
    """
    from smos.sandbox import server
    from smos.sandbox import vps as machines

    def human(result: dict[str, Any]) -> None:
        print(_running(result) if result["running"] else _("not running"))
        for rule in result.get("faults", []):
            print(f"  fault {rule}")
        for row in result.get("vps", []):
            port = row.get("port") or row.get("registry_port")
            print(f"  {row['name']} ({row['role']}): {row['state']}" + (f", 127.0.0.1:{port}" if port else ""))

    def work(state: Path) -> dict[str, Any]:
        rows = machines.status(state.parent)
        return _status(server.status(state)) | ({"vps": rows} if rows else {})

    return _told(ctx.obj, "status", work, human)


@app.command("requests")
def requests(
    ctx: typer.Context,
    provider: Provider = None,
    writes: Annotated[bool, typer.Option("--writes", help="Only requests that change something.")] = False,
    last: Annotated[int, typer.Option("--last", help="How many.")] = 100,
) -> int:
    """Show the requests that it was sent, secrets masked.

    Example: smos sandbox requests --writes --provider odoo
    """
    from smos.sandbox import server

    def human(result: dict[str, Any]) -> None:
        for row in result["requests"]:
            print(
                f"{row['id']:>6}  {row['provider']:<11} {row['operation']:<32} {row['status']:>3}  {row['ms']:.1f} ms"
            )
        print(_("{count} requests").format(count=result["matching"]))

    return _told(
        ctx.obj, "requests", lambda state: server.requests(state, provider=provider, writes=writes, limit=last), human
    )


@app.command("outbox")
def outbox(
    ctx: typer.Context,
    provider: Annotated[str | None, typer.Option("--provider", help="whatsapp or smtp.")] = None,
    last: Annotated[int, typer.Option("--last", help="How many.")] = 100,
) -> int:
    """Show the WhatsApp messages and mails that it was given to send.

    Example: smos sandbox outbox --provider smtp
    """
    from smos.sandbox import server

    def human(result: dict[str, Any]) -> None:
        for row in result["messages"]:
            at = datetime.fromtimestamp(row["at"], UTC).strftime("%Y-%m-%d %H:%M:%S")
            title = row["subject"] or row["template"] or "text"
            print(f"{at}  {row['provider']:<8}  {row['to']}  {title}")
            print(textwrap.indent(row["text"].strip(), "    "))
        print(_("{count} messages").format(count=result["matching"]))

    return _told(ctx.obj, "outbox", lambda state: server.outbox(state, provider=provider, limit=last), human)


@app.command("fault")
def fault(
    ctx: typer.Context,
    kind: Annotated[
        str | None, typer.Argument(help="latency, status, 429, 500, reset, timeout_after_commit, timeout_before.")
    ] = None,
    provider: Provider = None,
    operation: Annotated[
        str | None, typer.Option("--operation", help="Name or pattern, for example accounts.create.")
    ] = None,
    times: Annotated[str | None, typer.Option("--times", help="How often: a number or `always`.")] = None,
    after: Annotated[int | None, typer.Option("--after", help="Let so many pass first.")] = None,
    every: Annotated[int | None, typer.Option("--every", help="Only every n-th.")] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", help="How long, for latency and time-outs.")] = None,
    retry_after: Annotated[int | None, typer.Option("--retry-after", help="What a 429 asks for, in seconds.")] = None,
    status_code: Annotated[int | None, typer.Option("--status", help="The status of kind `status`.")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Take all faults out of force.")] = False,
) -> int:
    """Make a provider fail on purpose, or list the faults in force.

    Example: smos sandbox fault timeout_after_commit --provider chatwoot --operation accounts.create --times 1
    """
    from smos.sandbox import server

    wish: dict[str, Any] = {"kind": kind, "provider": provider, "operation": operation, "after": after, "every": every}
    wish |= {"seconds": seconds, "retry_after": retry_after, "status": status_code}
    wish["times"] = int(times) if times and times.isdigit() else times
    rule = {key: value for key, value in wish.items() if value is not None}

    def work(state: Path) -> dict[str, Any]:
        if clear:
            return {"cleared": server.clear_faults(state), "faults": []}
        if kind is not None:
            server.fault(state, rule)
        return {"faults": server.faults(state)}

    def human(result: dict[str, Any]) -> None:
        for each in result["faults"]:
            print(each)
        print(_("{count} faults in force").format(count=len(result["faults"])))

    return _told(ctx.obj, "fault", work, human)


@app.command("reset")
def reset(ctx: typer.Context, provider: Provider = None) -> int:
    """Empty all providers, or one, and seed them again.

    Example: smos sandbox reset --provider odoo
    """
    from smos.sandbox import server
    from smos.sandbox.outbox import PROVIDERS

    def empty(state: Path) -> dict[str, Any]:
        names = server.reset(state, provider)
        if set(names) & set(PROVIDERS):
            # Our own journal of what was sent, or nobody would be written to a second time
            (state.parent / "outbox" / "sandbox.jsonl").unlink(missing_ok=True)
        return {"reset": names}

    def human(result: dict[str, Any]) -> None:
        print(_("emptied: {providers}").format(providers=", ".join(result["reset"])))

    return _told(ctx.obj, "reset", empty, human)


def _running(result: dict[str, Any]) -> str:
    return _("running on {url} (pid {pid})").format(url=result["url"], pid=result["pid"])


def _status(found: dict[str, Any] | None) -> dict[str, Any]:
    return {"running": found is not None, **(found or {})}


def _machines(
    settings: Settings, state: Path, suite: str | None, nodes: int | None, real_images: bool | None
) -> list[dict[str, Any]]:
    """The VPS, made on first use; what takes long is said while it does."""
    from dataclasses import asdict

    from smos.sandbox import vps

    def say(text: str) -> None:
        if not settings.quiet:
            print(text, file=sys.stderr)

    return [asdict(row) for row in vps.up(state.parent, suite=suite, nodes=nodes, real_images=real_images, say=say)]


def _told(
    settings: Settings, verb: str, work: Callable[[Path], dict[str, Any]], human: Callable[[dict[str, Any]], None]
) -> int:
    """Do it with the sandbox's state directory, and tell the result; what it cannot do ends with 3."""
    from smos import envfiles
    from smos.project import find
    from smos.sandbox.server import SandboxError
    from smos.sandbox.vps_engine import VpsError

    envfiles.enter(settings.env, settings.quiet)
    state = find().state_dir / "sandbox"
    try:
        result = work(state)
    except SandboxError as exc:
        raise failure(exitcodes.UNUSABLE, f"sandbox {verb}", str(exc), str(state), "See `smos sandbox status`") from exc
    except VpsError as exc:
        following = exc.next or "See `smos sandbox status`"
        raise failure(exitcodes.UNUSABLE, f"sandbox {verb}", exc.what, str(state / "vps"), following) from exc
    return Speaker(f"sandbox {verb}", settings.env, settings.as_json).finish(Outcome(result), lambda: human(result))
