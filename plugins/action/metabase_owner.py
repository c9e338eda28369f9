# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Make Metabase ours, and keep its API key in the vault."""

from __future__ import annotations

from ansible_collections.smartercl.smarteros.plugins.modules import metabase_owner
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.owner_action import OwnerAction


class ActionModule(OwnerAction):
    """One module call on the machine."""

    module = "smartercl.smarteros.metabase_owner"
    argument_spec = metabase_owner.OPTIONS
