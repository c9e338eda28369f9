#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: zone_open
short_description: Open a run on the DNS zone, and close it
description:
  - Judges the specs, makes the records of the system out of C(infra/dns.yml) and the frontends, with the machines' addresses out of
    the inventory, and takes the lock of the zone. Changes nothing else.
  - A record with C(host) takes C(smos_public_address), else C(ansible_host), of the inventory's host of that name in group C(vps), else of
    the first host of that group; an C(AAAA) record takes C(smos_public_address6).
  - Fails with exit code 2 for specs that are wrong, for a zone at another provider than Cloudflare, and for records whose machine has no
    public address, all of which it names. Fails with 4 where another run works on the zone of this environment.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  state:
    description: V(closed) gives the lock of O(run) back.
    type: str
    choices: [opened, closed]
    default: opened
  addresses:
    description: Addresses, one or a list, by machine of C(infra/vps.yml). They go before the inventory.
    type: dict
    default: {}
  reason:
    description: What the lock is taken for, as another run is told.
    type: str
    default: zone
  run:
    description: The run that holds the lock; one is made up where nothing names it.
    type: str
    default: ""
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
seealso:
  - module: smartercl.smarteros.cloudflare_zone_records
"""

EXAMPLES = r"""
- name: Open the run
  smartercl.smarteros.zone_open:
    addresses: {vps: [203.0.113.10, "2001:db8::10"]}
  register: opened

- name: Give the lock back
  smartercl.smarteros.zone_open:
    state: closed
    run: "{{ opened.run }}"
"""

RETURN = r"""
records:
  description: The records as JSON text, as M(smartercl.smarteros.cloudflare_zone_records) takes them.
  returned: with O(state=opened)
  type: str
count:
  description: How many they are.
  returned: with O(state=opened)
  type: int
settings:
  description: The settings of the zone, as the specs have them.
  returned: with O(state=opened)
  type: dict
zone:
  description: Name of the zone, C(cloudflare_zone) of the inventory or else that of the specs.
  returned: with O(state=opened)
  type: str
run:
  description: The run that holds the lock.
  returned: with O(state=opened)
  type: str
"""
