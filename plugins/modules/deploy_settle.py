#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The end of a deploy: what runs now is written down, and what nobody needs any more goes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_settle
short_description: Record a release on the machine and remove what no release needs
version_added: 0.1.0
description:
  - Writes the release into the machine's ledger, unless the newest entry says the same, and gives the lock back.
  - Removes Swarm secrets and configs of ours, and images that only older releases of ours used, which neither a running service,
    nor its former version, nor the last two releases refer to. What is not ours is never removed.
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
    description: What the release consists of, by service id, each with config, images, secrets and configs (names).
    type: dict
    required: true
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

from ansible_collections.smartercl.smarteros.plugins.module_utils import ledger
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.stack_prune import prune
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import TargetLock

OPTIONS: dict[str, dict[str, t.Any]] = {
    "run": {"type": "str", "required": True},
    "release": {"type": "str", "required": True},
    "services": {"type": "dict", "required": True},
}


def work(module: AnsibleModule, engine: Engine) -> None:
    """Record, prune, unlock."""
    params = module.params
    entry = {
        "release": params["release"],
        "run": params["run"],
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "services": params["services"],
    }
    if module.check_mode:
        module.exit_json(changed=False, recorded=False, pruned={})
    try:
        recorded = ledger.add(entry)
        pruned = prune(engine, ledger.read())
        TargetLock().release(params["run"])
    except (OSError, EngineError) as exc:
        why = str(exc)
        following = "Everything is deployed; repair that, then run the same command again"
        module.fail_json(msg=why, exit_code=1, errors=[row("the end of the deploy", why, "", following)])
    else:
        module.exit_json(changed=recorded or any(pruned.values()), recorded=recorded, pruned=pruned)


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True), Engine())


if __name__ == "__main__":
    main()
