# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the documentation of every bulk module has in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of ``module_utils/bulk.py``, the promises of every bulk module, and nothing of a provider."""

    DOCUMENTATION = r"""
options:
  timeout:
    description: How long to wait for an answer, in seconds.
    type: float
    default: 30.0
  concurrency:
    description: How many requests may be under way at once.
    type: int
    default: 8
requirements:
  - requests
notes:
  - One failing tenant never fails the task. Look at RV(ignore:results[].state) and RV(ignore:results[].error).
  - The task itself fails only when nothing could be attempted, because an argument is wrong, the provider cannot be
    reached or it refuses the token. Nothing has been written then.
"""

    ATTRIBUTES = r"""
options: {}
attributes:
  check_mode:
    support: full
    description: Foretells exactly what a run would do, and only reads.
  diff_mode:
    support: full
    description: Returns what differs, before and after.
  idempotent:
    support: full
    description: A second run with the same arguments changes nothing, also when the first died midway.
"""
