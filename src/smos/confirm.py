"""Asking a person before something is taken away."""

from __future__ import annotations

import sys
from gettext import gettext as _

from smos import exitcodes
from smos.outcome import failure
from smos.settings import Settings


def slug(asked: str, what: str, settings: Settings) -> None:
    """Have the slug typed once more, or answered by ``--yes``; raises Failure when it was not, or nobody can be asked."""
    if settings.yes or settings.check:
        return
    if settings.as_json or not sys.stdin.isatty():
        why = "it has to be confirmed, and there is nobody to ask"
        raise failure(exitcodes.REFUSED, what, why, following="Give --yes if you are sure")
    print(_("{what}. Type {asked} to go on: ").format(what=what, asked=asked), end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != asked:
        raise failure(exitcodes.REFUSED, what, "it was not confirmed; nothing was touched")
