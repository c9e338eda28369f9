#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_preflight
short_description: Judge a deploy before anything is touched
description:
  - Compares the stacks of C(deploy_open) with what C(stack_look) saw, and tells what will change.
  - >-
    Refuses, with all reasons at once, where the machine is of the wrong kind or too small, its clock is wrong, somebody else has
    the web's ports, names do not lead here, images have no digest, memory does not suffice, Traefik is too old for the Engine,
    a token that a service is about to be deployed with is missing or not valid, another run holds the lock, the step between two
    releases is not safe or nobody has acknowledged it, or the release is one that was rolled back from.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  look:
    description: What C(stack_look) saw on the first machine.
    type: dict
    required: true
  services:
    description: Ids of the services to deploy; all where it is empty.
    type: list
    elements: str
    default: []
  least_disk_gb:
    description: Free disk that a deploy needs, in GB.
    type: float
    default: 10.0
  least_cpus:
    description: CPUs that the machine must have.
    type: int
    default: 2
  address:
    description: The machine's public address, which names that are not proxied must lead to.
    type: str
    default: ""
  named:
    description: The release that somebody asked for by name; empty where it is the one that the specs describe.
    type: str
    default: ""
  acknowledged:
    description: Components, and releases that were rolled back from, of which somebody says to know what their step means.
    type: list
    elements: str
    default: []
  backup:
    description:
      - Whether services that exist and change are backed up first.
      - Without it the environment decides (C(backup_before_deploy)), and a step that needs a backup gets one.
    type: bool
  rollback:
    description: Whether the deploy is a rollback, whose hazards C(rollback_plan) judges.
    type: bool
    default: false
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Judge the deploy
  smartercl.smarteros.deploy_preflight:
    look: "{{ found.look }}"
"""

RETURN = r"""
plan:
  description: What will change, with service, tenant, action, what, before and after.
  returned: success
  type: list
  elements: dict
release:
  description: The release that is deployed.
  returned: success
  type: str
previous:
  description: The release that ran before, empty for the first.
  returned: success, and where the deploy is refused
  type: str
services:
  description: What runs now, by service id, with state and image.
  returned: success
  type: dict
memory:
  description: Reservation and limit of each service in MiB.
  returned: success
  type: list
  elements: dict
ansible_facts:
  description: >-
    The facts C(smos_live), C(smos_visit) (services to deploy, in order), C(smos_backup) (services to back up first), C(smos_lock),
    C(smos_before) (what the ledger says of the services) and C(smos_settled) (what its next entry will say).
  returned: success
  type: dict
errors:
  description: Every reason not to begin, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
"""
