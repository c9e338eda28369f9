# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Data from Ansible without Ansible's tags."""

from __future__ import annotations

import json
import typing as t


def plain(value: t.Any) -> t.Any:
    """Data without Ansible's tags: libraries outside Ansible know only exact strings, lists and mappings."""
    return json.loads(json.dumps(value))
