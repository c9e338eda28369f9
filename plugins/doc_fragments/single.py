# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the documentation of the modules for one thing of the installation has in common; see ``module_utils/single.py``."""

from __future__ import annotations


class ModuleDocFragment:
    """Read by Ansible's documentation tools."""

    DOCUMENTATION = r"""
options:
  timeout:
    description: How long to wait for an answer, in seconds.
    type: float
    default: 30.0
requirements:
  - requests
notes:
  - When nothing could be attempted, because an argument is wrong, the provider cannot be reached or it refuses the
    token, the task fails with RV(ignore:exit_code) 3 and nothing has been written. When something was attempted,
    RV(ignore:exit_code) is 1 and RV(ignore:changes) tells what had been done by then.
"""

    WAIT = r"""
options:
  wait_timeout:
    description: How long to wait for what the provider does in the background, in seconds.
    type: float
    default: 600.0
  poll:
    description: Seconds between two looks at it.
    type: float
    default: 5.0
"""
