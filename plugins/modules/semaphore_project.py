#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One project of Semaphore with all that is in it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: semaphore_project
short_description: One project of Semaphore with all that is in it
version_added: 0.1.0
description:
  - Brings a project of Semaphore to what is wished in one call, with its keys, repository, inventory, environment, templates with their
    forms, and schedules.
  - All that it makes has a name that begins with V(SmarterOS:). Only such things are ever changed or deleted. What is of that kind and
    not wished any more is deleted.
  - Semaphore never gives a secret back. A salted fingerprint of each is kept in the environment variable C(SMOS_REGISTERED) of the
    project's environment; a secret is written only where that does not fit.
  - A schedule that somebody paused stays paused.
options:
  url:
    description: Address of Semaphore.
    type: str
    required: true
  token:
    description: API token of a user who may manage the project, or make it. From E(SEMAPHORE_TOKEN) when not given.
    type: str
    required: true
  project:
    description: Name of the project.
    type: str
    required: true
  keys:
    description: The key store.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name, without the beginning that all have.
        type: str
        required: true
      type:
        description: Kind of the key.
        type: str
        choices: [none, ssh, login_password]
        required: true
      login:
        description: The user.
        type: str
      private_key:
        description: The key, for V(ssh).
        type: str
      password:
        description: The password, for V(login_password); a vault password as well.
        type: str
  repository:
    description: Where the playbooks are.
    type: dict
    required: true
    suboptions:
      url:
        description: Address of the git repository.
        type: str
        required: true
      branch:
        description: Its branch.
        type: str
        default: main
      key:
        description: Name of the key that opens it.
        type: str
        required: true
  inventory:
    description: The inventory.
    type: dict
    required: true
    suboptions:
      path:
        description: Its path in the repository.
        type: str
        required: true
      key:
        description: Name of the key that opens the machines.
        type: str
        required: true
  environment:
    description: What the playbooks find in their environment.
    type: dict
    required: true
    suboptions:
      variables:
        description: Variables that may be seen.
        type: dict
      secrets:
        description: Variables that may not.
        type: dict
  jobs:
    description: The templates.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name, without the beginning that all have.
        type: str
        required: true
      playbook:
        description: Path of the playbook in the repository.
        type: str
        required: true
      description:
        description: What it does.
        type: str
        default: ''
      arguments:
        description: Further arguments of C(ansible-playbook).
        type: list
        elements: str
        default: []
      vault_key:
        description: Name of the key that is the vault password.
        type: str
      schedule:
        description: When it is started by the clock, as of cron; C(CRON_TZ=Zone) may stand before it.
        type: str
      survey:
        description: What a person is asked for.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: The variable.
            type: str
            required: true
          title:
            description: Its name in the form.
            type: str
            required: true
          description:
            description: What it is.
            type: str
            default: ''
          type:
            description: Kind of the field; empty for a text.
            type: str
            choices: ['', int, enum]
            default: ''
          required:
            description: Whether it must be filled in.
            type: bool
            default: false
          choices:
            description: What can be chosen, for V(enum).
            type: list
            elements: str
            default: []
