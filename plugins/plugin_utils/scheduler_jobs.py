# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The jobs of specs/schedulers.yml in the forms that AWX and Semaphore want them in."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import consistency, consistency_schedulers, specs
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.playbook_inputs import PLAYBOOKS, Variable, load

TEMPLATES = PLAYBOOKS.parent / "system" / "env" / "local"
"""A template per provider with the names of its variables in the environment."""
PER_TENANT = ("SHOPIFY_TOKEN_", "WHATSAPP_TOKEN_", "WHATSAPP_APP_SECRET_")
_NAME = re.compile(r"^([A-Z][A-Z0-9_]*)=", re.MULTILINE)
_DAYS = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")
_BEGIN = "20250105T"  # a Sunday in the past: what counts is the rule
_LONGEST = 1024  # characters of an answer in AWX

FILES = "SMOS_SCHEDULER_"  # variables of the environment that name files begin so
VAULT = "vault"

Job = dict[str, t.Any]


class UnreadableKey(Exception):
    """A file with a key that cannot be read; the message names the variable and the file."""


def read(root: Path) -> dict[str, t.Any]:
    """The schedulers' file of a folder of specs. Raises SpecError."""
    reader = specs.Reader(root)
    reader.take(("schedulers",))
    if reader.has(("schedulers",)):
        reader.check(consistency.Broken(*each) for each in consistency_schedulers.broken(reader.documents))
    if reader.mistakes:
        raise specs.SpecError(reader.mistakes)
    document: dict[str, t.Any] = reader.documents["schedulers"]
    return document


def for_semaphore(document: t.Mapping[str, t.Any], given: t.Mapping[str, str]) -> dict[str, t.Any]:
    """Options of module semaphore_project: jobs, keys, secrets. ``given`` is the environment. Raises UnreadableKey."""
    keys = for_key_store(given)
    vault = VAULT if any(key["name"] == VAULT for key in keys) else None
    secrets = {name: value for each in provider_variables(given).values() for name, value in each.items()}
    jobs = [{**job, "vault_key": vault} for job in _semaphore_jobs(document)]
    return {"keys": keys, "secrets": secrets, "jobs": jobs}


def for_key_store(given: t.Mapping[str, str]) -> list[dict[str, str]]:
    """What opens the machines, the repository and the vault, from the files that the environment names. Raises UnreadableKey."""
    user = given.get(f"{FILES}SSH_USER") or "root"
    keys = []
    for name, variable, login in (("machines", "SSH_KEY_FILE", user), ("repository", "GIT_KEY_FILE", "git")):
        text = _read_file(given, FILES + variable)
        keys.append({"name": name, "type": "ssh", "login": login, "private_key": text} if text else _nothing(name))
    password = _read_file(given, f"{FILES}VAULT_FILE").strip()
    return [
        *keys,
        *([{"name": VAULT, "type": "login_password", "login": "", "password": password}] if password else []),
    ]


def _nothing(name: str) -> dict[str, str]:
    return {"name": name, "type": "none"}


def _read_file(given: t.Mapping[str, str], variable: str) -> str:
    path = given.get(variable)
    if not path:
        return ""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise UnreadableKey(f"The file {path}, which {variable} names, cannot be read: {why}") from None


def _semaphore_jobs(document: t.Mapping[str, t.Any]) -> list[Job]:
    return [
        {
            "name": job["title"],
            "playbook": f"playbooks/{job['playbook']}.yml",
            "description": f"playbooks/{job['playbook']}.yml",
            "arguments": _arguments(job),
            "survey": [_semaphore_field(one) for one in _asked(job)],
            "schedule": f"CRON_TZ={document['timezone']} {job['schedule']}" if job.get("schedule") else None,
        }
        for job in document["jobs"].values()
    ]


def for_awx(document: t.Mapping[str, t.Any]) -> list[Job]:
    """As the modules of awx.awx take them."""
    return [
        {
            "name": job["title"],
            "playbook": f"playbooks/{job['playbook']}.yml",
            "job_type": "check" if job.get("check") else "run",
            "extra_vars": dict(job.get("variables") or {}),
            "survey": _awx_survey(job),
            "rrule": rrule(job["schedule"], document["timezone"]) if job.get("schedule") else "",
        }
        for job in document["jobs"].values()
    ]


def rrule(cron: str, zone: str) -> str:
    """A schedule of the form that the specs allow, as the rule of a calendar."""
    minute, hour, _day, _month, days = cron.split(" ")
    begin = f"{_BEGIN}{0 if hour == '*' else int(hour):02d}{int(minute):02d}00"
    if hour == "*":
        rule = "FREQ=HOURLY;INTERVAL=1"
    elif days == "*":
        rule = "FREQ=DAILY;INTERVAL=1"
    else:
        rule = f"FREQ=WEEKLY;INTERVAL=1;BYDAY={','.join(_DAYS[int(day)] for day in days.split(','))}"
    return f"DTSTART;TZID={zone}:{begin} RRULE:{rule}"


def provider_variables(given: t.Mapping[str, str], folder: Path = TEMPLATES) -> dict[str, dict[str, str]]:
    """What the environment has for each provider: names and values of variables that are set."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(folder.glob(".env.*.template")):
        names = _NAME.findall(path.read_text(encoding="utf-8"))
        found[path.name.split(".")[2]] = {name: given[name] for name in names if given.get(name)}
    for prefix in PER_TENANT:
        own = {name: value for name, value in given.items() if name.startswith(prefix) and value}
        found.setdefault(prefix.split("_", maxsplit=1)[0].lower(), {}).update(own)
    return found


def provider_names(folder: Path = TEMPLATES) -> dict[str, list[str]]:
    """The names of the variables of each provider."""
    paths = sorted(folder.glob(".env.*.template"))
    return {path.name.split(".")[2]: _NAME.findall(path.read_text(encoding="utf-8")) for path in paths}


def _arguments(job: Job) -> list[str]:
    words = ["--check", "--diff"] if job.get("check") else []
    given = job.get("variables") or {}
    return [*words, *(["-e", json.dumps(given, sort_keys=True)] if given else [])]


def _asked(job: Job) -> list[Variable]:
    known = load().variables(job["playbook"])
    return [known[name] for name in job.get("ask") or []]


def _title(variable: Variable) -> str:
    return variable.name.partition("_")[2].replace("_", " ").capitalize()


def _choices(variable: Variable) -> list[str]:
    if variable.type == "bool":
        return ["true", "false"]
    return list(variable.choices) if variable.type == "str" else []


def _semaphore_field(variable: Variable) -> dict[str, t.Any]:
    choices = _choices(variable)
    return {
        "name": variable.name,
        "title": _title(variable),
        "description": variable.description,
        "type": "enum" if choices else "int" if variable.type == "int" else "",
        "required": variable.required,
        "choices": choices,
    }


def _awx_survey(job: Job) -> dict[str, t.Any]:
    asked = _asked(job)
    if not asked:
        return {}
    return {"name": job["title"], "description": "", "spec": [_awx_field(one) for one in asked]}


def _awx_field(variable: Variable) -> dict[str, t.Any]:
    choices = _choices(variable)
    whole = variable.type == "int"
    return {
        "variable": variable.name,
        "question_name": _title(variable),
        "question_description": variable.description,
        "type": "multiplechoice"
        if choices
        else "integer"
        if whole
        else "float"
        if variable.type == "float"
        else "text",
        "required": variable.required,
        "choices": choices,
        "default": "",
        "min": 0,
        "max": _LONGEST,
        "new_question": True,
    }
