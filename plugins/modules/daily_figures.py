#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Keep the figures of a day in the machine's database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: daily_figures
short_description: Keep the figures of a day in the machine's database, for dashboards
version_added: 0.1.0
description:
  - Writes what M(smartercl.smarteros.daily_digest) found of each tenant into table C(health.figures), all rows at once, and only
    those that differ. What is not known replaces nothing.
  - Each figure is a row of day, tenant, service, measure and currency. Service C(registry) holds which plan and phase a tenant had
    (measures C(plan:<name>) and C(phase:<name>)).
  - Where the server or the table is not there yet, nothing is written, and RV(message) says so.
options:
  date:
    description: The day, as C(2026-11-22).
    type: str
    required: true
  tenants:
    description: The tenants of the digest, each with its C(id), C(name), C(phase), C(plan) and C(services).
    type: list
    elements: dict
    required: true
  service:
    description: Swarm service of the server. It runs on this machine.
    type: str
    default: postgresql_postgresql
  database:
    description: Name of the database.
    type: str
    default: smarteros
  socket:
    description: Socket of the Docker Engine.
    type: path
    default: /var/run/docker.sock
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
seealso:
  - module: smartercl.smarteros.daily_digest
  - module: smartercl.smarteros.metabase_objects
"""

EXAMPLES = r"""
- name: Keep what the day was like
  smartercl.smarteros.daily_figures:
    date: "{{ digest.date }}"
    tenants: "{{ digest.tenants }}"
"""

RETURN = r"""
rows:
  description: How many figures the day has, as far as they are known.
  returned: success
  type: int
message:
  description: Why nothing was written; empty where something could be.
  returned: success
  type: str
changes:
  description: What was (in check mode would be) done, with service, tenant, action, what, before and after.
  returned: success
  type: list
  elements: dict
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(2) for figures that are none, V(3) where the database cannot be asked, V(1) where it does not take them.
  returned: failure
  type: int
"""

import typing as t
from datetime import date

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import SOCKET, Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import day_figures as figures

OPTIONS: dict[str, dict[str, t.Any]] = {
    "date": {"type": "str", "required": True},
    "tenants": {"type": "list", "elements": "dict", "required": True},
    "service": {"type": "str", "default": "postgresql_postgresql"},
    "database": {"type": "str", "default": "smarteros"},
    "socket": {"type": "path", "default": SOCKET},
}
ANSWER_S = 60.0
NOT_YET = "the table health.figures is not there yet; `smos deploy backend` has the machine's collector make it"
NEXT = "`smos status` tells how the server is; then the same command writes the same day again"


class Caller(t.Protocol):
    """What is needed of Ansible's module object."""

    params: dict[str, t.Any]
    check_mode: bool

    def exit_json(self, **result: t.Any) -> t.NoReturn:
        """End well."""

    def fail_json(self, msg: str, **result: t.Any) -> t.NoReturn:
        """End as failed."""

    def warn(self, warning: str) -> None:
        """Say something that does not fail the task."""


def work(module: Caller) -> None:
    """Look, compare, write unless in check mode, report."""
    params = module.params
    try:
        day = date.fromisoformat(params["date"]).isoformat()
        rows, told = figures.of_tenants(params["tenants"])
    except (ValueError, figures.Unusable) as exc:
        _fail(module, str(exc), 2, "Give the digest of a day as daily_digest returns it")
    try:
        server = Server(Engine(params["socket"]), params["service"])
        if not server.present:
            _not_yet(module, day, len(rows), f"{params['service']} does not run on this machine")
        has = figures.there(server.rows(figures.read(day), params["database"], ANSWER_S)[-1])
    except (PostgresError, EngineError, LookupError, ValueError) as exc:
        _fail(module, f"the database {params['database']} cannot be asked: {exc}", 3, NEXT)
    if has is None:
        _not_yet(module, day, len(rows), NOT_YET)
    difference = figures.compare(rows, told, has)
    if difference and not module.check_mode:
        try:
            server.rows(figures.write(day, difference), params["database"], ANSWER_S)
        except (PostgresError, EngineError) as exc:
            _fail(module, f"the database {params['database']} does not take them: {exc}", 1, NEXT)
    changes = _changes(day, difference, len(has)) if difference else []
    diff = {key: {each["what"]: each[key] for each in changes} for key in ("before", "after")}
    module.exit_json(changed=bool(difference), rows=len(rows), message="", changes=changes, diff=diff)


def _not_yet(module: Caller, day: str, rows: int, why: str) -> t.NoReturn:
    """There is nowhere to write to: told, and no failure of the day."""
    module.warn(f"figures of {day} are not kept: {why}")
    module.exit_json(changed=False, rows=rows, message=why, changes=[])


def _changes(day: str, difference: figures.Difference, had: int) -> list[dict[str, t.Any]]:
    after = {
        "rows": had + len(difference.fresh) - len(difference.gone),
        "new": len(difference.fresh),
        "altered": len(difference.altered),
        "gone": len(difference.gone),
    }
    what = f"figures of {day} in health.figures"
    action = "update" if had else "create"
    before = {"rows": had}
    return [{"service": "postgresql", "tenant": None, "action": action, "what": what, "before": before, "after": after}]


def _fail(module: Caller, why: str, code: int, following: str) -> t.NoReturn:
    why = why.rstrip(". ")
    error = row("figures of the day", why, "health.figures", following)
    module.fail_json(msg=f"figures of the day: {why}. {following}", errors=[error], exit_code=code)


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True))


if __name__ == "__main__":
    main()
