#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_messages
short_description: Write to the owners of tenants, once, and tell the admin
description:
  - Sends what owners should have been told by now. A welcome, and a message each time that a tenant is suspended, deleted or
    comes back. WhatsApp where the owner has a telephone number, else mail; mail also when WhatsApp refuses for sure.
  - The admin gets one note about all tenants that were written to.
  - Every message is written into the O(outbox) before and after it is sent. One that may have been sent is not sent again,
    because Meta knows no key that would make repeating harmless.
  - A message that fails does not fail its tenant; the result's message says what became of it.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
extends_documentation_fragment:
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
options:
  url:
    description: Address of Meta's Graph API with its version, C(https://graph.facebook.com/v23.0) for example.
    type: str
  token:
    description:
      - Token of a system user. Without it nothing goes by WhatsApp.
      - Taken from the environment variable E(WHATSAPP_TOKEN) when it is not set.
    type: str
  phone_number_id:
    description: Meta's id of the number that writes. Needed with O(token).
    type: str
  smtp:
    description: The mail server. Without a host nothing goes by mail.
    type: dict
    suboptions:
      host:
        description: Its name.
        type: str
      port:
        description: Its port; that of O(smtp.tls) when it is 0 or not set.
        type: str
      user:
        description: Whom to log in as; nobody when it is not set.
        type: str
      password:
        description: The password of that user.
        type: str
      from:
        description: The sender's address.
        type: str
      tls:
        description: How the connection is secured. V(none) is allowed to this machine only.
        type: str
        choices: [starttls, ssl, none]
        default: starttls
  templates:
    description: Folder of the messages, C(specs/messages).
    type: path
    required: true
  outbox:
    description: Folder that keeps what was sent, one file per environment. Losing it may repeat messages.
    type: path
    required: true
  environment:
    description: The environment that the messages are about.
    type: str
    default: sandbox
  admin_phone:
    description: Where notes to the admin go by WhatsApp.
    type: str
  admin_email:
    description: Where notes to the admin go by mail.
    type: str
  repeat_unanswered:
    description: Send again what may have been sent. Somebody may then get a message twice.
    type: bool
    default: false
  plain_text:
    description: Send texts in place of templates. Meta takes them only within 24 hours of the recipient's last message.
    type: bool
    default: false
  newest:
    description: Days after which an occasion is too old to be written about, when messages are switched on for the first time, say.
    type: int
    default: 30
  messages:
    description: The tenants, each at most once.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: The tenant's id, its canonical RUT.
        type: str
        required: true
      name:
        description: Name of the business.
        type: str
        required: true
      slug:
        description: Short name of the tenant.
        type: str
        default: ""
      domain:
        description: Domain of the tenant.
        type: str
        default: ""
      url:
        description: Address of its website; C(https://) and the domain when it is not set.
        type: str
      owner:
        description: Whom to write to.
        type: dict
        required: true
        suboptions:
          name:
            description: Name of the person.
            type: str
          email:
            description: Address of the person.
            type: str
          phone:
            description: Telephone number, as C(+56912345678).
            type: str
      wish:
        description: What the tenant shall be; nobody is written to when it is empty.
        type: str
        choices: ["", active, suspended, deleted, purged]
        default: active
      since:
        description: When it became so (UTC, ISO 8601). Each time is written about once.
        type: str
      created_at:
        description: When the tenant was made (UTC, ISO 8601).
        type: str
      language:
        description: Language of the messages.
        type: str
        default: es
      timezone:
        description: Where the tenant is, for dates in messages.
        type: str
        default: America/Santiago
      known:
        description: What the tenant's status says of earlier messages (the ref in RV(results)).
        type: dict
        default: {}
      state:
        description: What the result shall be called; V(absent) writes to nobody.
        type: str
        choices: [present, suspended, absent]
        default: present
"""

EXAMPLES = r"""
- name: Welcome the owner of Acme Corp
  smartercl.smarteros.tenant_messages:
    url: https://graph.facebook.com/v23.0
    token: "{{ whatsapp_token }}"
    phone_number_id: "106853218861309"
    smtp:
      host: smtp.example.com
      user: smarteros
      password: "{{ smtp_password }}"
      from: no-reply@example.com
    templates: specs/messages
    outbox: /var/lib/smos/outbox
    environment: production
    admin_email: admin@example.com
    messages:
      - tenant: 76086428-5
        name: Acme Corp
        domain: acme.example.com
        owner:
          name: Ana Pérez
          phone: "+56900000001"
        created_at: "2026-11-22T15:26:43Z"
"""

RETURN = r"""
results:
  description:
    - What became of each tenant, without what is empty; the state is V(ready), V(suspended), V(absent), V(disabled) where
      neither WhatsApp nor mail is configured, or V(failed) where a provider refuses our token.
    - The ref holds by kind of message its state, channel, id at the provider, time and occasion. V(accepted) is not yet delivered.
  returned: success
  type: list
  elements: dict
  sample:
    - tenant: 76086428-5
      state: ready
      changed: true
      ref:
        welcome: {state: accepted, channel: whatsapp, id: wamid.HBgL, at: "2026-11-22T15:26:49Z", occasion: "2026-11-22T15:26:43Z"}
requests:
  description: How many requests and mails were sent.
  returned: success
  type: int
  sample: 3
errors:
  description: Why nothing could be attempted.
  returned: failure
  type: list
  elements: dict
"""

import typing as t
from pathlib import Path

from ansible.module_utils.basic import env_fallback

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import whatsapp as client_whatsapp
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import messages, messages_texts
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.messages_outbox import Outbox

PERSON = {"name": {"type": "str"}, "email": {"type": "str"}, "phone": {"type": "str"}}
MESSAGE = {
    "tenant": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "slug": {"type": "str", "default": ""},
    "domain": {"type": "str", "default": ""},
    "url": {"type": "str"},
    "owner": {"type": "dict", "required": True, "options": PERSON},
    "wish": {"type": "str", "choices": ["", "active", "suspended", "deleted", "purged"], "default": "active"},
    "since": {"type": "str"},
    "created_at": {"type": "str"},
    "language": {"type": "str", "default": "es"},
    "timezone": {"type": "str", "default": "America/Santiago"},
    "known": {"type": "dict", "default": {}},
    "state": {"type": "str", "choices": ["present", "suspended", "absent"], "default": "present"},
}
SMTP = {
    "host": {"type": "str"},
    "port": {"type": "str"},
    "user": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "from": {"type": "str"},
    "tls": {"type": "str", "choices": ["starttls", "ssl", "none"], "default": "starttls"},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str"},
    "token": {"type": "str", "no_log": True, "fallback": (env_fallback, ["WHATSAPP_TOKEN"])},
    "phone_number_id": {"type": "str"},
    "smtp": {"type": "dict", "options": SMTP},
    "templates": {"type": "path", "required": True},
    "outbox": {"type": "path", "required": True},
    "environment": {"type": "str", "default": "sandbox"},
    "admin_phone": {"type": "str"},
    "admin_email": {"type": "str"},
    "repeat_unanswered": {"type": "bool", "default": False},
    "plain_text": {"type": "bool", "default": False},
    "newest": {"type": "int", "default": 30},
    "messages": {"type": "list", "elements": "dict", "required": True, "options": MESSAGE},
}
OFF = "neither WhatsApp (whatsapp_token) nor a mail server (smtp_host) is configured"


def wish_of(item: dict[str, t.Any]) -> messages.Wish:
    owner = item["owner"]
    given = {key: value or "" for key, value in item.items() if key not in ("owner", "known", "url")}
    return messages.Wish(
        **given,
        url=item["url"] or f"https://{item['domain']}",
        owner=messages.Person(owner["name"] or item["name"], owner["email"] or "", owner["phone"] or ""),
        known=item["known"] or {},
    )


def setting_of(params: dict[str, t.Any], ways: frozenset[str]) -> messages.Setting:
    """Raises ApiError where the messages themselves are broken."""
    return messages.Setting(
        texts=messages_texts.load(Path(params["templates"])),
        environment=params["environment"],
        admin=messages.Person("", params["admin_email"] or "", params["admin_phone"] or ""),
        ways=ways,
        repeat_unanswered=params["repeat_unanswered"],
        as_text=params["plain_text"],
        newest=params["newest"],
    )


def switched_off(wish: messages.Wish) -> bulk.Result:
    state = bulk.ABSENT if wish.state == "absent" else bulk.DISABLED
    return bulk.Result(wish.tenant, state, ref=dict(wish.known), message=OFF if state == bulk.DISABLED else "")


def outcome(post: messages.Post, plans: list[messages.Plan], module: bulk.Caller) -> list[bulk.Result]:
    """What was sent, or in check mode would be."""
    if module.check_mode:
        return [messages.predicted(each) for each in plans]
    return post.carry_out(plans, module.params["concurrency"])


def work(module: bulk.Caller) -> None:
    """Read the outbox, plan, send unless in check mode, report."""
    params = module.params
    bulk.one_per_tenant(module, "messages")
    if params["token"] and not (params["url"] and params["phone_number_id"]):
        module.fail_json(msg="token: needs url and phone_number_id, too")
    wishes = [wish_of(item) for item in params["messages"]]
    connection = {key: params[key] or "" for key in ("url", "token", "phone_number_id")}
    with bulk.usable(module, "whatsapp"):
        messengers = client_whatsapp.connect({**connection, "smtp": params["smtp"] or {}}, bulk.policy_of(module))
        ways = {messages.WHATSAPP: messengers.whatsapp, messages.EMAIL: messengers.mail}
        usable = frozenset(way for way, client in ways.items() if client is not None)
        if not usable:
            bulk.finish(module, map(switched_off, wishes), 0)
        outbox = Outbox(Path(params["outbox"]) / f"{params['environment']}.jsonl")
        setting = setting_of(params, usable)
        written = messages.by_tenant(outbox.read())
        plans = [messages.plan(wish, written.get(wish.tenant, ()), setting) for wish in wishes]
        post = messages.Post(messengers, outbox, setting)
        post.probe(plans)
    try:
        results = outcome(post, plans, module)
    finally:
        outbox.close()
        if messengers.mail is not None:
            messengers.mail.close()
    bulk.finish(module, results, messengers.sent)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(bulk.module_for(OPTIONS))


if __name__ == "__main__":
    main()
