"""SmarterOS: the command line and the embedded sandbox."""

from __future__ import annotations

__version__ = "0.1.0"
