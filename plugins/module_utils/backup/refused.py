# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a backup or a restore answers that cannot be: nothing was touched."""

from __future__ import annotations

AGAIN = "Repair that, then run the same command again"
INVALID, UNUSABLE, UNSAFE = 2, 3, 4  # exit codes


class Refused(Exception):
    """It cannot be, and nothing was touched. ``exit_code`` is the command line's, ``following`` says what to do next."""

    def __init__(self, why: str, exit_code: int, following: str = AGAIN) -> None:
        super().__init__(why)
        self.why = why
        self.exit_code = exit_code
        self.following = following
