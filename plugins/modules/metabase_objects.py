#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.

from __future__ import annotations

DOCUMENTATION = r"""
module: metabase_objects
short_description: Bring the reports of tenants, or of the installation itself, in Metabase to what is wished
description:
  - Gives each tenant a collection, a group that may open it, a connection with the tenant's own read-only PostgreSQL
    role, and the dashboards of a folder. Takes many tenants at once, reads what is there with a few list requests, and
    sends only what differs.
  - A collection and what is in it bear the owner mark C(smarteros:<RUT>) in the description, a group and a connection
    bear it in the name. What does not bear it is never touched.
  - Keeps the group All Users out of the top collection and of tenants' collections, and nobody but administrators may
    write queries for tenants' connections. In the free edition whoever may open a collection sees the data of its
    questions from any connection, therefore each tenant has its own connection and role.
  - With O(audience=system) the same is done once for the installation, with the dashboards that are for it, and with a
    role of its own (O(reader_user)). Its collection is open to its group only, which no tenant is in.
  - A dashboard or question of ours that no file describes any more goes into the trash.
  - All tenants' permissions are written at once, and again when somebody else changed permissions at the same moment.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
extends_documentation_fragment:
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
options:
  url:
    description: Address of Metabase, without C(/api).
    type: str
    required: true
  api_key:
    description:
      - API key of the group Administrators. The id of a session is not one.
      - Taken from the environment variable E(METABASE_API_KEY) when it is not set.
    type: str
    required: true
  dashboards:
    description: Folder of the dashboards, one YAML file each. Which of them count is said by O(audience).
    type: path
    required: true
  audience:
    description:
      - Whether O(objects) are tenants, or the one entry whose O(objects[].tenant) is V(system).
    type: str
    choices: [tenant, system]
    default: tenant
  reader_host:
    description:
      - Host of the PostgreSQL that tenants' connections lead to, as Metabase sees it.
      - Without it no connections are made, and therefore no dashboards either; those that are there stay.
    type: str
    default: ""
  reader_port:
    description: Its port.
    type: int
    default: 5432
  reader_database:
    description: Name of the database.
    type: str
    default: postgres
  reader_schema:
    description: Schema that the connections show.
    type: str
    default: public
  reader_ssl:
    description: Whether the connections are encrypted.
    type: bool
    default: true
  master_secret:
    description:
      - Secret of at least 16 characters that the passwords of the tenants' read-only roles are derived from.
      - Needed with O(reader_host), unless O(audience=system). When it changes, the connections of the next run get the new passwords.
      - Taken from the environment variable E(SMOS_MASTER_SECRET) when it is not set.
    type: str
    default: ""
  reader_user:
    description: With O(audience=system), the role that its connection signs in with.
    type: str
    default: ""
  reader_password:
    description: Its password, of at least 16 characters. When it changes, the connection gets the new one.
    type: str
    default: ""
  objects:
    description: The tenants, each once.
    type: list
    elements: dict
    required: true
    suboptions:
      tenant:
        description: The tenant's id, its canonical RUT; V(system) for the installation.
        type: str
        required: true
      name:
        description: Name of the business.
        type: str
        required: true
      slug:
        description: Short name; the read-only role is C(tenant_<slug>_reader), with underscores for hyphens.
        type: str
        required: true
      state:
        description:
          - V(present) makes or corrects everything, and opens the collection to the group again.
          - V(suspended) closes the collection to the group; nothing else changes.
          - V(absent) removes group, dashboards, connection and collection for good, with all that people put into it.
          - V(disabled) leaves the tenant alone and returns O(objects[].reason).
        type: str
        choices: [present, suspended, absent, disabled]
        default: present
      reason:
        description: Why the tenant is left alone.
        type: str
        default: ""
notes:
  - Questions are compared with the specs in every run. The layout of a dashboard is looked at where a call has at most
    ten tenants or Metabase says that somebody else edited it last; what a tenant's group may query, only in such a
    small call. Both take requests for each of them.
  - Users are not made and not closed; a user who is only in the group of a suspended tenant sees nothing.
"""

EXAMPLES = r"""
- name: Bring the reports of Acme Corp to what is wished
  smartercl.smarteros.metabase_objects:
    url: https://metabase.example.com
    api_key: "{{ metabase_api_key }}"
    dashboards: specs/dashboards
    reader_host: db.example.com
    reader_database: postgres
    master_secret: "{{ smos_master_secret }}"
    objects:
      - tenant: 76086428-5
        name: Acme Corp
        slug: acme

- name: Close them
  smartercl.smarteros.metabase_objects:
    url: https://metabase.example.com
    dashboards: specs/dashboards
    objects:
      - tenant: 76086428-5
        name: Acme Corp
        slug: acme
        state: suspended
  environment:
    METABASE_API_KEY: "{{ metabase_api_key }}"

- name: Give the founder the dashboards of the system
  smartercl.smarteros.metabase_objects:
    url: https://metabase.example.com
    api_key: "{{ metabase_api_key }}"
    dashboards: specs/dashboards
    audience: system
    reader_host: postgresql
    reader_database: smarteros
    reader_schema: health
    reader_ssl: false
    reader_user: smarteros_reader
    reader_password: "{{ lookup('smartercl.smarteros.secret', 'postgresql_reader_password') }}"
    objects:
      - tenant: system
        name: SmarterOS
        slug: system
"""

