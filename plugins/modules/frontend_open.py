#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: frontend_open
short_description: Open a deploy of the frontends, and close it
description:
  - Finds the release and the refs that it names, takes the values of the frontends' variables out of inventory and vault, and takes
    the lock of the frontends. Changes nothing else.
  - Fails with exit code 2 for a release or a frontend that nobody knows, with 3 where the token or values of variables are missing, all
    of which it names, and with 4 where another run deploys frontends of this environment.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  state:
    description: V(closed) gives the lock of O(run) back.
    type: str
    choices: [opened, closed]
    default: opened
  services:
    description: Ids of the frontends; all of which the release names a ref where it is empty.
    type: list
    elements: str
    default: []
  release:
    description: Version of the release; without it the one that the specs describe.
    type: str
    default: ""
  reason:
    description: What the lock is taken for, as another run is told.
    type: str
    default: deploy frontend
  values:
    description: Whether the values of variables are taken. A way back needs none, and is not kept up by one that is missing.
    type: bool
    default: true
  run:
    description: The run that holds the lock; one is made up where nothing names it.
    type: str
    default: ""
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Open the deploy of the documentation
  smartercl.smarteros.frontend_open:
    services: [docs]
  register: opened

- name: Give the lock back
  smartercl.smarteros.frontend_open:
    state: closed
    run: "{{ opened.run }}"
"""

RETURN = r"""
frontends:
  description: The frontends as JSON text, as C(vercel_deployments) takes them. It holds secrets and is never shown.
  returned: with O(state=opened)
  type: str
count:
  description: How many they are.
  returned: with O(state=opened)
  type: int
release:
  description: Version of the release.
  returned: with O(state=opened)
  type: str
run:
  description: The run that holds the lock.
  returned: with O(state=opened)
  type: str
build_timeout:
  description: Seconds that a build may take, as the specs say.
  returned: with O(state=opened)
  type: float
health_timeout:
  description: Seconds within which a page has to answer, as the specs say.
  returned: with O(state=opened)
  type: float
"""
