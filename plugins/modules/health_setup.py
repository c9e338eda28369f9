#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""All that a machine needs to watch itself and its tenants, put in place in one go."""

from __future__ import annotations

DOCUMENTATION = r"""
module: health_setup
short_description: Have a machine watch what runs on it
version_added: 0.1.0
description:
  - Writes the configuration of the collector, its program and the timer that runs it every few minutes, and has the timer run. From
    then on the machine needs no control node to know how it is.
  - A second program with a timer of its own tells people when the collector is silent.
  - Who is told of incidents is in the variables C(smos_admin_email), C(smos_admin_phone), C(smos_notice_webhook) and those that begin
    with C(smos_deputy_), with those by which mail and WhatsApp are sent. C(smos_health_ping) is an address that is asked after each look.
  - Secrets are in files that only root reads; those that are declared no longer are removed.
  - Everything is made on the controller, from the specs (C(services/registry.yml), C(infra/monitoring.yml), the tenants) and the
    variables of the ways to the admin, and is compared before it is written.
options:
  config:
    description: The configuration. Filled in by the controller.
    type: str
  secrets:
    description: Content by path of the files with secrets. Filled in by the controller.
    type: dict
  program:
    description: The program, compressed and as Base64. Filled in by the controller.
    type: str
  watch_program:
    description: The program that watches the collector, compressed and as Base64. Filled in by the controller.
    type: str
  units:
    description: Text by name of the units for systemd. Filled in by the controller.
    type: dict
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
seealso:
  - module: smartercl.smarteros.health_history
"""

EXAMPLES = r"""
- name: Have the machine watch what runs on it
  smartercl.smarteros.health_setup:
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
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import config
from ansible_collections.smartercl.smarteros.plugins.module_utils.timed_program import TimedProgram

PLACE = TimedProgram(
    title="the collector",
    config=config.PATH,
    program="/usr/local/lib/smarteros/health.pyz",
    packages=("tzdata",),
    ours=("notice-*", "deputy-*", "ping-*"),  # files of the folder that we name after ways to people
    others={"watch_program": "/usr/local/lib/smarteros/health-watch.pyz"},
)
OPTIONS: dict[str, dict[str, t.Any]] = {"watch_program": {"type": "str"}}


def main() -> None:
    """Run by Ansible."""
    timed_program.run_module(OPTIONS, "health", PLACE)


if __name__ == "__main__":
    main()
