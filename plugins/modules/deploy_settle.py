#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Beginning and end of a deploy in the machine's ledger; and what nobody needs any more goes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_settle
short_description: Record a release on the machine and remove what no release needs
version_added: 0.1.0
description:
  - >-
    Writes an entry into the machine's ledger: release, run, time, who, kind, result, the release before, the backup that was made
    first, and each service with its images, configuration and the versions that its data were last written with.
  - >-
    With O(result=begun) the entry says that the run failed; it stays so where the run is cut off, and is replaced when the
    same run ends. With O(result=failed) what was come to is found out by looking.
  - >-
    With O(result=done) nothing is written where the newest entry says the same; then Swarm secrets and configs of ours, and
    images that only older releases of ours used, are removed, unless a running service, its former version, the last two releases
    or one that was rolled back from since refer to them. What is not ours is never removed. The lock is given back.
options:
  run:
    description: Id of the run.
    type: str
    required: true
  release:
    description: Version of the release.
    type: str
    required: true
  services:
    description: >-
      What the release consists of, by service id, each with config, images, secrets, configs (names), release, components and data.
    type: dict
    required: true
  result:
    description: What the run has come to.
    type: str
    choices: [begun, done, failed]
    default: done
  kind:
    description: What the run is.
    type: str
    choices: [deploy, rollback]
    default: deploy
  who:
    description: Who runs it, and where.
    type: str
    default: ""
  backup:
    description: Id of the backup that the run has made first.
    type: str
    default: ""
  before:
    description: What the ledger said of the services when the run began.
    type: dict
    default: {}
  visited:
    description: Ids of the services that the run deploys, in their order.
    type: list
    elements: str
    default: []
  rolled_back:
    description: Whether the service that failed runs again as it was before.
    type: bool
    default: false
  restore:
    description: Data that come out of backups, in this order.
    type: list
    elements: dict
    default: []
    suboptions:
      backup:
        description: Id of the backup.
        type: str
        required: true
      services:
        description: Ids of the services.
        type: list
        elements: str
        required: true
  restored:
    description: How many of O(restore) are done.
    type: int
    default: 0
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Record the release
  smartercl.smarteros.deploy_settle:
    run: 20260101-020000-ab12
    release: 0.2.0
    services: {redis: {config: 3f2a, images: {redis: "redis:7.2"}, secrets: [], configs: []}}

- name: Record that it failed
  smartercl.smarteros.deploy_settle:
    run: 20260101-020000-ab12
    release: 0.2.0
    result: failed
    services: {redis: {config: 3f2a, images: {redis: "redis:7.2"}, secrets: [], configs: []}}
    visited: [redis]
"""

RETURN = r"""
pruned:
  description: What was removed (in check mode would be), by kind.
  returned: success
  type: dict
recorded:
  description: Whether the ledger has a new entry.
  returned: success
  type: bool
"""

import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import ledger, release_record, stack_state
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.stack_prune import prune
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import TargetLock

BEGUN = "begun"
OPTIONS: dict[str, dict[str, t.Any]] = {
    "run": {"type": "str", "required": True},
    "release": {"type": "str", "required": True},
    "services": {"type": "dict", "required": True},
    "result": {"type": "str", "choices": [BEGUN, ledger.DONE, ledger.FAILED], "default": ledger.DONE},
    "kind": {"type": "str", "choices": [ledger.DEPLOY, ledger.ROLLBACK], "default": ledger.DEPLOY},
    "who": {"type": "str", "default": ""},
    "backup": {"type": "str", "default": ""},
    "before": {"type": "dict", "default": {}},
    "visited": {"type": "list", "elements": "str", "default": []},
    "rolled_back": {"type": "bool", "default": False},
    "restore": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "backup": {"type": "str", "required": True},
            "services": {"type": "list", "elements": "str", "required": True},
        },
    },
    "restored": {"type": "int", "default": 0},
}
NEXT = {
    BEGUN: "No service was changed; repair that, then run the same command again",
    ledger.DONE: "Everything is deployed; repair that, then run the same command again",
    ledger.FAILED: "Repair that, and what failed before, then run the same command again",
}


def entry_of(params: t.Mapping[str, t.Any], services: t.Mapping[str, t.Any]) -> ledger.Entry:
    """The ledger's entry."""
    result = ledger.FAILED if params["result"] == BEGUN else params["result"]
    if params["result"] == ledger.FAILED and params["rolled_back"]:
        result = ledger.ROLLED_BACK
    now = ledger.current(ledger.read())
    entry = {
        "release": params["release"],
        "run": params["run"],
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "who": params["who"],
        "kind": params["kind"],
        "result": result,
        "previous": now["release"] if now else "",
        "backup": params["backup"],
        "services": dict(services),
    }
    return {**entry, "restore": params["restore"], "restored": params["restored"]} if params["restore"] else entry


def services_of(params: t.Mapping[str, t.Any], engine: Engine) -> t.Mapping[str, t.Any]:
    """What the entry says of the services."""
    if params["result"] == ledger.DONE:
        return dict(params["services"])
    count = params["restored"]
    done, yet = ([name for each in group for name in each["services"]] for group in _parted(params["restore"], count))
    wish = release_record.Wish(params["before"], params["services"], params["visited"], done, yet)
    if params["result"] == BEGUN:
        return release_record.begun(wish)
    live = {name: stack_state.told(stack) for name, stack in stack_state.look(engine).items()}
    return release_record.failed(wish, live)


def _parted(restore: list[t.Any], count: int) -> tuple[list[t.Any], list[t.Any]]:
    return restore[:count], restore[count:]


def work(module: AnsibleModule, engine: Engine) -> None:
    """Record; at the good end also prune and unlock."""
    params = module.params
    if module.check_mode:
        module.exit_json(changed=False, recorded=False, pruned={})
    pruned: dict[str, list[str]] = {}
    try:
        recorded = ledger.add(entry_of(params, services_of(params, engine)))
        if params["result"] == ledger.DONE:
            pruned = prune(engine, ledger.read())
            TargetLock().release(params["run"])
    except (OSError, EngineError) as exc:
        why = str(exc)
        error = row("the machine's ledger", why, "", NEXT[params["result"]])
        module.fail_json(msg=why, exit_code=1, errors=[error])
    else:
        module.exit_json(changed=recorded or any(pruned.values()), recorded=recorded, pruned=pruned)


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True), Engine())


if __name__ == "__main__":
    main()
