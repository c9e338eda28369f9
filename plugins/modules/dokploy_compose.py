#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One compose in Dokploy, deployed to its real end."""

from __future__ import annotations

DOCUMENTATION = r"""
module: dokploy_compose
short_description: One compose in Dokploy, deployed to its real end
version_added: 0.1.0
description:
  - Sees to it that project, environment and compose exist, that the compose has this file (as raw source) and these
    variables, and that exactly this is deployed. Waits for the end of the very deployment that it started.
  - Dokploy's names are not unique. Composes made here bear the mark C(smarteros:compose:<project>/<environment>/<name>) in their
    description, and one without it is only taken over with O(adopt=true).
  - Nothing is deployed when file and variables are as wished and the newest deployment is a successful one of exactly these.
  - A deployment that a run which died had started is waited for, not repeated.
  - A deployment is done when C(docker compose up) has returned. Whether the containers are healthy is not known to Dokploy.
  - Works with Dokploy 0.9 (without environments) to 0.30.
options:
  url:
    description: Address of Dokploy, without C(/api).
    type: str
    required: true
  api_key:
    description:
      - API key, made with the organisation in its metadata and its rate limit off (else it is good for five calls a day).
      - Taken from the environment variable E(DOKPLOY_API_KEY) when not given.
    type: str
    required: true
  project:
    description: Name of the project.
    type: str
    required: true
  environment:
    description: Name of the project's environment. Without meaning for versions that have none.
    type: str
    default: production
  name:
    description: Name of the compose.
    type: str
    required: true
  compose:
    description: The compose file, as text. Needed unless the compose shall be absent.
    type: str
  env:
    description: All variables of the compose's environment. Their values are never shown.
    type: dict
    default: {}
  kind:
    description: V(stack) for a stack of Docker Swarm.
    type: str
    choices: [docker-compose, stack]
    default: docker-compose
  deploy:
    description: Whether to deploy what is not deployed yet.
    type: bool
    default: true
  adopt:
    description: Whether to take over a compose of this name that was made by hand.
    type: bool
    default: false
  state:
    description: With V(absent), the compose is stopped and deleted. Project and environment stay.
    type: str
    choices: [present, absent]
    default: present
  delete_volumes:
    description: Whether O(state=absent) also deletes the volumes. B(The data in them are lost.)
    type: bool
    default: false
extends_documentation_fragment:
  - smartercl.smarteros.single
  - smartercl.smarteros.single.wait
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Deploy n8n
  smartercl.smarteros.dokploy_compose:
    url: https://dokploy.smarterbot.cl
    project: smarteros
    name: n8n
    compose: "{{ lookup('ansible.builtin.template', 'n8n.yml.j2') }}"
    env:
      N8N_ENCRYPTION_KEY: "{{ n8n_encryption_key }}"
    wait_timeout: 900

- name: Take it away, and keep its data
  smartercl.smarteros.dokploy_compose:
    url: https://dokploy.smarterbot.cl
    project: smarteros
    name: n8n
    state: absent
"""

RETURN = r"""
ref:
  description: What Dokploy calls it, with C(project_id), C(environment_id), C(compose_id), C(app_name) and C(deployment_id).
  returned: success
  type: dict
deployed:
  description: Whether the newest deployment is a successful one of exactly this file and these variables.
  returned: success
  type: bool
changes:
  description:
    - Each difference that was closed (in check mode would be), with action, what, before and after.
    - Of variables only the names are told, of the file a fingerprint.
  returned: always
  type: list
  elements: dict
message:
  description: What was found or done, in a sentence.
  returned: always
  type: str
requests:
  description: Number of HTTP requests that were sent.
  returned: always
  type: int
errors:
  description: What failed, each with what, where, why and next. For a deployment, why ends with the last lines of its log.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(3) when nothing was attempted, V(1) when something was.
  returned: failure
  type: int
"""

import typing as t

from ansible.module_utils.basic import env_fallback

from ansible_collections.smartercl.smarteros.plugins.module_utils import single
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Caller, Change, policy_of, usable
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import dokploy as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import dokploy as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.single import Outcome, finish, module_for

OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": {"type": "str", "required": True},
    "api_key": {"type": "str", "required": True, "no_log": True, "fallback": (env_fallback, ["DOKPLOY_API_KEY"])},
    "project": {"type": "str", "required": True},
    "environment": {"type": "str", "default": api.DEFAULT_ENVIRONMENT},
    "name": {"type": "str", "required": True},
    "compose": {"type": "str"},
    "env": {"type": "dict", "default": {}, "no_log": True},
    "kind": {"type": "str", "choices": ["docker-compose", "stack"], "default": "docker-compose"},
    "deploy": {"type": "bool", "default": True},
    "adopt": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "delete_volumes": {"type": "bool", "default": False},
    **single.WAIT_OPTIONS,
}


def work(module: Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    client = api.connect(params, policy_of(module))
    with usable(module, "Dokploy"):
        wish = service.Wish(
            project=params["project"],
            environment=params["environment"],
            name=params["name"],
            file=params["compose"] or "",
            env=service.env_text(params["env"]),
            kind=params["kind"],
            deploy=params["deploy"],
            adopt=params["adopt"],
        )
        client.version()
        found = service.find(client, wish)
    if params["state"] == "absent":
        _remove(module, client, wish, found)
    _bring(module, client, wish, found)


def _bring(module: Caller, client: api.Dokploy, wish: service.Wish, found: service.Found) -> t.NoReturn:
    todo = service.plan(wish, found)
    outcome = Outcome(todo.changes)
    try:
        if todo.changes and not module.check_mode:
            found = service.apply(client, wish, found, todo, single.patience_of(module), outcome)
    except ApiError as exc:
        single.failed(module, f"compose {wish.name}", exc, outcome, client.sent)
    newest = found.deployments[0] if found.deployments else None
    outcome.facts["ref"] = _ref(found)
    outcome.facts["deployed"] = bool(newest and newest.status == "done" and newest.title == wish.title)
    outcome.message = "deployed" if outcome.facts["deployed"] else "not deployed"
    finish(module, outcome, client.sent)


def _remove(module: Caller, client: api.Dokploy, wish: service.Wish, found: service.Found) -> t.NoReturn:
    outcome = Outcome(message="there is none", facts={"ref": {}, "deployed": False})
    if found.compose is not None:
        kept = "lost" if module.params["delete_volumes"] else "kept"
        before = {"name": wish.name, "volumes": kept}
        outcome.changes.append(
            Change("delete", f"compose {wish.name} in {wish.project}/{wish.environment}", before, None)
        )
        outcome.message = f"deleted; its volumes are {kept}"
    try:
        if outcome.changes and not module.check_mode:
            service.absent(client, found, module.params["delete_volumes"])
    except ApiError as exc:
        single.failed(module, f"compose {wish.name}", exc, outcome, client.sent)
    finish(module, outcome, client.sent)


def _ref(found: service.Found) -> dict[str, str]:
    ref = {
        "project_id": found.project.id if found.project else "",
        "environment_id": found.environment,
        "compose_id": found.compose.id if found.compose else "",
        "app_name": found.compose.app_name if found.compose else "",
        "deployment_id": found.deployments[0].id if found.deployments else "",
    }
    return {key: value for key, value in ref.items() if value}


def main() -> None:
    """Called by Ansible."""
    work(module_for(OPTIONS, required_if=[("state", "present", ("compose",))]))


if __name__ == "__main__":
    main()
