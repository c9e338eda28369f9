# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Answers, by WhatsApp: within 24 hours of a person's message a plain text may be sent."""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.whatsapp_cloud import WhatsApp
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError


@dataclass(frozen=True)
class Sender:
    """Sends texts from one number. A message whose answer is lost is not sent again: it would come twice."""

    client: WhatsApp

    async def send(self, number: str, text: str) -> str:
        """Send it; gives why that failed, or nothing."""
        return await anyio.to_thread.run_sync(self._send, number, text)

    def _send(self, number: str, text: str) -> str:
        try:
            self.client.send_text(number, text)
        except ApiError as exc:
            return exc.message
        return ""
