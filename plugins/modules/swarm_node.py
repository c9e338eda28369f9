#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A machine's place in a Docker Swarm."""

from __future__ import annotations

DOCUMENTATION = r"""
module: swarm_node
short_description: A machine's place in a Docker Swarm
version_added: 0.1.0
description:
  - Makes a machine the manager of a Swarm, or a worker in the Swarm of another machine, and brings labels, availability,
    overlay networks and the number of past tasks that are kept to what is declared.
  - A machine that is where it shall be is left there. One that belongs to another Swarm is refused; nothing here ever makes
    a machine leave a Swarm, since that ends all services on it and destroys the Swarm's secrets.
  - Certificates, join tokens and keys of a Swarm are never changed, and no network or node is ever removed.
  - Asks the Docker Engine through its socket, so it needs no library on the machine.
options:
  role:
    description: What the machine shall be in the Swarm.
    type: str
    choices: [manager, worker]
    required: true
  address:
    description:
      - Address that other machines of the Swarm reach this one by. It cannot be changed afterwards.
      - Without it, the address that the machine has on its way out.
    type: str
    default: ""
  address_pools:
    description: Address ranges for the overlay networks of a Swarm that is begun. Without any, those of Docker.
    type: list
    elements: str
    default: []
  subnet_size:
    description: Length of the prefix that each network gets out of O(address_pools).
    type: int
    default: 24
  manager_address:
    description: Of a worker. Address and port of its manager, as RV(manager_address) has it there.
    type: str
    default: ""
  manager_id:
    description: Of a worker. Node id of its manager.
    type: str
    default: ""
  join_token:
    description: Of a worker that is not in the Swarm yet. What lets it in, as RV(join_token) has it on the manager.
    type: str
  tokens:
    description: Of a manager. Whether to return RV(join_token). Use C(no_log) then.
    type: bool
    default: false
  task_history:
    description: Of a manager. How many past tasks of each task are kept, with their containers. Without it, as it is.
    type: int
  networks:
    description: Of a manager. Overlay networks that shall be there. One that is there already is used when it is fit.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the network.
        type: str
        required: true
      attachable:
        description: Whether containers that are not of a Swarm service can be in it.
        type: bool
        default: false
      internal:
        description: Whether it has no way out.
        type: bool
        default: false
      encrypted:
        description: Whether what goes from machine to machine is encrypted. Left out, a network that is there may be either.
        type: bool
      subnet:
        description: Address range of a network that is made. Without it, the next free one.
        type: str
        default: ""
  nodes:
    description: Of a manager. What shall be of machines in its Swarm.
    type: list
    elements: dict
    default: []
    suboptions:
      id:
        description: Node id. Without it, the manager itself.
        type: str
        default: ""
      labels:
        description:
          - Labels, without the C(cl.smarteros.) that each gets in front. Those of them that are not here are removed.
          - Labels without that prefix are somebody else's and stay.
        type: dict
        default: {}
      availability:
        description: Whether it takes on tasks. Without it, as it is.
        type: str
        choices: [active, pause, drain]
  wait_timeout:
    description: How long joining may take, in seconds.
    type: float
    default: 60.0
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Have a Swarm with the networks of the services
  smartercl.smarteros.swarm_node:
    role: manager
    task_history: 3
    networks:
      - {name: dokploy-network, attachable: true}
      - {name: smarteros-socket, internal: true}
    nodes:
      - labels: {place: first}
  register: swarm

- name: Join it
  smartercl.smarteros.swarm_node:
    role: worker
    manager_address: "{{ hostvars['vps1'].swarm.manager_address }}"
    manager_id: "{{ hostvars['vps1'].swarm.node.id }}"
    join_token: "{{ token }}"
"""

