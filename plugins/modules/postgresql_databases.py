#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A role and its own databases for each service, on the PostgreSQL of this machine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postgresql_databases
short_description: A role and its own databases for each service, on the PostgreSQL of this machine
version_added: 0.1.0
description:
  - Sees to a role for each service that can log in and nothing more, to its databases, which are closed to everybody else, to
    their extensions, which need the superuser, and to the passwords.
  - Whether a password is the wished one is known from what the server keeps of it. Where it is not, it is set. Statements hold
    only that derived value, pass through the standard input of C(psql) over the server's local socket, and are not logged.
  - Everything is looked at in one call and, where something differs, done in a second one.
  - Nothing is ever dropped. Roles and databases that are not named are not looked at.
options:
  service:
    description: Name of the Swarm service whose container is the server. It must run on this machine.
    type: str
    required: true
  roles:
    description: The services' roles.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the role.
        type: str
        required: true
      password:
        description: Its password, of printable ASCII characters.
        type: str
        required: true
      databases:
        description: Databases that are its own.
        type: list
        elements: str
        default: []
      connections:
        description: How many connections it may hold at once. V(-1) means any number.
        type: int
        default: -1
      reads:
        description:
          - Schemas of others that it may read, one by the name of each database. It may connect, and select from all tables
            and views there, those of later on too. What is not there yet is left out.
        type: dict
        default: {}
  extensions:
    description: Extensions that a database needs, by the database's name.
    type: dict
    default: {}
  optional_extensions:
    description: Extensions that are left out where the server does not have them. Any other that is lacking fails the task.
    type: list
    elements: str
    default: []
  superuser:
    description: The server's superuser.
    type: str
    default: postgres
  superuser_password:
    description: Its password. Left alone where this is empty.
    type: str
    default: ""
  socket:
    description: Socket of the Docker Engine.
    type: path
    default: /var/run/docker.sock
  timeout:
    description: Seconds to wait until the server takes connections.
    type: float
    default: 60.0
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Give each service its role and databases
  smartercl.smarteros.postgresql_databases:
    service: postgresql_postgresql
    superuser_password: "{{ lookup('smartercl.smarteros.secret', 'postgresql_password') }}"
    roles:
      - name: n8n
        password: "{{ lookup('smartercl.smarteros.secret', 'postgresql_n8n_password') }}"
        databases: [n8n]
        connections: 24
    extensions:
      n8n: [uuid-ossp]
"""

RETURN = r"""
changes:
  description: What was done (in check mode would be), with service, tenant, action, what, before and after.
  returned: always
  type: list
  elements: dict
left_out:
  description: Optional extensions that the server does not have.
  returned: success
  type: list
  elements: str
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(3) when nothing was attempted, V(1) when something was.
  returned: failure
  type: int
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import lifeline
from ansible_collections.smartercl.smarteros.plugins.module_utils import postgresql_plan as planning
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import SOCKET, Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row

SERVICE = "postgresql"  # its id in the catalogue
ROLE: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "databases": {"type": "list", "elements": "str", "default": []},
    "connections": {"type": "int", "default": planning.NO_LIMIT},
    "reads": {"type": "dict", "default": {}},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "service": {"type": "str", "required": True},
    "roles": {"type": "list", "elements": "dict", "required": True, "options": ROLE},
    "extensions": {"type": "dict", "default": {}},
    "optional_extensions": {"type": "list", "elements": "str", "default": []},
    "superuser": {"type": "str", "default": "postgres"},
    "superuser_password": {"type": "str", "default": "", "no_log": True},
    "socket": {"type": "path", "default": SOCKET},
    "timeout": {"type": "float", "default": 60.0},
}
AGAIN = "Repair that, then run the same command again"
NOT_CONNECTED = 2  # psql's exit code where it gets no connection
PAUSE_S = 1.0
SCRIPT_S = 600.0  # making databases waits for checkpoints on a slow disk
# For the session of this script alone: the server's log shall not hold what is kept of a password, and none waits for ever
SESSION = "-c log_statement=none -c log_min_duration_statement=-1 -c log_min_error_statement=panic -c lock_timeout=60s"


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


