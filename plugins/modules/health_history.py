#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How available everything was over the last days, from the collector's database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: health_history
short_description: Tell how available services and tenants were
version_added: 0.1.0
description:
  - Reads what the collector of M(smartercl.smarteros.health_setup) wrote; nothing is changed.
options:
  days:
    description: How many days back, with today.
    type: int
    required: true
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
seealso:
  - module: smartercl.smarteros.vps_status
"""

EXAMPLES = r"""
- name: See the last week
  smartercl.smarteros.health_history:
    days: 7
"""

RETURN = r"""
history:
  description:
    - C(days), C(subjects) and C(incidents), the newest incident first.
    - A subject has C(subject), C(kind), C(tenant), C(service), C(title), C(state), C(up_s), C(down_s), C(unknown_s), C(percent)
      and C(target).
  returned: success
  type: dict
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(3) where the database cannot be asked.
  returned: failure
  type: int
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import config
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.store import Store

NEXT = "`systemctl status smos-health` on the machine tells whether it collects; `smos deploy backend` sets it up"


def main() -> None:
    """Run by Ansible."""
    module = AnsibleModule(argument_spec={"days": {"type": "int", "required": True}}, supports_check_mode=True)
    try:
        known, engine = config.read(config.PATH), Engine()
        store = Store(Server(engine, known.server), known.database)
        module.exit_json(changed=False, history=store.history(module.params["days"], known.zone.key))
    except (config.ConfigError, PostgresError, EngineError) as exc:
        error = row("history", f"the collector's database does not answer: {exc}", str(config.PATH), NEXT)
        if isinstance(exc, config.ConfigError):
            error = row("history", str(exc), str(config.PATH), NEXT)
        module.fail_json(msg=f"history: {error['why']}", errors=[error], exit_code=3)


if __name__ == "__main__":
    main()
