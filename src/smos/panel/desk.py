# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Messages are answered at once and worked on afterwards: for each number one at a time, in their order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from smos.panel.service import Service
from smos.panel.webhook import Message

MOST_WAITING = 5  # of one number


@dataclass
class Desk:
    """Takes messages and has them worked on in this task group."""

    service: Service
    group: TaskGroup
    _rows: dict[str, MemoryObjectSendStream[Message]] = field(default_factory=dict)

    def take(self, message: Message) -> None:
        """Have a message worked on; where too many wait already, the person is told so."""
        if message.sender not in self._rows:
            send, receive = anyio.create_memory_object_stream[Message](MOST_WAITING)
            self._rows[message.sender] = send
            self.group.start_soon(self._serve, receive)
        try:
            self._rows[message.sender].send_nowait(message)
        except anyio.WouldBlock:
            self.group.start_soon(self.service.turn_away, message)

    async def _serve(self, waiting: MemoryObjectReceiveStream[Message]) -> None:
        async with waiting:
            try:
                async for message in waiting:
                    await self.service.attempt(message)
            finally:
                for message in _left(waiting):
                    self.service.refuse(message, "the panel was told to end before it came to it")


def _left(waiting: MemoryObjectReceiveStream[Message]) -> Iterator[Message]:
    """What nobody has taken."""
    while True:
        try:
            yield waiting.receive_nowait()
        except (anyio.WouldBlock, anyio.EndOfStream):
            return
