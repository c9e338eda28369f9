# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos releases` and `smos pin`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from smos import play, tenant_work, work
from smos.outcome import Outcome, Speaker
from smos.settings import Settings


def tell(settings: Settings) -> int:
    """List the releases; gives the exit code."""
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils import releases
    from smos import tenants

    project = work.project_for(settings)
    with tenants.sound_specs():
        rows = [_row(each) for each in releases.every(project.specs_dir)]
    speaker = Speaker("releases", settings.env, settings.as_json)
    return speaker.finish(Outcome({"releases": rows}), lambda: _show(rows))


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
        notes = [f"{len(each['unpinned'])} images without a digest (smos pin)"] if each["unpinned"] else []
        if each["insecure"]:
            notes.insert(0, f"insecure: {len(each['advisories'])} advisories")
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
        _say("changed" if outcome.changed else "nothing to change")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
