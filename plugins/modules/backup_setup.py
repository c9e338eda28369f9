#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""All that a machine needs to back itself up, put in place in one go."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_setup
short_description: Have a machine back itself up
version_added: 0.1.0
description:
  - Writes the configuration of the backups, the password and credentials of the repositories, the program and the timers that
    run it, and has the timers run. From then on the machine needs no control node for its backups.
  - Everything is made on the controller, from the specs (C(services/registry.yml), C(infra/backup.yml)) and the vault, and is
    compared before it is written. Files of remotes and notices that are declared no longer are removed.
  - Who is told of failures is in the variables C(smos_admin_email), C(smos_admin_phone) and C(smos_notice_webhook), with those by
    which mail and WhatsApp are sent.
  - The package of restic is not installed, but it is told in RV(missing) when that is to be done.
  - Secrets are in files that only root reads. None of them is in the result or in a difference that is shown.
options:
  password:
    description: The password of all repositories. It must be kept elsewhere as well, for without it no backup can be read.
    type: str
  services:
    description: Ids of the services that the machine carries; those of the whole catalogue when not given.
    type: list
    elements: str
  release:
    description: The release that the machine has; the current one when empty.
    type: str
    default: ""
  config:
    description: The configuration. Filled in by the controller.
    type: str
  secrets:
    description: Content by path of the files with secrets. Filled in by the controller.
    type: dict
  program:
    description: The program, compressed and as Base64. Filled in by the controller.
    type: str
  units:
    description: Text by name of the units for systemd. Filled in by the controller.
    type: dict
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
seealso:
  - module: smartercl.smarteros.backup_take
"""

EXAMPLES = r"""
- name: Have the machine back itself up
  smartercl.smarteros.backup_setup:
    password: "{{ lookup('smartercl.smarteros.secret', 'backup_password') }}"
    services: [postgresql, redis, traefik, n8n]
"""

RETURN = r"""
changes:
  description: What was done (in check mode would be), each with service, tenant, action, what, before and after.
  returned: always
  type: list
  elements: dict
missing:
  description: Packages that are needed and not installed.
  returned: success
  type: list
  elements: str
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(3) for a machine that cannot be used, V(1) when something was attempted.
  returned: failure
  type: int
"""

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import timed_program
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import config
from ansible_collections.smartercl.smarteros.plugins.module_utils.timed_program import TimedProgram

OPTIONS: dict[str, dict[str, t.Any]] = {
    "password": {"type": "str", "no_log": True},
    "services": {"type": "list", "elements": "str"},
    "release": {"type": "str", "default": ""},
}
PLACE = TimedProgram(
    title="the backups",
    config=config.PATH,
    program="/usr/local/lib/smarteros/backup.pyz",
    ours=("*.env", "notice-*"),  # files of the folder that we name after remotes and channels
    packages=("restic",),
)


def main() -> None:
    """Run by Ansible."""
    timed_program.run_module(OPTIONS, "backup", PLACE)


if __name__ == "__main__":
    main()
