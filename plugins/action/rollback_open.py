# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Open a rollback: which release is meant, and of which images it was made when it ran on this machine."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Mapping

from ansible_collections.smartercl.smarteros.plugins.module_utils import ledger
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import releases, rollback_plan
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import INVALID, RegistryAction, Setting, Stop
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain


class ActionModule(RegistryAction):
    """Sets smos_rollback: release, previous, images by component, and what an unfinished rollback to it has done."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "look": {"type": "dict", "required": True},
        "release": {"type": "str", "required": True},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        entries = args["look"]["releases"]
        try:
            entry = rollback_plan.target(entries, args["release"])
        except rollback_plan.UnknownTarget as exc:
            following = "See `smos releases --deployed`"
            raise Stop(
                INVALID, [row(f"release {args['release']}", str(exc), "the machine's ledger", following)]
            ) from exc
        release = str(entry["release"])
        self._describe(release, setting)
        half = ledger.unfinished(entries)
        mine = half if half is not None and half["release"] == release else {}
        given = plain(self._templar.template(task_vars.get("smos_own_images")))
        facts = {
            "release": release,
            "previous": str((ledger.current(entries) or {}).get("release", "")),
            "images": {**_refs(given), **_images(entry)},
            "backup": str(mine.get("backup", "")),
        }
        return {"changed": False, "ansible_facts": {"smos_rollback": facts}}

    @staticmethod
    def _describe(release: str, setting: Setting) -> None:
        """The specs must describe the release, since from them its stacks are made."""
        try:
            releases.load(setting.specs, release)
        except releases.UnknownRelease as exc:
            following = "Put it into the history there, with its components: `git log -p` of that file shows them"
            raise Stop(INVALID, [row(f"release {release}", str(exc), "specs/smos-version.yml", following)]) from exc


def _images(entry: ledger.Entry) -> dict[str, str]:
    """The images that ran then, by component: what was tested, even where a tag means something else by now."""
    return {
        component: str(each["image"])
        for own in (entry.get("services") or {}).values()
        for component, each in (own.get("components") or {}).items()
        if each.get("image") and own.get("release", entry["release"]) == entry["release"]
    }


def _refs(given: t.Any) -> dict[str, str]:
    """Images that an inventory names, in both shapes that ``deploy_open`` takes."""
    if isinstance(given, str):
        given = json.loads(given or "{}")
    return {name: str(each["ref"] if isinstance(each, Mapping) else each) for name, each in (given or {}).items()}
