#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

from __future__ import annotations

DOCUMENTATION = r"""
module: chatwoot_accounts
short_description: Bring the accounts of tenants in Chatwoot to what is wished
description:
  - Takes the accounts of many tenants at once, each with an administrator, a website inbox and perhaps a
    WhatsApp inbox, and sends only what differs.
  - A tenant's account bears the tenant's RUT in its custom attributes; an account that bears another, or that was not made
    with this platform token, is never touched.
  - Chatwoot would make a second account without a word, so an id is written into the tenant's status (O(registry)) the
    moment it is known, together with what leads back to the account when the run dies in between.
  - A user of its own, the operator, is administrator of every account. He is made when he is missing; that is not reported.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
extends_documentation_fragment:
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
options:
  url:
    description: Address of Chatwoot.
    type: str
    required: true
  platform_token:
    description:
      - Access token of a platform app.
      - Taken from the environment variable E(CHATWOOT_PLATFORM_TOKEN) when it is not set.
    type: str
    required: true
  operator_email:
    description: Address of the operator user.
    type: str
    required: true
  operator_name:
    description: Name of the operator user when he has to be made.
    type: str
    default: SmarterOS
  registry:
    description:
      - Folder of the tenant files, for writing ids down the moment they exist.
      - Without it nothing is written; an account whose id was lost is then found only where Chatwoot can list accounts,
        or when the operator had already joined it.
    type: path
  environment:
    description: The environment whose status block the ids belong to.
    type: str
    default: sandbox
  whatsapp_tokens:
    description:
      - Tokens of WhatsApp by slug; V(*) stands for every tenant, which only a sandbox should use.
      - A tenant that is not among them has its token in the environment variable C(WHATSAPP_TOKEN_<SLUG>), in capitals and with
        underscores. Without a token there is no WhatsApp inbox; the result's message says so, and the tenant is ready.
    type: dict
  whatsapp_app_secrets:
    description:
      - The secrets of the Meta apps by slug, like O(whatsapp_tokens); or in C(WHATSAPP_APP_SECRET_<SLUG>).
      - Without it Chatwoot would take unsigned messages from anybody, so there is no WhatsApp inbox.
    type: dict
  accounts:
    description: The wished accounts, one for each tenant.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: The tenant's id, its canonical RUT.
        type: str
        required: true
      name:
        description: Name of the business; the account's name has the RUT added in brackets, the inbox bears it as it is.
        type: str
        required: true
      slug:
        description: Short name of the tenant.
        type: str
        required: true
      domain:
        description: Domain of the tenant.
        type: str
        required: true
      locale:
        description: Language of the account.
        type: str
        default: es
      support_email:
        description: Address that answers come from; the administrator's when it is not set.
        type: str
      admin:
        description: The person who administers the account. He gets a random password that nobody knows, and sets his own.
        type: dict
        required: true
        suboptions:
          name:
            description: Name of the person.
            type: str
            required: true
          email:
            description: Address of the person.
            type: str
            required: true
      website_url:
        description: Address of the website that shows the chat; C(https://) and O(accounts[].domain) when it is not set.
        type: str
      account_id:
        description: The account's id as the tenant's status has it.
        type: int
      creating_after:
        description: The highest account id known when an earlier run began to make this account, as the tenant's status has it.
        type: int
      known_user:
        description:
          - The id of the administrator that was last recorded for the tenant, as its status has it; 0 when there is none.
          - With V(present), when he belongs to the account under another address than O(accounts[].admin), he is the former
            owner. He is taken out of the account as soon as the new one is in it; the user himself stays.
          - Until then the ref holds no new C(user_id), so that the next run finds him again. The operator is never taken out.
        type: int
        default: 0
      users:
        description:
          - How many users the plan allows; unlimited when it is not set. Chatwoot is given one more, for the operator.
          - The community edition keeps the limit and does not enforce it; the usage in RV(results) tells how many there are.
        type: int
      agents:
        description: The limit that Chatwoot was last given, as the tenant's status has it.
        type: int
      whatsapp:
        description:
          - The tenant's WhatsApp number, which gets an inbox.
          - Chatwoot asks Meta while it makes the inbox, and shows the token to every administrator of the account. Each tenant
            therefore has a token and an app of its own.
        type: dict
        suboptions:
          phone_number:
            description: The number, as C(+56912345678). It is unique in the whole installation.
            type: str
            required: true
          phone_number_id:
            description: Meta's id of the number.
            type: str
            required: true
          business_account_id:
            description: Meta's id of the WhatsApp Business Account.
            type: str
            required: true
      state:
        description: V(suspended) keeps the account and locks its users out; V(absent) deletes it with all conversations.
        type: str
        choices: [present, absent, suspended]
        default: present
notes:
  - Where Chatwoot cannot list accounts (before 4.x), O(accounts[].locale), O(accounts[].support_email) and O(accounts[].slug) are
    compared only when something else of the account differs. That saves a request per tenant.
"""

EXAMPLES = r"""
- name: Bring the account of Acme Corp to what is wished
  smartercl.smarteros.chatwoot_accounts:
    url: https://chatwoot.example.com
    platform_token: "{{ chatwoot_platform_token }}"
    operator_email: operator@example.com
    registry: specs/tenants/registry
    environment: production
    accounts:
      - tenant: 76086428-5
        name: Acme Corp
        slug: acme
        domain: acme.example.com
        admin:
          name: Ana Pérez
          email: ana@acme.example.com
"""

