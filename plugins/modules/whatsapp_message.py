#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

from __future__ import annotations

DOCUMENTATION = r"""
module: whatsapp_message
short_description: Send one WhatsApp message
description:
  - Sends an approved template, or a text, through Meta's Cloud API.
  - Each call sends a message. It is never repeated when its answer is lost, because it may have been sent; the task fails
    then and says so. Limits of the number are waited for, up to a minute.
  - Accepted is not delivered. Meta tells the delivery to the webhook of the app.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  url:
    description: Address of Meta's Graph API with its version.
    type: str
    default: https://graph.facebook.com/v23.0
  token:
    description:
      - Token of a system user with the permission C(whatsapp_business_messaging).
      - Taken from the environment variable E(WHATSAPP_TOKEN) when it is not set.
    type: str
    required: true
  phone_number_id:
    description: Meta's id of the number that writes.
    type: str
    required: true
  to:
    description: The recipient's telephone number, as C(+56912345678).
    type: str
    required: true
  template:
    description: An approved template. Needed outside 24 hours of the recipient's last message.
    type: dict
    suboptions:
      name:
        description: Its name at Meta.
        type: str
        required: true
      language:
        description: The language code that it is approved in.
        type: str
        default: es
      parameters:
        description: Texts for the places of its body. Line breaks and tabs become spaces; longer ones than 300 characters are cut.
        type: list
        elements: str
        default: []
  text:
    description: A text of at most 4,096 characters. Meta takes it within 24 hours of the recipient's last message.
    type: str
  preview_url:
    description: Whether WhatsApp shows a preview of the first address in the text.
    type: bool
    default: false
  timeout:
    description: How long to wait for an answer, in seconds.
    type: float
    default: 30.0
requirements:
  - requests
attributes:
  check_mode:
    support: full
    description: Looks whether the number can be used, and sends nothing.
  diff_mode:
    support: none
    description: There is nothing to compare.
  idempotent:
    support: none
    description: Each call sends a message. M(smartercl.smarteros.tenant_messages) sends once.
"""

EXAMPLES = r"""
- name: Tell the founder about an outage
  smartercl.smarteros.whatsapp_message:
    token: "{{ whatsapp_token }}"
    phone_number_id: "106853218861309"
    to: "+56900000001"
    template:
      name: smarteros_aviso
      language: es
      parameters: [production, "n8n does not answer", all]

- name: Answer within the 24 hours
  smartercl.smarteros.whatsapp_message:
    token: "{{ whatsapp_token }}"
    phone_number_id: "106853218861309"
    to: "+56900000001"
    text: Todo funciona de nuevo.
"""

RETURN = r"""
message_id:
  description: Meta's id of the message.
  returned: success, and not in check mode
  type: str
  sample: wamid.HBgLNTY5MDAwMDAwMDEVAgARGBI
recipient:
  description: The recipient as WhatsApp knows the number; in some countries another than was given.
  returned: success, and not in check mode
  type: str
  sample: "56900000001"
status:
  description: What Meta said, V(accepted) or V(held_for_quality_assessment) for example.
  returned: success, and not in check mode
  type: str
  sample: accepted
requests:
  description: How many requests were sent.
  returned: success
  type: int
  sample: 1
errors:
  description: Why it was not sent, and whether it may have been.
  returned: failure
  type: list
  elements: dict
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule, env_fallback, missing_required_lib

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors, transport
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import whatsapp_cloud
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

TEMPLATE = {
    "name": {"type": "str", "required": True},
    "language": {"type": "str", "default": "es"},
    "parameters": {"type": "list", "elements": "str", "default": []},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "default": "https://graph.facebook.com/v23.0"},
    "token": {"type": "str", "required": True, "no_log": True, "fallback": (env_fallback, ["WHATSAPP_TOKEN"])},
    "phone_number_id": {"type": "str", "required": True},
    "to": {"type": "str", "required": True},
    "template": {"type": "dict", "options": TEMPLATE},
    "text": {"type": "str"},
    "preview_url": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 30.0},
}
MAY_HAVE = "it may have been sent, and is not sent again"


def send(client: whatsapp_cloud.WhatsApp, params: dict[str, t.Any]) -> whatsapp_cloud.Sent:
    template = params["template"]
    if template is None:
        return client.send_text(params["to"], params["text"], params["preview_url"])
    wanted = whatsapp_cloud.Template(template["name"], template["language"], tuple(template["parameters"]))
    return client.send_template(params["to"], wanted)


def main() -> None:
    """Send it, or in check mode look whether it could be sent."""
    module = AnsibleModule(
        argument_spec=OPTIONS,
        supports_check_mode=True,
        mutually_exclusive=[("template", "text")],
        required_one_of=[("template", "text")],
    )
    if transport.REQUESTS_IMPORT_ERROR is not None:
        module.fail_json(msg=missing_required_lib("requests"), exception=transport.REQUESTS_IMPORT_ERROR)
    params = module.params
    policy = transport.Policy(read=params["timeout"], connect=min(5.0, params["timeout"]))
    try:
        client = whatsapp_cloud.connect(params, policy)
        whatsapp_cloud.digits(params["to"])
        if module.check_mode:
            client.probe()
            module.exit_json(changed=True, requests=client.http.sent)
        sent = send(client, params)
    except ApiError as exc:
        error = exc.as_dict("WhatsApp message")
        if exc.kind == errors.UNANSWERED:
            error.update(why=f"{exc.message}: {MAY_HAVE}", next="Look into the chat before you send it again")
        module.fail_json(msg=f"{error['why']} ({exc.where})", errors=[error])
    module.exit_json(
        changed=True, message_id=sent.id, recipient=sent.recipient, status=sent.status, requests=client.http.sent
    )


if __name__ == "__main__":
    main()
