# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the documentation of the modules that bring data back has in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Options and attributes of every restore; what its check mode tells is each module's own."""

    DOCUMENTATION = r"""
options:
  safety:
    description: Whether what is there is backed up before. Not to be turned off where there is anything to lose.
    type: bool
    default: true
  run:
    description: Id of the run that it belongs to. One of its own when empty, unless the play has one.
    type: str
    default: ""
attributes:
  diff_mode:
    support: none
    description: Data are not shown.
  idempotent:
    support: none
    description: Every run restores.
"""

    SOURCE = r"""
options:
  source:
    description: Where it is read from, V(local) or the name of a remote. The first place that has it when empty.
    type: str
    default: ""
"""
