#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Whether a Dokploy is on this machine that its official installer made."""

from __future__ import annotations

DOCUMENTATION = r"""
module: dokploy_found
short_description: Whether a Dokploy is there that its official installer made
version_added: 0.1.0
description:
  - The official installer makes Swarm services called C(dokploy) and C(dokploy-postgres). A second Dokploy beside it would want the
    same folder, the same network and the same names, so ours is not deployed then. The one that is there stays as it is.
options:
  socket:
    description: Socket of the Docker Engine.
    type: path
    default: /var/run/docker.sock
attributes:
  check_mode:
    support: full
    description: Only reads.
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: See whether an official installation is there
  smartercl.smarteros.dokploy_found:
  register: found
"""

RETURN = r"""
foreign:
  description: Whether there is one that is not ours.
  returned: success
  type: bool
image:
  description: Its image.
  returned: when there is one
  type: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import SOCKET, Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.stack_state import OWNER, OWNER_LABEL

NAMES = ("dokploy", "dokploy-postgres")  # as the official installer calls them; ours are dokploy_…
OPTIONS: dict[str, dict[str, t.Any]] = {"socket": {"type": "path", "default": SOCKET}}


def work(module: AnsibleModule) -> None:
    """Look, and say so."""
    foreign = None
    try:
        foreign = _foreign(Engine(module.params["socket"]))
    except EngineError as exc:
        if not module.check_mode:
            module.fail_json(msg=f"Docker cannot be asked: {exc.message}", exit_code=3)
    if foreign:
        module.warn(
            f"Dokploy ({foreign}) was installed here by its official installer and stays as it is; no second one is deployed. "
            "Give its API key as DOKPLOY_API_KEY, or take it out of this deploy (deploy_without: [dokploy])"
        )
    module.exit_json(changed=False, foreign=bool(foreign), **({"image": foreign} if foreign else {}))


def _foreign(engine: Engine) -> str | None:
    """The image of a Dokploy that is not ours."""
    for each in engine.get("/services", name=list(NAMES)):  # the filter takes beginnings of names
        spec = each["Spec"]
        if spec["Name"] in NAMES and (spec.get("Labels") or {}).get(OWNER_LABEL) != OWNER:
            return str(spec["TaskTemplate"]["ContainerSpec"]["Image"])
    return None


def main() -> None:
    """Run by Ansible."""
    work(AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True))


if __name__ == "__main__":
    main()
