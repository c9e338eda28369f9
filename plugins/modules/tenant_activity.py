#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_activity
short_description: What the tenants' shops did on one day
description:
  - Reads the orders of a day (Shopify, Odoo), conversations and the time to the first response (Chatwoot), failed executions of
    workflows (n8n) and the storage in use (Supabase), for all tenants at once and all services at the same time.
  - Odoo, n8n and Supabase are asked once for all tenants, Shopify and Chatwoot once for each, several at a time.
  - A provider that does not answer, or one shop of it, is told as C(unknown) with the reason, and never fails the task. After twenty
    tenants in a row without an answer a provider is not asked for the others.
  - Reads only.
version_added: 0.3.0
author:
  - SmarterCL (@SmarterCL)
options:
  tenants:
    description: Inventory host names of the tenants. Those that were deleted are left out.
    type: list
    elements: str
    required: true
  date:
    description: The day, as V(2026-11-22). Yesterday when empty.
    type: str
    default: ""
  zone:
    description: Time zone in which days are counted. A day has 23 or 25 hours when its clocks change.
    type: str
    default: America/Santiago
  concurrency:
    description: Requests of one provider that are under way at once.
    type: int
    default: 8
  timeout:
    description: Seconds that an answer may take.
    type: float
    default: 10.0
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: See what all shops did yesterday
  smartercl.smarteros.tenant_activity:
    tenants: "{{ groups['tenants'] }}"
  register: __activity
"""

RETURN = r"""
activity:
  description:
    - The day (C(date), C(zone), C(from), C(to), C(hours), and C(over), whether it has ended) and C(tenants), a list of C(id), C(slug),
      C(name), C(phase), C(plan) and C(services).
    - In C(services) are the figures by service, or in their place C(unknown) with the reason. Amounts are texts by currency.
  returned: success
  type: dict
  sample:
    date: "2026-11-22"
    zone: America/Santiago
    from: "2026-11-22T03:00:00Z"
    to: "2026-11-23T03:00:00Z"
    hours: 24.0
    over: true
    tenants:
      - id: 76086428-5
        slug: acme
        name: Acme Corp
        phase: active
        plan: starter
        services:
          shopify: {orders: 3, totals: {CLP: "45000"}}
          odoo: {unknown: it has no company in Odoo}
          chatwoot: {opened: 4, resolved: 2, first_response_s: 540}
          n8n: {failed: 0}
          storage: {gb: 1}
errors:
  description: What is wrong with the request or the specs, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
"""
