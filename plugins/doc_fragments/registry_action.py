# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the actions on the tenant registry have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by Ansible's documentation tools."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    support: full
    description: Nothing is written; the result is what a run would give.
  diff_mode:
    support: none
    description: There is nothing to show beside the result.
notes:
  - Runs on the controller, once for all tenants of a play. Use it with C(run_once).
  - The variables C(smos_specs), C(smos_environment) and C(smos_run) say where the specs are, which environment is
    meant, and which run this is.
"""
