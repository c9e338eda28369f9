#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: workflow_sync
short_description: Bring n8n's workflows into the specs, or the specs' into n8n
description:
  - Keeps one file for each workflow in C(workflows/live) of the specs, sorted and without versions, times, static data, pinned data
    and ids of the instance. Credentials are in it by type and name, other workflows by name.
  - What looks like a secret in a node's parameters is masked, and told. O(push=true) puts back what n8n has in such a place.
  - Tenants' copies of a template get no file. Those that are not as their template says are told in RV(deviations).
  - What was in step is kept in C(workflows/live/.sync.json), by environment. What only one side has changed since is closed; what both
    have changed is an error, and neither side is touched. O(resolve) decides.
  - Nothing is ever deleted, neither files nor workflows.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  push:
    description:
      - Apply the files to n8n instead of writing them. Workflows that are missing there are made.
      - Only workflows that bear the tag V(smarteros) are overwritten, in n8n or in the file's C(tags).
    type: bool
    default: false
  resolve:
    description: For which side a person has decided, V(n8n) or V(file), by the name of the file without its ending.
    type: dict
    default: {}
  commit:
    description: Commit what is in step, where the specs are in a git checkout.
    type: bool
    default: true
  templates:
    description: Names of the templates that tenants have; all of the folder when none is named.
    type: list
    elements: str
    default: []
  odoo_url:
    description: Address of Odoo, as the tenants' workflows have it.
    type: str
    default: ''
  chatwoot_url:
    description: Address of Chatwoot, as the tenants' workflows have it.
    type: str
    default: ''
  timeout:
    description: How long to wait for an answer, in seconds.
    type: float
    default: 30.0
requirements:
  - git
  - requests
attributes:
  check_mode:
    support: full
    description: Both sides are read, and nothing is written, pushed or committed.
  diff_mode:
    support: full
    description: The lines of the files that change, or with O(push=true) of what n8n has.
notes:
  - Runs on the controller. Use it with C(run_once).
  - The variable C(smos_specs) says where the specs are, C(n8n_url) and C(n8n_api_key) where n8n is.
"""

EXAMPLES = r"""
- name: Take over what was changed in n8n
  smartercl.smarteros.workflow_sync:

- name: Apply the files
  smartercl.smarteros.workflow_sync:
    push: true

- name: Take what n8n has where both have changed
  smartercl.smarteros.workflow_sync:
    resolve:
      daily-report: n8n
"""

RETURN = r"""
changes:
  description: What was done, or in check mode would be, to files or to n8n.
  returned: success
  type: list
  elements: dict
files:
  description: The files that there are.
  returned: success
  type: list
  elements: str
due:
  description: The names of the files that this call was about.
  returned: success
  type: list
  elements: str
states:
  description:
    - The names of the files by state, before anything was done.
    - The states are V(same), V(n8n_ahead), V(file_ahead), V(conflict), V(file_gone) and V(gone_from_n8n).
  returned: success
  type: dict
  sample: {same: [daily-report], file_ahead: [night-report]}
copies:
  description: How many copies tenants have of each template.
  returned: success
  type: dict
  sample: {contacts-to-odoo: 12}
deviations:
  description: Copies that are not as their template says.
  returned: success
  type: list
  elements: dict
  contains:
    tenant:
      description: RUT of the tenant.
      type: str
    template:
      description: Name of the template.
      type: str
    workflow:
      description: Name of the workflow.
      type: str
    differs:
      description: What differs, such as V(node Accept), V(setting timezone) or V(active).
      type: list
      elements: str
masked:
  description: Where something that looks like a secret was masked, with file, workflow and where.
  returned: success
  type: list
  elements: dict
commit:
  description: The commit that was made; empty where there was none.
  returned: success
  type: str
message:
  description: What the commit says.
  returned: success
  type: str
errors:
  description: Conflicts, and what could not be done.
  returned: failure
  type: list
  elements: dict
"""
