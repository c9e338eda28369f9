# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Make n8n ours, and keep its API key in the vault."""

from __future__ import annotations

from ansible_collections.smartercl.smarteros.plugins.modules import n8n_owner
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.owner_action import OwnerAction


class ActionModule(OwnerAction):
    """One module call on the machine."""

    module = "smartercl.smarteros.n8n_owner"
    argument_spec = n8n_owner.OPTIONS
