# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Open a deploy: which release, which services, and each service's whole stack, rendered and hashed."""

from __future__ import annotations

import json
import secrets
import typing as t
from collections.abc import Mapping, Sequence
from datetime import datetime

from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import (
    documents,
    releases,
    secret_jobs,
    stacks,
    vault,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import (
    INVALID,
    UNUSABLE,
    RegistryAction,
    Setting,
    Stop,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.stack_render import Renderer
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

SECRETS_HELP = "smos secrets init"
MACHINE = "host"  # whose secrets they are that the machine itself has


class ActionModule(RegistryAction):
    """Sets smos_run, smos_release, smos_images, smos_wanted, smos_catalogue …; the result holds the stacks (private)."""

    argument_spec: t.ClassVar[dict[str, dict[str, t.Any]]] = {
        "services": {"type": "list", "elements": "str", "default": []},
        "without": {"type": "list", "elements": "str", "default": []},
        "release": {"type": "str", "default": ""},
    }

    def work(self, args: dict[str, t.Any], setting: Setting, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """See the documentation of the module of the same name."""
        catalogue = {entry["id"]: entry for entry in setting.specs.machine_services if entry.get("role")}
        self._check_names(args, catalogue)
        release = self._release(args["release"], setting)
        images = release.images(_refs(plain(self._templar.template(task_vars.get("smos_own_images")))))
        facts = {
            "smos_run": setting.run or f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
            "smos_release": release.version,
            "smos_images": images,
            "smos_wanted": [name for name in order(setting.specs, catalogue) if name not in args["without"]],
            "smos_catalogue": catalogue,
            "smos_zone": setting.specs.zone,
            "smos_network": str(self._infra(setting, "network")["overlay"]),
            "smos_timezone": str(self._infra(setting, "vps")["timezone"]),
        }
        made = self._stacks(facts, task_vars, self._secrets(facts["smos_wanted"], setting, task_vars))
        facts["smos_wanted"] = list(made)
        private = json.dumps({name: _facts(stack, catalogue[name]) for name, stack in made.items()})
        # Contents of secrets: no callback sees them, and as no fact they lie in no cache of facts
        return {"changed": False, "ansible_facts": facts, "stacks": private, "_ansible_no_log": True}

    def _check_names(self, args: Mapping[str, t.Any], catalogue: Mapping[str, t.Any]) -> None:
        unknown = [name for name in [*args["services"], *args["without"]] if name not in catalogue]
        if unknown:
            following = f"Choose from {', '.join(sorted(catalogue))}"
            raise Stop(INVALID, [row(name, "no service of the machine has this id", "", following) for name in unknown])
        both = sorted(set(args["services"]) & set(args["without"]))
        if both:
            why = "it is left out by deploy_without"
            raise Stop(INVALID, [row(name, why, "", "Take it out of deploy_without") for name in both])

    def _release(self, version: str, setting: Setting) -> releases.Release:
        try:
            release = releases.load(setting.root, version or None)
        except releases.UnknownRelease as exc:
            raise Stop(INVALID, [row("release", str(exc), "specs/smos-version.yml", "See `smos releases`")]) from exc
        if release.insecure:
            self.warn(f"release {release.version} is insecure: {'; '.join(release.advisories)}")
        return release

    @staticmethod
    def _infra(setting: Setting, kind: str) -> dict[str, t.Any]:
        found: dict[str, t.Any] = documents.load(setting.root / setting.specs.index["files"]["infra"][kind])
        return found

    def _secrets(self, wanted: t.Iterable[str], setting: Setting, task_vars: dict[str, t.Any]) -> list[dict[str, str]]:
        """What is lacking in the vault, of all that these services need: not in their stacks alone, in their tasks too."""
        opened = vault.opened(task_vars, self._loader, self._templar.template, None)
        rows = secret_jobs.judge(opened.read(), secret_jobs.catalogue(setting.root), [*wanted, MACHINE])
        poor = [each["name"] for each in rows if each["state"] in (secret_jobs.WEAK, secret_jobs.SHARED)]
        if poor:
            self.warn(f"weak or shared, see `smos secrets check`: {', '.join(poor)}")
        return secret_jobs.errors([each for each in rows if each["state"] == secret_jobs.MISSING], str(opened.path))

    def _stacks(
        self, facts: Mapping[str, t.Any], task_vars: Mapping[str, t.Any], lacking: Sequence[dict[str, str]]
    ) -> dict[str, stacks.Stack]:
        """All stacks of the deploy. Every mistake is told at once, after the secrets that are ``lacking``."""
        renderer = Renderer(self._templar, self._loader, {**task_vars, **facts})
        common = stacks.Setting(facts["smos_zone"], facts["smos_network"])
        made: dict[str, stacks.Stack] = {}
        wrong = list(lacking)
        for name in facts["smos_wanted"]:
            role = facts["smos_catalogue"][name]["role"]
            if not renderer.has(role):
                continue
            try:
                made[name] = stacks.complete(name, renderer.render(role), common)
            except stacks.StackError as exc:
                if lacking and SECRETS_HELP in str(exc):
                    continue  # one of those
                wrong.append(row(name, str(exc), f"roles/{role}/templates/stack.yml.j2", _following(str(exc))))
        if wrong:
            raise Stop(UNUSABLE, wrong)
        return made


def order(specs: t.Any, catalogue: Mapping[str, Mapping[str, t.Any]]) -> list[str]:
    """Ids of the services on the machine, in the order of the catalogue's deployment; the rest after them."""
    first = [name for name in specs.deployment["order"] if name in catalogue]
    return first + [name for name in catalogue if name not in first]


def _refs(given: t.Any) -> dict[str, str]:
    """Images that an inventory names instead of the release's: text, or what the sandbox writes of its own images."""
    if isinstance(given, str):
        given = json.loads(given or "{}")
    return {name: str(each["ref"] if isinstance(each, Mapping) else each) for name, each in (given or {}).items()}


def _facts(stack: stacks.Stack, entry: Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What the tasks of a deploy need to know of a stack; the keys up to ``answers`` are arguments of stack_deploy."""
    path = (entry.get("health") or {}).get("path")
    asked = next((host for host in stack.hosts), None)
    return {
        "compose": json.dumps(stack.compose),
        "config": stack.config,
        "secrets": dict(stack.secrets),
        "configs": dict(stack.configs),
        "bootstrap": stack.bootstrap,
        **({"answers": {"host": asked, "path": path}} if path and asked else {}),
        "plan": {
            "service": stack.service,
            "role": entry["role"],
            "images": dict(stack.images),
            "memory": {name: list(pair) for name, pair in stack.memory.items()},
            "hosts": list(stack.hosts),
            "tokens": dict(stack.tokens),
        },
    }


def _following(why: str) -> str:
    return f"Run `{SECRETS_HELP}`" if SECRETS_HELP in why else "Correct the variable or the template that it names"
