# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Make Odoo ours, and keep its API key in the vault."""

from __future__ import annotations

from ansible_collections.smartercl.smarteros.plugins.modules import odoo_database
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.owner_action import OwnerAction


class ActionModule(OwnerAction):
    """One module call on the machine."""

    module = "smartercl.smarteros.odoo_database"
    argument_spec = odoo_database.OPTIONS
