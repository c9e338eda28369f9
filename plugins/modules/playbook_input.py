#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: playbook_input
short_description: Judge what a playbook was given
description:
  - Holds the extra variables against the description of the playbook in C(playbooks/vars/inputs.yml). All that is missing, wrong or
    unknown is told in one failure, and nothing was touched.
  - A required variable may also come from the inventory. Types are judged as those of a module's options, so a form that knows only texts
    can give lists with commas, numbers and true or false.
  - A variable counts as unknown when its name begins with one of the prefixes of the description, and neither a playbook that was started
    nor a role has it.
  - It is the first task of each of our playbooks.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  playbook:
    description: Name of the playbook in the description, without its ending.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Nothing is ever changed.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Judge what was given
  smartercl.smarteros.playbook_input:
    playbook: restore
  run_once: true
"""

RETURN = r"""
errors:
  description: What is missing, wrong or unknown, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(2), what C(smos) ends with.
  returned: failure
  type: int
"""