RETURN = r"""
results:
  description:
    - What became of each tenant, without what is empty; the state is V(ready), V(suspended), V(absent) or V(failed).
    - The ref holds C(account_id), C(user_id) of the administrator, C(inbox_id) of the website, C(whatsapp_inbox_id), and
      C(agents), the limit that Chatwoot was given.
    - The usage holds C(users), without the operator.
  returned: success
  type: list
  elements: dict
  sample:
    - tenant: 76086428-5
      state: ready
      changed: false
      ref: {account_id: 12, user_id: 31, inbox_id: 9}
      url: https://chatwoot.example.com/app/accounts/12/dashboard
requests:
  description: How many requests were sent.
  returned: success
  type: int
  sample: 6
errors:
  description: Why nothing could be attempted.
  returned: failure
  type: list
  elements: dict
"""

import os
import typing as t
from pathlib import Path

from ansible.module_utils.basic import env_fallback

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import chatwoot as client_chatwoot
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.errors import StoreError
from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.store import Registry
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import chatwoot as service_chatwoot

PERSON = {"name": {"type": "str", "required": True}, "email": {"type": "str", "required": True}}
NUMBER = {
    name: {"type": "str", "required": True} for name in ("phone_number", "phone_number_id", "business_account_id")
}
ACCOUNT = {
    "tenant": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "slug": {"type": "str", "required": True},
    "domain": {"type": "str", "required": True},
    "locale": {"type": "str", "default": "es"},
    "support_email": {"type": "str"},
    "admin": {"type": "dict", "required": True, "options": PERSON},
    "website_url": {"type": "str"},
    "account_id": {"type": "int"},
    "creating_after": {"type": "int"},
    "known_user": {"type": "int", "default": 0},
    "users": {"type": "int"},
    "agents": {"type": "int"},
    "whatsapp": {"type": "dict", "options": NUMBER},
    "state": {"type": "str", "choices": ["present", "absent", "suspended"], "default": "present"},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "platform_token": {
        "type": "str",
        "required": True,
        "no_log": True,
        "fallback": (env_fallback, ["CHATWOOT_PLATFORM_TOKEN"]),
    },
    "operator_email": {"type": "str", "required": True},
    "operator_name": {"type": "str", "default": "SmarterOS"},
    "registry": {"type": "path"},
    "environment": {"type": "str", "default": "sandbox"},
    "whatsapp_tokens": {"type": "dict", "no_log": True},
    "whatsapp_app_secrets": {"type": "dict", "no_log": True},
    "accounts": {"type": "list", "elements": "dict", "required": True, "options": ACCOUNT},
}
EVERYBODY = "*"
_RESHAPED = ("admin", "support_email", "website_url", "whatsapp")


def wish_of(item: dict[str, t.Any], params: t.Mapping[str, t.Any]) -> service_chatwoot.Wish:
    admin = item["admin"]
    return service_chatwoot.Wish(
        **{key: value for key, value in item.items() if key not in _RESHAPED},
        number=number_of(item, params) if item["whatsapp"] else None,
        support_email=item["support_email"] or admin["email"],
        website_url=item["website_url"] or f"https://{item['domain']}",
        admin_name=admin["name"],
        admin_email=admin["email"],
    )


def number_of(item: dict[str, t.Any], params: t.Mapping[str, t.Any]) -> service_chatwoot.Number:
    """The number with the secrets of its tenant, or with the names of what is not set."""
    secrets, lacking = {}, []
    for key, option, variable in (
        ("token", "whatsapp_tokens", "WHATSAPP_TOKEN"),
        ("app_secret", "whatsapp_app_secrets", "WHATSAPP_APP_SECRET"),
    ):
        name = f"{variable}_{item['slug'].upper().replace('-', '_')}"
        known = params[option] or {}
        secrets[key] = str(known.get(item["slug"]) or os.environ.get(name) or known.get(EVERYBODY) or "")
        lacking += [] if secrets[key] else [name]
    return service_chatwoot.Number(**item["whatsapp"], **secrets, lacking=tuple(lacking))


def remember_in(folder: str | None, environment: str) -> service_chatwoot.Remember:
    """What writes ids into the tenants' files, at once and durably; nothing without a folder."""
    registry = Registry(Path(folder)) if folder else None

    def remember(tenant: str, ref: t.Mapping[str, t.Any]) -> None:
        if registry is None:
            return
        try:
            registry.update_status(tenant, environment, lambda block: with_ref(block, ref))
        except StoreError as exc:
            raise ApiError(f"the id could not be written down: {exc}", where=str(registry.path(tenant))) from exc

    return remember


def with_ref(block: dict[str, t.Any], ref: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """The tenant's status block with these ids of its account; None takes an id out."""
    services = dict(block.get("services") or {})
    entry = {"state": "pending", **(services.get("chatwoot") or {})}
    merged = {**(entry.get("ref") or {}), **ref}
    entry["ref"] = {key: value for key, value in merged.items() if value is not None}
    return {**block, "services": {**services, "chatwoot": entry}}


def work(module: bulk.Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    bulk.one_per_tenant(module, "accounts")
    wishes = [wish_of(item, params) for item in params["accounts"]]
    operator = service_chatwoot.Operator(params["operator_name"], params["operator_email"])
    with bulk.usable(module, "chatwoot"):
        client = client_chatwoot.connect(params, bulk.policy_of(module))
        for number in [wish.number for wish in wishes if wish.number]:
            client.http.hide(number.token)
            client.http.hide(number.app_secret)
        seen = service_chatwoot.observe(client, wishes, operator, not module.check_mode, params["concurrency"])
    if module.check_mode:
        operator_id = seen.world.operator
        results = [service_chatwoot.predicted(client, each, seen.found[each.tenant], operator_id) for each in wishes]
    else:
        remember = remember_in(params["registry"], params["environment"])
        results = service_chatwoot.carry_out(client, wishes, seen, remember, params["concurrency"])
    bulk.finish(module, results, client.http.sent)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(bulk.module_for(OPTIONS))


if __name__ == "__main__":
    main()