RETURN = r"""
node:
  description: The machine at the end, with id, name, address and manager (whether it is one). In check mode, as it is now.
  returned: success
  type: dict
joined:
  description: Whether the machine is in the Swarm that it shall be in. False where check mode found it outside.
  returned: success
  type: bool
manager_address:
  description: Where a worker reaches this manager; empty on a worker.
  returned: success
  type: str
join_token:
  description: What lets a worker in. A secret.
  returned: when O(tokens) is true
  type: str
changes:
  description: Each difference that was closed (in check mode would be), with action, what, before and after.
  returned: always
  type: list
  elements: dict
message:
  description: What was found or done, in a sentence.
  returned: success
  type: str
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

import typing as t
from dataclasses import dataclass, field, replace

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import swarm_apply, swarm_plan, swarm_seen
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.swarm_apply import NoAddressError
from ansible_collections.smartercl.smarteros.plugins.module_utils.swarm_plan import Change, Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.swarm_seen import PENDING, Swarm

NETWORK: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "attachable": {"type": "bool", "default": False},
    "internal": {"type": "bool", "default": False},
    "encrypted": {"type": "bool"},
    "subnet": {"type": "str", "default": ""},
}
NODE: dict[str, dict[str, t.Any]] = {
    "id": {"type": "str", "default": ""},
    "labels": {"type": "dict", "default": {}},
    "availability": {"type": "str", "choices": ["active", "pause", "drain"]},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "role": {"type": "str", "choices": ["manager", "worker"], "required": True},
    "address": {"type": "str", "default": ""},
    "address_pools": {"type": "list", "elements": "str", "default": []},
    "subnet_size": {"type": "int", "default": 24},
    "manager_address": {"type": "str", "default": ""},
    "manager_id": {"type": "str", "default": ""},
    "join_token": {"type": "str", "no_log": True},
    "tokens": {"type": "bool", "default": False, "no_log": False},
    "task_history": {"type": "int"},
    "networks": {"type": "list", "elements": "dict", "default": [], "options": NETWORK},
    "nodes": {"type": "list", "elements": "dict", "default": [], "options": NODE},
    "wait_timeout": {"type": "float", "default": 60.0},
}
UNTOUCHED = 3  # exit code: nothing was attempted
BEGUN = 1  # exit code: something was
ENGINE_NEXT = "Look at `systemctl status docker` on the machine, then run the same command again"
ADDRESS_NEXT = "Set `docker_advertise_address` for this host, then run the same command again"


@dataclass
class Progress:
    """The changes of this call; ``done`` counts those that have been carried out."""

    changes: list[Change] = field(default_factory=list)
    done: int = 0
    attempted: bool = False

    def one(self) -> None:
        """One more is done."""
        self.done += 1


class Work:
    """One call of the module."""

    def __init__(self, module: AnsibleModule, engine: Engine) -> None:
        self.module, self.engine = module, engine
        self.params: dict[str, t.Any] = module.params
        self.progress = Progress()

    def run(self) -> dict[str, t.Any]:
        """Look, compare, act unless in check mode; gives the module's result."""
        seen = self._seen()
        if not seen.present and not self.module.check_mode:
            raise EngineError(f"no Docker Engine answers at {self.engine.socket}")
        return self._manager(seen) if self.params["role"] == "manager" else self._worker(seen)

    def _seen(self) -> Swarm:
        seen = swarm_seen.look(self.engine)
        if seen.state == PENDING:  # the Engine has only just started
            swarm_apply.settled(self.engine, self.params["wait_timeout"])
            seen = swarm_seen.look(self.engine)
        return seen

    def _manager(self, seen: Swarm) -> dict[str, t.Any]:
        begin = swarm_plan.must_begin(seen)
        wish = wish_of(self.params)
        if not begin:
            return self._compared(wish, seen)
        if self.module.check_mode:
            foreseen = swarm_plan.compare(replace(wish, history=None), seen)  # it begins with that
            self.progress.changes = [_begun("manager", self.params["address"]), *foreseen.changes]
            return self._told(seen, joined=False)
        swarm_plan.compare(wish, seen)  # what is in the way is told before anything is done
        address = self.params["address"] or swarm_apply.own_address()
        self.progress.changes, self.progress.attempted = [_begun("manager", address)], True
        swarm_apply.begin(
            self.engine, address, self.params["address_pools"], self.params["subnet_size"], self.params["task_history"]
        )
        self.progress.one()
        return self._compared(wish, swarm_seen.look(self.engine))

    def _compared(self, wish: swarm_plan.Wish, seen: Swarm) -> dict[str, t.Any]:
        todo = swarm_plan.compare(wish, seen)
        self.progress.changes += todo.changes
        if todo.changes and not self.module.check_mode:
            self.progress.attempted = True
            swarm_apply.carry_out(self.engine, todo, self.progress.one)
        told = self._told(seen, joined=True)
        if self.params["tokens"]:
            told["join_token"] = swarm_seen.join_token(self.engine)
        return told

    def _worker(self, seen: Swarm) -> dict[str, t.Any]:
        manager = self.params["manager_address"]
        if not swarm_plan.must_join(seen, self.params["manager_id"], manager):
            return self._told(seen, joined=True)
        if not self.module.check_mode and not (manager and self.params["join_token"]):
            raise Refused(
                "this machine is in no Swarm, and manager_address and join_token do not both say which to join",
                "Give both, as the manager tells them with `tokens: true`",
            )
        self.progress.changes = [_begun("worker", self.params["address"])]
        if self.module.check_mode:
            return self._told(seen, joined=False)
        address = self.params["address"] or swarm_apply.own_address()
        self.progress.changes, self.progress.attempted = [_begun("worker", address)], True
        swarm_apply.join(self.engine, address, manager, self.params["join_token"], self.params["wait_timeout"])
        self.progress.one()
        return self._told(swarm_seen.look(self.engine), joined=True)

    def _told(self, seen: Swarm, *, joined: bool) -> dict[str, t.Any]:
        node = {"id": seen.node, "name": seen.name, "address": seen.address, "manager": seen.manager}
        return {
            "node": node,
            "joined": joined,
            "manager_address": seen.manager_address,
            "message": _sentence(self.progress.changes, check=self.module.check_mode),
        }