RETURN = r"""
results:
  description:
    - What became of each tenant, without what is empty.
    - The state is V(ready), V(suspended), V(absent), V(disabled) or V(failed); the ref holds C(collection_id),
      C(group_id) and C(database_id).
  returned: success
  type: list
  elements: dict
  sample:
    - tenant: 76086428-5
      state: ready
      changed: true
      created: true
      ref: {collection_id: 12, group_id: 7, database_id: 3}
      url: https://metabase.example.com/collection/12
      changes:
        - action: create
          what: collection Acme Corp (76086428-5)
          after: {name: Acme Corp (76086428-5), open to: "Acme Corp (smarteros:76086428-5)"}
requests:
  description: How many requests were sent.
  returned: success
  type: int
  sample: 9
errors:
  description: Why nothing could be attempted, or with O(audience=system) what failed.
  returned: failure
  type: list
  elements: dict
"""

import typing as t

from ansible.module_utils.basic import env_fallback

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, errors, owner
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import metabase as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import metabase as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import (
    metabase_apply,
    metabase_dashboards,
)

OBJECT: dict[str, dict[str, t.Any]] = {
    "tenant": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "slug": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "suspended", "absent", "disabled"], "default": "present"},
    "reason": {"type": "str", "default": ""},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "api_key": {"type": "str", "required": True, "no_log": True, "fallback": (env_fallback, ["METABASE_API_KEY"])},
    "dashboards": {"type": "path", "required": True},
    "audience": {
        "type": "str",
        "choices": [metabase_dashboards.TENANT, metabase_dashboards.SYSTEM],
        "default": metabase_dashboards.TENANT,
    },
    "reader_host": {"type": "str", "default": ""},
    "reader_port": {"type": "int", "default": 5432},
    "reader_database": {"type": "str", "default": "postgres"},
    "reader_schema": {"type": "str", "default": "public"},
    "reader_ssl": {"type": "bool", "default": True},
    "master_secret": {
        "type": "str",
        "default": "",
        "no_log": True,
        "fallback": (env_fallback, ["SMOS_MASTER_SECRET"]),
    },
    "reader_user": {"type": "str", "default": ""},
    "reader_password": {"type": "str", "default": "", "no_log": True},
    "objects": {"type": "list", "elements": "dict", "required": True, "options": OBJECT},
}
SHORTEST = 16  # characters of a secret


def reader_of(params: t.Mapping[str, t.Any]) -> service.Reader | None:
    """Where connections lead; None where that is not configured. Raises ApiError for a secret that is too short."""
    if not params["reader_host"]:
        return None
    names = ("host", "port", "database", "schema", "ssl")
    place = {name: params[f"reader_{name}"] for name in names}
    if params["audience"] == metabase_dashboards.SYSTEM:
        return _systems(params, place)
    if len(params["master_secret"]) < SHORTEST:
        why = "the master secret is missing or has fewer than 16 characters: the read-only roles need their passwords"
        raise ApiError(why, errors.INVALID, where="smos_master_secret")
    return service.Reader(**place, master=params["master_secret"])


def _systems(params: t.Mapping[str, t.Any], place: t.Mapping[str, t.Any]) -> service.Reader:
    user, password = params["reader_user"], params["reader_password"]
    if not user or len(password) < SHORTEST:
        why = "the system's connection needs the name of its read-only role and a password of at least 16 characters"
        raise ApiError(why, errors.INVALID, where="reader_user, reader_password")
    return service.Reader(**place, master="", user=user, own_password=password)


def _judge_holders(module: bulk.Caller) -> None:
    """The system's role must not become a tenant's connection, nor the other way round."""
    bulk.one_per_tenant(module, "objects")
    holders = [item["tenant"] for item in module.params["objects"]]
    if module.params["audience"] == metabase_dashboards.SYSTEM:
        if holders != [owner.SYSTEM]:
            module.fail_json(msg="objects: with audience system it is one entry, whose tenant is system")
    elif owner.SYSTEM in holders:
        module.fail_json(msg="objects: tenant system is no tenant; it goes with audience system")


def work(module: bulk.Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    _judge_holders(module)
    wishes = [service.Wish(**item) for item in params["objects"]]
    concerned = [wish for wish in wishes if wish.state != service.DISABLED]
    left_alone = [service.left_alone(wish) for wish in wishes if wish.state == service.DISABLED]
    if not concerned:
        bulk.finish(module, left_alone, 0)
    with bulk.usable(module, "metabase"):
        specs = metabase_dashboards.of(metabase_dashboards.load(params["dashboards"]), params["audience"])
        reader = reader_of(params)
        client = api.connect(params, bulk.policy_of(module))
        seen = service.observe(client, concerned, params["concurrency"])
        tasks = service.plan(concerned, seen, specs, reader)
    if module.check_mode:
        results = [service.predicted(task) for task in tasks.values()]
    else:
        results = metabase_apply.Run(client, tasks, seen, specs, reader, params["concurrency"]).carry_out()
    _fail_for_the_system(module, results)
    bulk.finish(module, [*results, *left_alone], client.http.sent)


def _fail_for_the_system(module: bulk.Caller, results: t.Sequence[bulk.Result]) -> None:
    """A tenant fails alone, and is written down as failed; of the system nobody else would tell."""
    if module.params["audience"] != metabase_dashboards.SYSTEM:
        return
    for each in results:
        if each.state == bulk.FAILED:
            rows = [each.as_dict()]
            module.fail_json(
                msg=each.message, errors=[each.error], exit_code=1, changed=bool(each.changes), results=rows
            )


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(bulk.module_for(OPTIONS))


if __name__ == "__main__":
    main()
