#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_plan
short_description: Plan a rollback before anything is touched
description:
  - Tells what goes back, in the reverse order of a deploy; which services have data that a newer version has migrated one way, and
    from which backup they would come back; and how much time of work is lost by that.
  - Refuses with exit code 4 where a service needs the data of a backup and O(with_data) is not set, or where there is no such backup.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  look:
    description: What C(stack_look) saw on the first machine.
    type: dict
    required: true
  changes:
    description: What C(deploy_preflight) says will change.
    type: list
    elements: dict
    default: []
  backups:
    description: The backups that there are, as C(backups_info) tells them.
    type: list
    elements: dict
    default: []
  with_data:
    description: Whether data are taken back too.
    type: bool
    default: false
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Plan the rollback
  smartercl.smarteros.rollback_plan:
    look: "{{ found.look }}"
    backups: "{{ known.backups }}"
    with_data: true
"""

RETURN = r"""
plan:
  description: >-
    What will be done, with release, previous, services (in their order), data (of each service whose data have crossed a migration,
    needed, restored, backup, lost and versions) and restore (backups with their services).
  returned: always
  type: dict
ansible_facts:
  description: >-
    The facts C(smos_visit), C(smos_settled), C(smos_backup) (services to back up first), C(smos_restore) (backups with their services),
    C(smos_restored) (all services of those) and C(smos_servers) (database servers, which do not rest).
  returned: success
  type: dict
errors:
  description: Every reason not to begin, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
"""
