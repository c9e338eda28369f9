# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The common shape of the bulk modules: options, a result per tenant, and how a call ends."""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import dataclass, field

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.smartercl.smarteros.plugins.module_utils import lifeline, transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

READY, SUSPENDED, ABSENT, FAILED, DISABLED = "ready", "suspended", "absent", "failed", "disabled"
REACHED: t.Mapping[str, str] = {
    "present": READY,
    "suspended": SUSPENDED,
    "absent": ABSENT,
    "disabled": DISABLED,
}
"""The state of a result by the state that an item wished, when all went well."""
CANNOT_USE = 3  # exit code of the command line: the environment cannot be used, nothing was touched

OPTIONS: dict[str, dict[str, t.Any]] = {
    "timeout": {"type": "float", "default": 30.0},
    "concurrency": {"type": "int", "default": 8},
}


@dataclass(frozen=True)
class Change:
    """One difference that was, or in check mode would be, closed. Holds no secrets and no ids made by the provider."""

    action: str  # create | update | delete
    what: str
    before: t.Mapping[str, t.Any] | None = None
    after: t.Mapping[str, t.Any] | None = None

    def as_dict(self) -> dict[str, t.Any]:
        """The change as it is returned to Ansible."""
        return {"action": self.action, "what": self.what, "before": self.before, "after": self.after}


@dataclass
class Result:
    """What became of one tenant in one service."""

    tenant: str
    state: str = READY
    created: bool = False
    ref: dict[str, t.Any] = field(default_factory=dict)
    url: str = ""
    message: str = ""
    changes: list[Change] = field(default_factory=list)
    error: dict[str, str] | None = None
    usage: dict[str, int] = field(default_factory=dict)
    """How much of its plan's limits the tenant uses here, by the limit's name, where the module's reads tell it."""

    def fail(self, what: str, exc: ApiError) -> None:
        """Mark the tenant as failed; what was done before stays in ``changes`` and ``ref``."""
        self.state = FAILED
        self.message = f"{what}: {exc.message}"
        self.error = exc.as_dict(what)

    def as_dict(self) -> dict[str, t.Any]:
        """The result as it is returned to Ansible: what is empty is left out, since there may be thousands of them."""
        full = {
            "tenant": self.tenant,
            "state": self.state,
            "changed": bool(self.changes),
            "created": self.created,
            "ref": self.ref,
            "url": self.url,
            "message": self.message,
            "changes": [change.as_dict() for change in self.changes],
            "error": self.error,
            "usage": self.usage,
        }
        return {key: value for key, value in full.items() if value or key in ("tenant", "state", "changed")}


class Caller(t.Protocol):
    """What a bulk module needs of the one who called it: Ansible's module object, or :class:`InProcess`."""

    params: dict[str, t.Any]
    check_mode: bool

    def exit_json(self, **result: t.Any) -> t.NoReturn:
        """End well."""

    def fail_json(self, msg: str, **result: t.Any) -> t.NoReturn:
        """End as failed."""


class Ended(Exception):
    """Carries the result of a module that was called in this process."""

    def __init__(self, result: dict[str, t.Any]) -> None:
        super().__init__()
        self.result = result


@dataclass
class InProcess:
    """A caller without a process of its own; both ends raise :class:`Ended`."""

    params: dict[str, t.Any] = field(repr=False)
    check_mode: bool

    def exit_json(self, **result: t.Any) -> t.NoReturn:
        """End well."""
        raise Ended(result)

    def fail_json(self, msg: str, **result: t.Any) -> t.NoReturn:
        """End as failed."""
        raise Ended({"failed": True, "msg": msg, **result})


def module_for(options: dict[str, dict[str, t.Any]]) -> AnsibleModule:
    """The module object with the shared options; fails at once where `requests` is missing."""
    lifeline.hold()
    module = AnsibleModule(argument_spec={**OPTIONS, **options}, supports_check_mode=True)
    if transport.REQUESTS_IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib("requests"), exception=transport.REQUESTS_IMPORT_ERROR)
    return module


def policy_of(module: Caller) -> transport.Policy:
    """The HTTP policy that the module's options ask for."""
    return transport.Policy(read=module.params["timeout"], connect=min(5.0, module.params["timeout"]))


def one_per_tenant(module: Caller, option: str) -> None:
    """Fail at once when a tenant stands in the list of this option twice: neither of the two could be meant."""
    seen: set[str] = set()
    for item in module.params[option]:
        if item["tenant"] in seen:
            module.fail_json(msg=f"{option}: tenant {item['tenant']} is there twice")
        seen.add(item["tenant"])


@contextlib.contextmanager
def usable(module: Caller, service: str) -> t.Iterator[None]:
    """What is done inside must work before anything is attempted; an ApiError ends the module untouched."""
    try:
        yield
    except ApiError as exc:
        error = exc.as_dict(service)
        module.fail_json(
            msg=f"{service} cannot be used: {exc.message} ({exc.where})", errors=[error], exit_code=CANNOT_USE
        )


def finish(module: Caller, results: t.Iterable[Result], requests: int) -> t.NoReturn:
    """End the module: prediction, diff and result all come from the same changes."""
    rows = list(results)
    changes = [change for row in rows for change in row.changes]
    diff = {
        "before": {change.what: change.before for change in changes if change.before is not None},
        "after": {change.what: change.after for change in changes if change.after is not None},
    }
    module.exit_json(changed=bool(changes), diff=diff, requests=requests, results=[row.as_dict() for row in rows])