class Refused(Exception):
    """psql did not do it. ``done`` is how many changes it had finished by then."""

    def __init__(self, why: str, done: int = 0) -> None:
        super().__init__(why)
        self.done = done


class Server:
    """The PostgreSQL in a container, through its psql."""

    def __init__(self, engine: Engine, container: str, superuser: str, timeout_s: float) -> None:
        self._engine = engine
        self._container = container
        self._superuser = superuser
        self._timeout_s = timeout_s

    def run(self, script: str) -> str:
        """What psql wrote. Raises Refused. A server that has just been started is waited for."""
        words = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse"]
        words += ["-U", self._superuser, "-d", "postgres"]
        deadline = time.monotonic() + self._timeout_s
        while True:
            done = self._engine.execute(
                self._container,
                words,
                stdin=script.encode(),
                env={"PGOPTIONS": SESSION, "PGAPPNAME": "smarteros"},
                user="postgres",
                timeout_s=SCRIPT_S,
            )
            if done.code == 0:
                return done.stdout
            if done.code != NOT_CONNECTED or planning.DONE in done.stdout or time.monotonic() > deadline:
                said = " ".join(done.stderr.split()) or f"psql ended with {done.code}"
                raise Refused(said, done.stdout.count(planning.DONE))
            time.sleep(PAUSE_S)


def work(module: Caller) -> None:
    """Look, plan, do unless in check mode, report."""
    lifeline.hold()
    params = module.params
    wish = _wish(params)
    if wrong := planning.mistakes(wish):
        _fail(module, "; ".join(wrong), 3)
    try:
        server = _server(module)
        there = planning.seen(server.run(planning.question(wish))) if server else planning.Seen()
        steps = planning.plan(wish, there)
    except (EngineError, Refused, planning.Impossible) as exc:
        _fail(module, str(exc), 3)
    if steps and server and not module.check_mode:
        try:
            server.run(planning.script(steps))
        except (EngineError, Refused) as exc:
            done = exc.done if isinstance(exc, Refused) else 0
            _fail(module, str(exc), 1, _changes(steps[:done]))
    for database in planning.outdated(there):
        module.warn(
            f"database {database}: text was sorted by another version of the system's rules when its indexes were made. "
            f"Run REINDEX DATABASE and ALTER DATABASE {database} REFRESH COLLATION VERSION"
        )
    changes = _changes(steps)
    diff = {key: {each["what"]: each[key] for each in changes if each[key] is not None} for key in ("before", "after")}
    module.exit_json(changed=bool(steps), changes=changes, diff=diff, left_out=planning.left_out(wish, there))


def _wish(params: t.Mapping[str, t.Any]) -> planning.Wish:
    roles = tuple(
        planning.Role(each["name"], each["password"], tuple(each["databases"]), each["connections"], each["reads"])
        for each in params["roles"]
    )
    return planning.Wish(
        roles,
        params["extensions"],
        frozenset(params["optional_extensions"]),
        params["superuser"],
        params["superuser_password"],
    )


def _server(module: Caller) -> Server | None:
    """None in check mode where nothing runs yet: there may be no Engine either."""
    params = module.params
    engine = Engine(params["socket"])
    try:
        container = engine.container_of(params["service"])
    except EngineError:
        if module.check_mode:
            return None
        raise
    if container is None:
        if module.check_mode:
            return None
        raise Refused(f"no running container of {params['service']} is on this machine")
    return Server(engine, container, params["superuser"], params["timeout"])


def _changes(steps: t.Sequence[planning.Step]) -> list[dict[str, t.Any]]:
    return [
        {
            "service": SERVICE,
            "tenant": None,
            "action": step.action,
            "what": step.what,
            "before": step.before,
            "after": step.after,
        }
        for step in steps
    ]


def _fail(module: Caller, why: str, code: int, done: t.Sequence[t.Any] = ()) -> t.NoReturn:
    module.fail_json(
        msg=f"PostgreSQL: {why}. {AGAIN}",
        errors=[row("PostgreSQL", why, "databases", AGAIN)],
        exit_code=code,
        changed=bool(done),
        changes=list(done),
    )


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True))


if __name__ == "__main__":
    main()
