#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

"""Documentation of an action plugin; the work is done in the controller's process."""

from __future__ import annotations

DOCUMENTATION = r"""
module: admin_notice
short_description: Tell the admin something
description:
  - Sends a text to the admin on every way that is configured, by mail, WhatsApp or a webhook. One that fails does not keep the others
    from going out.
  - The ways are those of the machine's notices of failed backups, taken from the variables C(smos_admin_email), C(smos_admin_phone)
    and C(smos_notice_webhook), with those by which mail and WhatsApp are sent.
  - Every call sends; nothing is remembered.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  text:
    description: The text, 1 to 900 characters. Needed, here or by O(variables).
    type: str
    required: true
  channels:
    description: Only on these ways. All that are configured when empty.
    type: list
    elements: str
    choices: [webhook, email, whatsapp]
    default: []
  variables:
    description:
      - Start of the names of variables that the options above are taken from, V(notice_) for C(notice_text) and C(notice_channels).
      - They are taken as they were written and never evaluated.
    type: str
extends_documentation_fragment:
  - smartercl.smarteros.registry_action
"""

EXAMPLES = r"""
- name: Say that the shops may have been away
  smartercl.smarteros.admin_notice:
    text: Mantención terminada, todo vuelve a funcionar
  run_once: true
"""

RETURN = r"""
channels:
  description: Whether it went out, by the name of the way.
  returned: always
  type: dict
errors:
  description: Ways on which it did not go out, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(2) for a text that cannot be sent, V(3) where no way is configured, V(1) where one failed.
  returned: failure
  type: int
"""
