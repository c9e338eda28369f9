#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Projects of a Vercel team, with their environment variables."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vercel_projects
short_description: Projects of a Vercel team, with their environment variables
version_added: 0.1.0
description:
  - Makes projects exist with the wished settings, Git repository and environment variables. What an item does not name is
    left as it is. Projects are never deleted.
  - Variables are written with one bulk call per project, and the projects' writes never overlap within one project.
  - Values are never read back. The comment of a variable holds a fingerprint of the value that was written, and that is
    compared. A value that was replaced by hand while its comment stayed is not noticed, except for the type V(plain).
  - Changed variables apply to the next deployment.
options:
  projects:
    description: The projects.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the project, which finds it.
        type: str
        required: true
      framework:
        description: Vercel's name of the framework, for example V(nextjs). Empty lets Vercel detect it.
        type: str
      build_command:
        description: Command that builds. Empty lets Vercel detect it.
        type: str
      install_command:
        description: Command that installs what is needed. Empty lets Vercel detect it.
        type: str
      output_directory:
        description: Where the build puts its result. Empty lets Vercel detect it.
        type: str
      root_directory:
        description: Folder of the repository in which the project lies. Empty for its top.
        type: str
      git:
        description: Repository, as V(github:owner/name). Empty unlinks it.
        type: str
      paused:
        description: Whether the project is paused, so that it serves nothing.
        type: bool
      environment:
        description: Environment variables.
        type: list
        elements: dict
        default: []
        suboptions:
          key:
            description: Name.
            type: str
            required: true
          value:
            description: Value.
            type: str
            required: true
          type:
            description: How Vercel keeps it. A V(sensitive) one can never be read again and is not for development.
            type: str
            choices: [sensitive, encrypted, plain]
            default: sensitive
          targets:
            description: Environments that get it.
            type: list
            elements: str
            choices: [production, preview, development]
            default: [production, preview]
          branch:
            description: Git branch to which it is limited. Goes with the target V(preview) only.
            type: str
            default: ''
      prune:
        description: Also delete variables that bear our comment and are not in O(projects[].environment).
        type: bool
        default: false
extends_documentation_fragment:
  - smartercl.smarteros.vercel
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Have the project of the application
  smartercl.smarteros.vercel_projects:
    team: smarteros
    projects:
      - name: smarteros-app
        framework: nextjs
        git: github:smartercl/app
        environment:
          - {key: NEXT_PUBLIC_ZONE, value: smarterbot.cl, type: plain}
          - {key: SUPABASE_SECRET_KEY, value: "{{ supabase_secret_key }}"}
"""

RETURN = r"""
results:
  description: What became of every project, in the order of O(projects).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the project.
      type: str
      returned: always
    state:
      description: V(ready), V(suspended) (paused) or V(failed).
      type: str
      returned: always
    changed:
      description: Whether something of this project was changed.
      type: bool
      returned: always
    created:
      description: Whether the project was made by this call.
      type: bool
      returned: if true
    message:
      description: What to know, or why the project failed.
      type: str
      returned: if not empty
    changes:
      description: Each difference that was closed (in check mode would be), with action, what, before and after.
      type: list
      elements: dict
      returned: if not empty
    error:
      description: What failed, where, why, and what to do next.
      type: dict
      returned: if not empty
requests:
  description: Number of HTTP requests that were sent.
  returned: success
  type: int
errors:
  description: Why nothing could be attempted, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import (
    Caller,
    finish,
    module_for,
    policy_of,
    usable,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import vercel_projects as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import vercel_projects as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.vercel_options import CONNECTION, VARIABLE

PROJECT: dict[str, dict[str, t.Any]] = {
    "name": {"type": "str", "required": True},
    "framework": {"type": "str"},
    "build_command": {"type": "str"},
    "install_command": {"type": "str"},
    "output_directory": {"type": "str"},
    "root_directory": {"type": "str"},
    "git": {"type": "str"},
    "paused": {"type": "bool"},
    "environment": {"type": "list", "elements": "dict", "default": [], "options": VARIABLE},
    "prune": {"type": "bool", "default": False},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    **CONNECTION,
    "projects": {"type": "list", "elements": "dict", "required": True, "options": PROJECT},
}


def work(module: Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    params = module.params
    names = [item["name"] for item in params["projects"]]
    if len(set(names)) < len(names):
        module.fail_json(msg="projects: a name is there twice")
    if not names:
        finish(module, [], 0)
    wishes: list[service.Wish] = []
    todos: dict[str, service.Todo] = {}
    for item in params["projects"]:
        try:
            wishes.append(service.wish_of(item))
            todos[item["name"]] = service.Todo(wishes[-1])
        except ApiError as exc:
            todos[item["name"]] = service.Todo(service.Wish(item["name"]), error=exc)
    with usable(module, "Vercel"):
        client = api.connect(params, policy_of(module))
        found = service.read(client, wishes, params["concurrency"])
        service.mind_refusal(found)
    todos.update(found)
    done = {} if module.check_mode else service.apply(client, todos, params["concurrency"])
    finish(module, service.results(todos, done), client.http.sent)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
