# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Codes of confirmation: who was told what would happen may have exactly that done, once and soon."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from smos.panel.grammar import CODE_LENGTH, CODE_SIGNS, Command

LIFETIME_S = 300
TRIES = 3


class CodeRefused(Exception):
    """The code confirms nothing; the message says why, in the words of the panel."""


@dataclass
class _Waiting:
    code: str
    command: Command
    until: float
    tries: int = TRIES


@dataclass
class Codes:
    """What waits for its code: one command for each number. Kept in memory: it ends with the process."""

    clock: Callable[[], float] = time.monotonic
    _waiting: dict[str, _Waiting] = field(default_factory=dict)

    def issue(self, number: str, command: Command) -> str:
        """A code for this command of this number; what waited before is forgotten."""
        code = "".join(secrets.choice(CODE_SIGNS) for _sign in range(CODE_LENGTH))
        self._waiting[number] = _Waiting(code, command, self.clock() + LIFETIME_S)
        return code

    def redeem(self, number: str, code: str) -> Command:
        """The command that the code confirms, which is used up by that. Raises CodeRefused."""
        waiting = self._waiting.get(number)
        if waiting is None:
            raise CodeRefused("No hay nada que confirmar. Escribe primero la orden.")
        if waiting.until <= self.clock():
            del self._waiting[number]
            raise CodeRefused(f"El código venció: dura {LIFETIME_S // 60} minutos. No se hizo nada; repite la orden.")
        if not hmac.compare_digest(waiting.code.encode(), code.encode()):
            waiting.tries -= 1
            if waiting.tries == 0:
                del self._waiting[number]
                raise CodeRefused("El código no es ese, y ya van tres intentos. No se hizo nada; repite la orden.")
            raise CodeRefused("El código no es ese. No se hizo nada; míralo en el mensaje anterior.")
        del self._waiting[number]
        return waiting.command

    def forget(self, number: str) -> bool:
        """Forget what waits for this number; whether there was anything."""
        return self._waiting.pop(number, None) is not None
