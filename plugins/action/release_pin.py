# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Write down which digests the tags of the current release stand for."""

from __future__ import annotations

import difflib
import io
import os
import typing as t
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import documents, image_digests, releases
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    FAILED,
    INVALID,
    UNUSABLE,
    RegistryAction,
    Setting,
    Stop,
)

try:
    from ruamel import yaml as ruamel
except ImportError:  # told when it is needed, by name
    ruamel = None  # type: ignore[assignment]  # stands for "not installed"

Row = dict[str, t.Any]


class ActionModule(RegistryAction):
    """Asks the registries about every component at once; writes the file in one step, its comments kept."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "components": {"type": "list", "elements": "str", "default": []},
        "timeout": {"type": "float", "default": 20.0},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, _task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        release = releases.load(setting.root)
        chosen = _chosen(args["components"], release)
        found, errors = _asked(chosen, args["timeout"])
        new = {name: digest for name, digest in found.items() if chosen[name].digest != digest}
        path = setting.root / setting.specs.index["files"]["versions"]
        before = documents.read(path)
        after = with_digests(before, new) if new else before
        if new and not setting.check_mode:
            _write(path, after)
        changes = [_change(chosen[name], digest) for name, digest in new.items()]
        result: Row = {"changed": bool(new), "changes": changes, "digests": found, "release": release.version}
        if new:
            result["diff"] = {"prepared": _difference(before, after, setting.specs.index["files"]["versions"])}
        if errors:
            raise Stop(FAILED if new else UNUSABLE, errors, **result)
        return result


def _chosen(names: t.Sequence[str], release: releases.Release) -> dict[str, releases.Component]:
    unknown = [name for name in names if name not in release.components]
    if unknown:
        following = f"One of: {', '.join(release.components)}"
        why = f"release {release.version} has no such component"
        raise Stop(INVALID, [row(name, why, "specs/smos-version.yml", following) for name in unknown])
    return {name: release.components[name] for name in names or release.components}


def _asked(chosen: Mapping[str, releases.Component], timeout_s: float) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Digests by component, and what the registries did not tell."""
    try:
        answers = image_digests.digests({name: each.image for name, each in chosen.items()}, timeout_s)
    except image_digests.RegistryError as error:
        raise Stop(UNUSABLE, [row("this machine", str(error), "", error.following)]) from None
    found = {name: answer for name, answer in answers.items() if isinstance(answer, str)}
    errors = [
        row(name, str(answer), chosen[name].image, answer.following)
        for name, answer in answers.items()
        if isinstance(answer, image_digests.RegistryError)
    ]
    return found, errors


def with_digests(text: str, digests: Mapping[str, str]) -> str:
    """The file's text with these digests; comments, order and quotes stay."""
    if ruamel is None:
        following = "Install what requirements.lock names into the Python that runs Ansible"
        raise Stop(UNUSABLE, [row("this machine", "the Python library ruamel.yaml is missing", "", following)])
    yaml = ruamel.YAML()
    yaml.preserve_quotes = True
    yaml.width = 100_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(text)
    for name, digest in digests.items():
        component = document["components"][name]
        if "digest" in component:
            component["digest"] = digest
        else:
            component.insert(list(component).index("image") + 1, "digest", digest)
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def _write(path: Path, text: str) -> None:
    """Put the new text in place whole."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.chmod(path.stat().st_mode & 0o777)
        os.replace(part, path)
    except OSError as error:
        following = "Make it writable, then run the same command again"
        raise Stop(FAILED, [row("release", f"it cannot be written: {error.strerror}", str(path), following)]) from None


def _change(component: releases.Component, digest: str) -> Row:
    return {
        "service": component.service,
        "tenant": None,
        "action": "update" if component.digest else "create",
        "what": f"digest of {component.name} ({component.image})",
        "before": component.digest,
        "after": digest,
    }


def _difference(before: str, after: str, name: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(True), after.splitlines(True), f"before: {name}", f"after: {name}", n=2
    )
    return "".join(lines)
