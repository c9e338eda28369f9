# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos releases` and `smos pin`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from gettext import gettext as _
from typing import Any

from smos import exitcodes, play, remote, tenant_work, vps_ready, work
from smos.outcome import Failure, Outcome, Speaker, failure
from smos.settings import Settings

LEDGER = "/var/lib/smarteros/releases.json"
READ = f"! [ -e {LEDGER} ] || exec cat {LEDGER}"  # nothing was ever deployed where it is not there
PATIENCE_S = 60.0


def tell(settings: Settings, deployed: bool = False) -> int:
    """List the releases, and with ``deployed`` what the machine says was deployed on it; gives the exit code.

    Without it no machine is asked: the specs alone know the releases, on a laptop in a train as well.
    """
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import releases
    from smos import tenants

    project = work.project_for(settings)
    with tenants.sound_specs():
        rows = [_row(each) for each in releases.every(project.specs_dir)]
    speaker = Speaker("releases", settings.env, settings.as_json)
    if not deployed:
        return speaker.finish(Outcome({"releases": rows}), lambda: _show(rows))
    entries = _deployed(settings)
    outcome = Outcome({"releases": rows, "deployed": told(entries)})

    def both() -> None:
        _show(rows)
        _show_deployed(told(entries))

    return speaker.finish(outcome, both)


def _deployed(settings: Settings) -> list[dict[str, Any]]:
    """The machine's ledger, oldest entry first. Raises Failure where the machine cannot be reached."""
    vps_ready.ready(settings, images=False)
    machine = remote.machine(work.project_for(settings), settings)
    words = machine.ssh(["sh", "-c", READ])
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        entries = json.loads(done.stdout or "[]") if done.returncode == 0 else None
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise _unreachable(machine.host, str(exc)) from exc
    except ValueError:
        entries = []  # it was cut off by a power cut, and is an empty one
    if entries is None:
        raise _unreachable(machine.host, done.stderr.strip() or f"ssh ended with {done.returncode}")
    return [each for each in entries if isinstance(each, dict) and each.get("release")]


def _unreachable(host: str, why: str) -> Failure:
    following = "Check the address in the inventory, the SSH key and that the machine is up"
    return failure(exitcodes.UNUSABLE, host, why, "SSH", following)


def told(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The ledger's entries as a result, newest first."""
    from ansible_collections.smartercl.smarteros.plugins.module_utils import ledger

    now, marks = ledger.current(entries), ledger.bad(entries)
    return [
        {
            **{key: str(each.get(key) or "") for key in ("release", "run", "at", "who", "previous")},
            "kind": each.get("kind", ledger.DEPLOY),
            "result": each.get("result", ledger.DONE),
            "backup": each.get("backup") or None,
            "current": each is now,
            "bad": each["release"] in marks,
            "services": {name: dict(own.get("images") or {}) for name, own in (each.get("services") or {}).items()},
        }
        for each in reversed(entries)
    ]


def _show_deployed(rows: Sequence[dict[str, Any]]) -> None:
    _say("\n" + (_("deployed on the machine") if rows else _("nothing was deployed on the machine yet")))
    for each in rows:
        mark = "*" if each["current"] else " "
        notes = [_("backup {backup}").format(backup=each["backup"])] if each["backup"] else []
        notes += [_("bad: it was rolled back from")] if each["bad"] else []
        said = f"{each['kind']}, {each['result']}"
        _say(f"{mark} {each['release']:<9} {each['at']:<20} {said:<22} {each['who']:<24} {'; '.join(notes)}".rstrip())


def _row(release: Any) -> dict[str, Any]:
    return {
        "version": release.version,
        "codename": release.codename,
        "state": release.state,
        "current": release.current,
        "date": release.date,
        "summary": release.summary,
        "insecure": release.insecure,
        "advisories": [{"component": each.component, "id": each.id, "what": each.what} for each in release.known],
        "unpinned": release.unpinned({}),
        "components": {name: {"version": each.version, "image": each.ref} for name, each in release.components.items()},
    }


def _show(rows: Sequence[dict[str, Any]]) -> None:
    for each in rows:
        mark = "*" if each["current"] else " "
        notes = [_("{count} images without a digest (smos pin)").format(count=len(each["unpinned"]))] * bool(
            each["unpinned"]
        )
        if each["insecure"]:
            notes.insert(0, _("insecure: {count} advisories").format(count=len(each["advisories"])))
        _say(f"{mark} {each['version']:<9} {each['codename']:<12} {each['state']:<9} {'; '.join(notes)}".rstrip())
        for known in each["advisories"]:
            _say(f"      {known['component']:<10} {known['id']:<20} {known['what']}")


def pin(components: Sequence[str], settings: Settings) -> int:
    """Ask the registries for the digests of these components, or of all; gives the exit code."""
    job = work.Job(
        command="pin",
        playbook="pin_release.yml",
        title=f"pin {', '.join(components) or 'the release'}",
        variables={"pin_components": list(components)},
        result=_pinned,
    )
    return work.carry_out(job, settings, Speaker("pin", settings.env, settings.as_json), _show_pinned)


def _pinned(played: play.Played) -> dict[str, Any]:
    found = next((result for action, result in played.results if action == "release_pin"), {})
    return {"release": found.get("release", ""), "digests": dict(found.get("digests", {}))}


def _show_pinned(outcome: Outcome) -> None:
    if "changes" in outcome.result:
        tenant_work.show_changes(outcome.result["changes"])
        return
    for name, digest in outcome.result["digests"].items():
        _say(f"{name:<17} {digest}")
    if not outcome.errors:
        _say(_("changed") if outcome.changed else _("nothing to change"))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
