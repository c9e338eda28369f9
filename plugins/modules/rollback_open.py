#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_open
short_description: Open a rollback
description:
  - Finds the release that is meant among those that were deployed on the machine, and the images of which it was made then.
    Changes nothing.
  - Fails with exit code 2, naming the nearest, for a release that was never deployed there or that the specs do not describe.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  look:
    description: What C(stack_look) saw on the first machine.
    type: dict
    required: true
  release:
    description: Version of the release, or V(previous) for the newest other one that was not rolled back from.
    type: str
    required: true
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Open the rollback
  smartercl.smarteros.rollback_open:
    look: "{{ found.look }}"
    release: 0.2.0
"""

RETURN = r"""
ansible_facts:
  description: >-
    The fact C(smos_rollback) with release, previous (the one that runs), images (reference by component) and backup (id of the one
    that an unfinished rollback to the same release has made, else empty).
  returned: success
  type: dict
"""
