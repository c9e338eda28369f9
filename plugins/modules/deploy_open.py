#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: deploy_open
short_description: Open a deploy
description:
  - Finds the release and its images, and renders the stacks of all services of the machine at once from the roles' templates
    C(stack.yml.j2), adds what all services share, and hashes each stack. Changes nothing.
  - Fails with exit code 3 where the vault lacks secrets that the services need, all of which it names, and with 2 for a release
    or a service that nobody knows.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  services:
    description: Ids of the services to deploy; all where it is empty. All stacks are rendered either way.
    type: list
    elements: str
    default: []
  without:
    description: Ids of services that the installation does without.
    type: list
    elements: str
    default: []
  release:
    description: Version of the release; without it the one that the specs describe.
    type: str
    default: ""
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Open the deploy
  smartercl.smarteros.deploy_open:
    without: [metabase]
  register: smos_opened
"""

RETURN = r"""
ansible_facts:
  description: >-
    The facts C(smos_run), C(smos_release), C(smos_images) (reference by component), C(smos_wanted) (ids in order),
    C(smos_catalogue), C(smos_zone), C(smos_network) and C(smos_timezone).
  returned: success
  type: dict
stacks:
  description: >-
    The stacks by service id as JSON text. It holds secrets and is never shown; C(deploy_preflight) and C(stack_deploy) find it in
    the variable C(smos_opened), which the task must register.
  returned: success
  type: str
"""
