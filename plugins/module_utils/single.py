# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The common shape of the modules that care for one thing of the installation (a firewall, a compose), not for tenants.

Error rows, exit code, diff and check mode are those of the bulk modules; there is one result instead of a list.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, lifeline, transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Change
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.waiting import Patience

FAILED = 1  # exit code of the command line: something was attempted and did not succeed

OPTIONS: dict[str, dict[str, t.Any]] = {"timeout": bulk.OPTIONS["timeout"]}
WAIT_OPTIONS: dict[str, dict[str, t.Any]] = {
    "wait_timeout": {"type": "float", "default": 600.0},
    "poll": {"type": "float", "default": 5.0},
}


@dataclass
class Outcome:
    """What became of the thing. ``facts`` are further keys of the module's result."""

    changes: list[Change] = field(default_factory=list)
    facts: dict[str, t.Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    message: str = ""
    done: int = 0
    """How many of the changes have been carried out."""
    service: str = ""
    """The service that the changes are told of, in the form of the command line's contract; without one they are bare."""


def module_for(options: dict[str, dict[str, t.Any]], **more: t.Any) -> AnsibleModule:
    """The module object with the shared options; fails at once where `requests` is missing."""
    lifeline.hold()
    module = AnsibleModule(argument_spec={**OPTIONS, **options}, supports_check_mode=True, **more)
    if transport.REQUESTS_IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib("requests"), exception=transport.REQUESTS_IMPORT_ERROR)
    return module


def patience_of(module: bulk.Caller) -> Patience:
    """How long the module's options say to wait for what the provider does in the background."""
    return Patience(module.params["wait_timeout"], module.params["poll"])


def finish(module: bulk.Caller, outcome: Outcome, requests: int) -> t.NoReturn:
    """End the module well; prediction, diff and result all come from the same changes."""
    module.exit_json(**_told(outcome, outcome.changes, requests))


def failed(module: bulk.Caller, what: str, exc: ApiError, outcome: Outcome, requests: int) -> t.NoReturn:
    """End the module as failed after something was attempted; what had been done by then is told."""
    told = _told(outcome, outcome.changes[: outcome.done], requests)
    module.fail_json(msg=f"{what}: {exc.message}", errors=[exc.as_dict(what)], exit_code=FAILED, **told)


def _told(outcome: Outcome, changes: t.Sequence[Change], requests: int) -> dict[str, t.Any]:
    diff = {
        "before": {change.what: change.before for change in changes if change.before is not None},
        "after": {change.what: change.after for change in changes if change.after is not None},
    }
    whose = {"service": outcome.service, "tenant": None} if outcome.service else {}
    told: dict[str, t.Any] = {
        **outcome.facts,
        "changed": bool(changes),
        "changes": [{**whose, **change.as_dict()} for change in changes],
        "diff": diff,
        "message": outcome.message,
        "requests": requests,
    }
    if outcome.warnings:
        told["warnings"] = list(outcome.warnings)
    return told
