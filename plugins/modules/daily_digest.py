#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: daily_digest
short_description: The digest of a day, composed, kept and sent once
description:
  - Adds up what M(smartercl.smarteros.tenant_activity) found, adds what is known of the system, and makes a short message of it with the
    words of C(specs/messages/daily.yml).
  - Keeps the digest of a day that is over for 400 days, as a file that only its owner may read.
  - Sends it where that is wanted, to the admin on every way that is configured (as M(smartercl.smarteros.admin_notice) does), and to the
    owners of tenants whose file says C(digest) V(daily). Each message goes once; it is written down before and after.
version_added: 0.3.0
author:
  - SmarterCL (@SmarterCL)
options:
  activity:
    description: What M(smartercl.smarteros.tenant_activity) returned as RV(smartercl.smarteros.tenant_activity#module:activity).
    type: dict
    required: true
  state_dir:
    description: Folder of the state. Digests lie in C(daily) and the environment's name below it.
    type: path
    required: true
  status:
    description: What M(smartercl.smarteros.vps_status) returned as C(status), or C(unknown) with the reason.
    type: dict
    default: {}
  system:
    description: Further parts of what is told of the system, C(cost), C(runs) or C(drift).
    type: dict
    default: {}
  send:
    description: Whether it is sent. Not for a day that is not over.
    type: bool
    default: false
  force:
    description: Send again what was sent, or may have been.
    type: bool
    default: false
  channels:
    description: Only on these ways to the admin. All that are configured when empty.
    type: list
    elements: str
    choices: [webhook, email, whatsapp]
    default: []
  link:
    description: Where details are, for the end of the message. The command that shows them when empty.
    type: str
    default: ""
  timeout:
    description: Seconds that a provider may take to say what its token is good for.
    type: float
    default: 10.0
  variables:
    description:
      - Start of the names of variables that the options above are taken from, V(daily_) for C(daily_send) and the others. Not those of
        O(activity) and O(state_dir).
      - They are taken as they were written and never evaluated.
    type: str
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Compose yesterday's digest and send it
  smartercl.smarteros.daily_digest:
    activity: "{{ __activity.activity }}"
    state_dir: /var/lib/smarteros
    send: true
"""

RETURN = r"""
digest:
  description:
    - The day, and beside it C(totals) by service, C(problems), C(top) (who sold most), C(phases) of the tenants, C(system), C(tenants)
      with their figures, and C(message) as the admin reads it.
  returned: always
  type: dict
sent:
  description: What became of the messages, C(founder) by way and C(owners) by tenant; each has a C(state).
  returned: always
  type: dict
  sample:
    founder: {whatsapp: {state: sent}}
    owners: {}
errors:
  description: What was not sent, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(2) for what cannot be sent, V(3) where no way is configured, V(1) where one failed.
  returned: failure
  type: int
"""
