#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Everything that a deploy asks of a machine, in one look."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stack_look
short_description: See what a machine is and what runs on it
version_added: 0.1.0
description:
  - One look at the system, the Docker Engine, the Swarm and all stacks of ours, so that a deploy with nothing to do asks once
    and not once per service. Changes nothing; works where there is no Engine yet.
options:
  files:
    description: Whether the stack files and Swarm configs are read too, which a diff needs. They hold no secret.
    type: bool
    default: false
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: See what runs
  smartercl.smarteros.stack_look:
  register: found
"""

RETURN = r"""
look:
  description: >-
    What was seen, with host, engine, stacks (by service id, each with config, routed, images, state and containers), strangers
    (who has the web's ports), lock (its holder), releases (the ledger), adopted (whether a Dokploy of its own installer runs),
    restoring (the restore that is half done, in words, or nothing), and with O(files) files and configs.
  returned: success
  type: dict
"""

import base64
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import ledger, stack_state, vps_look
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import journal
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.stack_deploy import FILE, STACKS
from ansible_collections.smartercl.smarteros.plugins.module_utils.target_lock import TargetLock

OPTIONS: dict[str, dict[str, t.Any]] = {"files": {"type": "bool", "default": False}}
DOKPLOY = "dokploy"  # name of the Swarm service that Dokploy's own installer makes


def look(engine: Engine, files: bool) -> dict[str, t.Any]:
    """See the documentation."""
    found: dict[str, t.Any] = {
        "host": vps_look.host(),
        "engine": vps_look.engine(engine),
        "strangers": {str(port): who for port, who in vps_look.strangers_on(engine).items()},
        "lock": TargetLock().holder(),
        "releases": ledger.read(),
        "stacks": {},
        "adopted": False,
        "restoring": journal.unfinished(),
        "files": {},
        "configs": {},
    }
    if files and STACKS.is_dir():
        found["files"] = {path.parent.name: path.read_text(encoding="utf-8") for path in STACKS.glob(f"*/{FILE}")}
    if found["engine"]["manager"]:
        found["stacks"] = {name: stack_state.told(stack) for name, stack in stack_state.look(engine).items()}
        found["adopted"] = bool(engine.get("/services", name=[DOKPLOY])) and DOKPLOY not in found["stacks"]
        found["configs"] = _configs(engine) if files else {}
    return found


def _configs(engine: Engine) -> dict[str, str]:
    label = [f"{stack_state.OWNER_LABEL}={stack_state.OWNER}"]
    return {
        each["Spec"]["Name"]: base64.b64decode(each["Spec"]["Data"]).decode(errors="replace")
        for each in engine.get("/configs", label=label)
    }


def main() -> None:
    """Run by Ansible."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    try:
        module.exit_json(changed=False, look=look(Engine(), module.params["files"]))
    except EngineError as exc:
        following = "Look at `systemctl status docker` on the machine, then run the same command again"
        module.fail_json(
            msg=f"the Docker Engine: {exc.message}",
            exit_code=3,
            errors=[row("the Docker Engine", exc.message, "", following)],
        )


if __name__ == "__main__":
    main()
