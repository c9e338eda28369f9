# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Who may give commands. A telephone number is personal: it is known by the environment, and shown with stars only."""

from __future__ import annotations

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.whatsapp_cloud import digits
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

FEWEST_HIDDEN = 4


class BadNumber(ValueError):
    """A number on the list is none; the message says which one by its place."""


def allowed(text: str) -> frozenset[str]:
    """The numbers of a list with commas, as Meta writes them: digits only. Raises BadNumber."""
    found = set()
    for place, word in enumerate((each for each in text.split(",") if each.strip()), start=1):
        try:
            found.add(digits(word.strip()))
        except ApiError:
            raise BadNumber(f"number {place} of the list is not written as +56912345678") from None
    return frozenset(found)


def masked(number: str) -> str:
    """A number that its owner knows again, and nobody else: +569******78."""
    shown = number[:3], number[-2:]
    hidden = max(len(number) - 5, FEWEST_HIDDEN)
    return f"+{shown[0]}{'*' * hidden}{shown[1]}"
