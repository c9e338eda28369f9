# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Make Chatwoot ours, and keep its platform token in the vault."""

from __future__ import annotations

from ansible_collections.smartercl.smarteros.plugins.modules import chatwoot_installation
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.owner_action import OwnerAction


class ActionModule(OwnerAction):
    """One module call on the machine."""

    module = "smartercl.smarteros.chatwoot_installation"
    made = "platform_token"
    argument_spec = chatwoot_installation.OPTIONS
