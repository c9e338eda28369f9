"""`smos status`: how the machine and everything on it are. Only reads, so nothing is recorded."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from gettext import gettext as _
from pathlib import Path
from typing import Any

from smos import backup_view, exitcodes, history_view, play, view, vps_ready, work
from smos.outcome import Outcome, Speaker, failure
from smos.settings import Settings

EMPTY: Mapping[str, Any] = {"services": {}, "host": {}, "certificates": {}, "backups": {}, "tenants": {}}
MARKS = {"up": "[green]✓[/]", "degraded": "[yellow]![/]", "down": "[red]✗[/]", "unknown": "[dim]?[/]"}
WARN_DAYS = 21
MOST_DAYS = 395  # the collector keeps 13 months
WIDE = 1000  # characters


def days(history: str | None) -> int:
    """How many days `--history` means, ``7d`` or ``7``; 0 where it is not given. Raises Failure."""
    if history is None:
        return 0
    found = re.fullmatch(r"([0-9]{1,3})d?", history)
    if found is None or not 1 <= int(found[1]) <= MOST_DAYS:
        following = f"Give days from 1d to {MOST_DAYS}d, as `smos status --history 7d`"
        raise failure(exitcodes.INVALID, f"--history {history}", "it is no number of days that are kept", "", following)
    return int(found[1])


def carry_out(service: str | None, settings: Settings, history: int = 0) -> int:
    """Ask and tell; gives the exit code. With a service only what concerns it; ``history`` days back."""
    speaker = Speaker("status", settings.env, settings.as_json)
    vps_ready.ready(settings, images=False)
    project = work.project_for(settings)
    quiet = settings.quiet or settings.verbose > 0 or settings.as_json or not sys.stderr.isatty()
    lines = view.View(f"status of {settings.env}", quiet, warnings=not settings.quiet)
    with lines:
        wish = play.Play("status.yml", "", {"status_history": history} if history else {}, settings.limit)
        played = play.run(wish, project, settings, lines.take)
    found = next((result["status"] for _action, result in played.results if "status" in result), None)
    if found is not None:
        found = with_target(_only(found, service) if service else found, project.specs_dir)
    past = next((result["history"] for _action, result in played.results if "history" in result), None)
    if past is not None:
        found = {**(found or EMPTY), "history": _past_only(past, service) if service else past}
    outcome = Outcome(found or EMPTY, tuple(played.errors), code=played.code)
    return speaker.finish(outcome, lambda: show(outcome))


def _only(found: Mapping[str, Any], service: str) -> dict[str, Any]:
    if service not in found["services"]:
        known = ", ".join(sorted(found["services"]))
        raise failure(exitcodes.INVALID, service, "no service on the machine has this id", "", f"Choose from {known}")
    return {**found, "services": {service: found["services"][service]}}


def _past_only(past: Mapping[str, Any], service: str) -> dict[str, Any]:
    kept = {name: [each for each in past[name] if each["service"] == service] for name in ("subjects", "incidents")}
    return {**past, **kept}


def with_target(found: Mapping[str, Any], specs_dir: Path) -> dict[str, Any]:
    """The status with the hours of work that may be lost, by which the age of the newest backup is judged."""
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import documents, specs
    from smos import tenants

    if not found.get("backups"):
        return dict(found)
    with tenants.sound_specs():
        index = specs.load(specs_dir).index
        target = documents.load(specs_dir / index["files"]["infra"]["backup"])["objectives"]["rpo_h"]
    return {**found, "backups": {**found["backups"], "rpo_h": target}}


def show(outcome: Outcome) -> None:
    """Print services, then the machine in a few lines."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    result = outcome.result
    if not result["services"] and not result["host"]:
        return
    table = Table(
        "", _("service"), _("state"), "ms", _("version"), _("message"), box=None, pad_edge=False, header_style="dim"
    )
    for name, each in result["services"].items():
        latency = "" if each["latency_ms"] is None else f"{each['latency_ms']:.0f}"
        table.add_row(
            MARKS[each["state"]], *map(escape, (name, each["state"], latency, each["version"], each["message"]))
        )
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    console.print(table)
    for line in _lines(result):
        console.print(line, markup=False)
    if "history" in result:
        history_view.show(result["history"])


def _lines(result: Mapping[str, Any]) -> list[str]:
    host = result["host"]
    used = host["memory_mb"] - host["available_mb"]
    load = " ".join(f"{each:.1f}" for each in host["load"])
    disk = host["disk_gb"] - host["disk_free_gb"]
    engine, release = host["engine"] or _("not installed"), result["release"] or _("none")
    about = _("host     {name}, {system}, Docker {engine}, release {release}")
    memory = _("memory   {used} of {all} MiB, swap {swap} MiB; load {load} on {cpus} CPU; disk {disk} of {disks} GB")
    lines = [
        about.format(name=host["name"], system=host["os_title"], engine=engine, release=release),
        memory.format(
            used=used,
            all=host["memory_mb"],
            swap=host["swap_mb"],
            load=load,
            cpus=host["cpus"],
            disk=f"{disk:.0f}",
            disks=f"{host['disk_gb']:.0f}",
        ),
    ]
    bad = {name: each for name, each in result["certificates"].items() if _is_bad(each)}
    lines += [_("certificate  {name}: {end}").format(name=name, end=_validity(each)) for name, each in bad.items()]
    lines += backup_view.lines(result["backups"])
    if result["lock"]:
        lock = {key: result["lock"].get(key) for key in ("run", "holder", "reason")}
        lines.append(_("lock     {run} of {holder}: {reason}").format(**lock))
    if result["tenants"]:
        counts = ", ".join(f"{count} {phase}" for phase, count in result["tenants"].items())
        lines.append(_("tenants  {counts}").format(counts=counts))
    return lines


def _is_bad(certificate: Mapping[str, Any]) -> bool:
    return bool(certificate["self_made"]) or certificate["days"] is None or certificate["days"] < WARN_DAYS


def _validity(certificate: Mapping[str, Any]) -> str:
    if certificate["self_made"]:
        return _("none yet, the reverse proxy shows its own")
    return _("ends {moment}").format(moment=certificate["expires"])
