# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Carries out the module of the same name in the controller's process; see ``plugin_utils/bulk_action.py``."""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import single
from ansible_collections.smartercl.smarteros.plugins.modules import cloudflare_zone_records
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.bulk_action import BulkAction


class ActionModule(BulkAction):
    """Found by Ansible by the name of this file."""

    module: t.ClassVar[t.Any] = cloudflare_zone_records
    shared = single.OPTIONS
