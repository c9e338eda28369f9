# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The mark that everything made by SmarterOS bears, where a provider has room for one."""

from __future__ import annotations

import re

NAME = "smarteros"
SYSTEM = "system"
"""Stands where a RUT would, in the mark of what belongs to the installation itself."""
_SYSTEM_MARK = re.compile(rf"\b{NAME}:{SYSTEM}(?![0-9A-Za-z_-])")
_MARK = re.compile(r"\bsmarteros:(\d{1,8}-[0-9K])(?![0-9A-Za-z-])")


def mark(rut: str) -> str:
    """The owner mark of a tenant, for example ``smarteros:76086428-5``, or of the installation: ``smarteros:system``."""
    return f"{NAME}:{rut}"


def owner_of(text: object) -> str | None:
    """The RUT of the tenant whose mark stands in a text; None where there is no mark of ours."""
    found = _MARK.search(text) if isinstance(text, str) else None
    return found.group(1) if found else None


def holder_of(text: object) -> str | None:
    """Whose mark stands in a text: a tenant's RUT, or `SYSTEM`; None where there is no mark of ours."""
    return owner_of(text) or (SYSTEM if is_systems(text) else None)


def is_systems(text: object) -> bool:
    """Whether the installation's own mark stands in a text, and no tenant's beside it."""
    return isinstance(text, str) and bool(_SYSTEM_MARK.search(text)) and owner_of(text) is None