extends_documentation_fragment:
  - smartercl.smarteros.single
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Offer the jobs in Semaphore
  smartercl.smarteros.semaphore_project:
    url: https://semaphore.example.com
    project: SmarterOS production
    keys:
      - {name: repository, type: none}
      - {name: machines, type: ssh, login: root, private_key: "{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519') }}"}
    repository: {url: https://git.example.com/shop/smarteros.git, key: repository}
    inventory: {path: inventories/production, key: machines}
    environment:
      variables: {SMOS_SPECS_REPO: /srv/smarteros/specs}
      secrets: {N8N_API_KEY: "{{ lookup('ansible.builtin.env', 'N8N_API_KEY') }}"}
    jobs:
      - {name: Nightly backup, playbook: playbooks/backup.yml, schedule: CRON_TZ=America/Santiago 30 3 * * *}
"""

RETURN = r"""
changes:
  description: Each difference that was closed (in check mode would be), with action, what, before and after. Secrets are only named.
  returned: always
  type: list
  elements: dict
requests:
  description: Number of HTTP requests that were sent.
  returned: always
  type: int
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(2) for options that cannot be, V(3) when Semaphore cannot be used, V(1) when something was attempted and failed.
  returned: failure
  type: int
"""

import typing as t

from ansible.module_utils.basic import env_fallback

from ansible_collections.smartercl.smarteros.plugins.module_utils import single
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Caller, policy_of, usable
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.semaphore import Semaphore, SemaphoreHttp
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError, row
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import semaphore as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.single import Outcome, finish, module_for

INVALID = 2  # exit code of the command line: nothing was touched
_TEXT: dict[str, t.Any] = {"type": "str", "required": True}
_KEYS: dict[str, t.Any] = {
    "name": _TEXT,
    "type": {"type": "str", "choices": ["none", "ssh", "login_password"], "required": True},
    "login": {"type": "str"},
    "private_key": {"type": "str", "no_log": True},
    "password": {"type": "str", "no_log": True},
}
_SURVEY: dict[str, t.Any] = {
    "name": _TEXT,
    "title": _TEXT,
    "description": {"type": "str", "default": ""},
    "type": {"type": "str", "choices": ["", "int", "enum"], "default": ""},
    "required": {"type": "bool", "default": False},
    "choices": {"type": "list", "elements": "str", "default": []},
}
_JOBS: dict[str, t.Any] = {
    "name": _TEXT,
    "playbook": _TEXT,
    "description": {"type": "str", "default": ""},
    "arguments": {"type": "list", "elements": "str", "default": []},
    "vault_key": {"type": "str", "no_log": False},
    "schedule": {"type": "str"},
    "survey": {"type": "list", "elements": "dict", "default": [], "options": _SURVEY},
}
_NAME_OF_KEY: dict[str, t.Any] = {**_TEXT, "no_log": False}
_REPOSITORY: dict[str, t.Any] = {"url": _TEXT, "branch": {"type": "str", "default": "main"}, "key": _NAME_OF_KEY}
_ENVIRONMENT: dict[str, t.Any] = {"variables": {"type": "dict"}, "secrets": {"type": "dict", "no_log": True}}
OPTIONS: dict[str, dict[str, t.Any]] = {
    "url": _TEXT,
    "token": {"type": "str", "required": True, "no_log": True, "fallback": (env_fallback, ["SEMAPHORE_TOKEN"])},
    "project": _TEXT,
    "keys": {"type": "list", "elements": "dict", "default": [], "no_log": False, "options": _KEYS},
    "repository": {"type": "dict", "required": True, "options": _REPOSITORY},
    "inventory": {"type": "dict", "required": True, "options": {"path": _TEXT, "key": _NAME_OF_KEY}},
    "environment": {"type": "dict", "required": True, "options": _ENVIRONMENT},
    "jobs": {"type": "list", "elements": "dict", "default": [], "options": _JOBS},
}


def work(module: Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params, project = module.params, module.params["project"]
    wrong = [row(f"project {project}", why, "the options", "Correct it") for why in service.mistakes(params)]
    if wrong:
        module.fail_json(msg="; ".join(each["why"] for each in wrong), errors=wrong, exit_code=INVALID)
    wished = service.wishes(params)
    hidden = [value for thing in wished for value in thing.secrets.values()]
    with usable(module, "Semaphore"):
        client = Semaphore(SemaphoreHttp(params["url"], params["token"], hidden, policy_of(module)))
        state = service.read(client, project)
    steps = service.plan(wished, state, project)
    outcome = Outcome([step.change for step in steps])

    def done() -> None:
        outcome.done += 1

    try:
        if not module.check_mode:
            service.apply(client, project, wished, state, steps, done)
    except ApiError as exc:
        what = steps[outcome.done].change.what if outcome.done < len(steps) else "fingerprints of the secrets"
        single.failed(module, what, exc, outcome, client.http.sent)
    finish(module, outcome, client.http.sent)


def main() -> None:
    """Called by Ansible."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
