"""Cuts secrets out of everything that is shown or kept. The callback of the collection cuts by the same rules."""

from __future__ import annotations

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.redact import STARS, Redactor, is_secret

__all__ = ["STARS", "Redactor", "is_secret"]