def wish_of(params: t.Mapping[str, t.Any]) -> swarm_plan.Wish:
    """What the options of a manager ask for."""
    return swarm_plan.Wish(
        history=params["task_history"],
        networks=[swarm_plan.WishedNetwork(**each) for each in params["networks"]],
        nodes=[swarm_plan.WishedNode(**{**each, "labels": each["labels"] or {}}) for each in params["nodes"]],
    )


def _begun(role: str, address: str) -> Change:
    return Change("create", "swarm", None, {"role": role, "address": address or "the one of its way out"})


def _sentence(changes: t.Sequence[Change], *, check: bool) -> str:
    if not changes:
        return "The machine is in its Swarm, as declared"
    what = ", ".join(f"{change.what} ({change.action})" for change in changes)
    return f"{'Would change' if check else 'Changed'}: {what}"


def _shown(changes: t.Sequence[Change]) -> dict[str, t.Any]:
    diff = {
        "before": {change.what: change.before for change in changes if change.before is not None},
        "after": {change.what: change.after for change in changes if change.after is not None},
    }
    return {"changed": bool(changes), "changes": [change.as_dict() for change in changes], "diff": diff}


def work(module: AnsibleModule, engine: Engine) -> None:
    """Run it and tell Ansible."""
    doing = Work(module, engine)
    try:
        result = doing.run()
    except (EngineError, Refused, NoAddressError) as exc:
        progress = doing.progress
        what, why, following = _mistake(exc)
        module.fail_json(
            msg=f"{what}: {why}",
            errors=[row(what, why, "", following)],
            exit_code=BEGUN if progress.attempted else UNTOUCHED,
            **_shown(progress.changes[: progress.done]),
        )
    else:
        module.exit_json(**result, **_shown(doing.progress.changes))


def _mistake(exc: Exception) -> tuple[str, str, str]:
    if isinstance(exc, Refused):
        return "the Swarm", exc.message, exc.next
    if isinstance(exc, NoAddressError):
        return "the Swarm", f"which address do others reach this machine by? ({exc})", ADDRESS_NEXT
    return "the Docker Engine", str(exc), ENGINE_NEXT


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True), Engine())


if __name__ == "__main__":
    main()
