#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Frontends on Vercel, from their project to what visitors see."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vercel_deployments
short_description: Frontends on Vercel, from their project to what visitors see
version_added: 0.1.0
description:
  - "For all frontends at the same time: the project with its settings and variables, the domain, a build of the wished Git ref, and
    once that answers, its promotion. Where the domain does not answer afterwards, Vercel's rollback takes production back."
  - A frontend whose ref, settings and variables are those of what its domain shows is left alone. A build that is there already
    (of an earlier release, or of a run that was cut off) is waited for or promoted, and not made a second time.
  - What is deployed is written down at Vercel itself. Each deployment bears our mark, the ref, the release and a hash of settings and
    variables as its meta data; each project has the variable C(SMARTEROS_FRONTEND) with environment and frontend.
  - Everything is looked at before anything is changed. A project that does not bear our mark is refused unless it may be adopted, one
    of another environment always.
options:
  environment:
    description: Name of the environment, which is a part of our mark.
    type: str
    required: true
  release:
    description: Version of the release that names the refs.
    type: str
    default: ''
  state:
    description:
      - With V(back), what production showed before with this ref comes back by Vercel's own rollback. Projects, variables and domains
        are left as they are then, and nothing is built.
    type: str
    choices: [deployed, back]
    default: deployed
  absent:
    description: With O(state=back), what becomes of a frontend that cannot go back, V(refuse) for all or V(leave) that one as it is.
    type: str
    choices: [refuse, leave]
    default: refuse
  frontends:
    description: The frontends.
    type: list
    elements: dict
    required: true
    suboptions:
      service:
        description: Id of the frontend.
        type: str
        required: true
      project:
        description: Name of the project, which finds it.
        type: str
        required: true
      adopt:
        description: Whether a project of this name without our mark may be taken over.
        type: bool
        default: false
      git:
        description: Repository, as V(github:owner/name).
        type: str
        required: true
      ref:
        description: Tag or commit.
        type: str
        required: true
      domain:
        description: Host name under which visitors come.
        type: str
        required: true
      path:
        description: Path that has to answer.
        type: str
        default: /
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
        description: Folder of the repository in which the frontend lies. Empty for its top.
        type: str
      environment:
        description: Environment variables. Those that bear our comment and are not in it are deleted.
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
  wait_timeout:
    description: Seconds that a build may take. One that takes longer goes on at Vercel, and the next run waits for it again.
    type: float
    default: 900.0
  poll:
    description: Seconds between two looks at a build.
    type: float
    default: 5.0
  health_timeout:
    description: Seconds within which a page has to answer.
    type: float
    default: 60.0
  health_url:
    description: How a page is asked for, with V({host}) and V({path}).
    type: str
    default: https://{host}{path}
  bypass:
    description: Secret of Vercel's protection bypass for automation, with which protected builds can be looked at.
    type: str
    default: ''
extends_documentation_fragment:
  - smartercl.smarteros.vercel
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
notes:
  - The task fails when a frontend failed; the others were deployed by then all the same, and RV(ignore:results) tells of each.
  - A build that failed is no change, though Vercel keeps it in its list.
author:
  - SmarterCL (@SmarterCL)
seealso:
  - module: smartercl.smarteros.frontend_open
  - module: smartercl.smarteros.vercel_projects
"""

EXAMPLES = r"""
- name: Deploy the documentation
  smartercl.smarteros.vercel_deployments:
    team: smarteros
    environment: production
    release: 0.2.0
    frontends:
      - service: docs
        project: smarteros-docs
        git: github:smartercl/docs
        ref: v0.2.0
        domain: docs.example.com

- name: Take it back to what ran before
  smartercl.smarteros.vercel_deployments:
    team: smarteros
    environment: production
    release: 0.1.0
    state: back
    frontends:
      - {service: docs, project: smarteros-docs, git: github:smartercl/docs, ref: v0.1.0, domain: docs.example.com}
"""

RETURN = r"""
release:
  description: The release that was asked for.
  returned: always
  type: str
results:
  description: What became of every frontend, in the order of O(frontends).
  returned: always, unless nothing could be attempted
  type: list
  elements: dict
  contains:
    service:
      description: Id of the frontend.
      type: str
      returned: always
    project:
      description: Name of its project.
      type: str
      returned: always
    state:
      description: V(ready), V(failed), or in check mode V(pending) where something would be deployed.
      type: str
      returned: always
    changed:
      description: Whether something of it was changed (in check mode would be).
      type: bool
      returned: always
    rolled_back:
      description: Whether production went back to what was there before, since the domain did not answer after the promotion.
      type: bool
      returned: always
    ref:
      description: What visitors see, by its ref.
      type: str
      returned: always
    deployment:
      description: Vercel's id of what visitors see.
      type: str
      returned: always
    url:
      description: Where visitors come.
      type: str
      returned: always
    before:
      description: The C(ref), C(release) and C(deployment) that visitors saw before; empty texts for none.
      type: dict
      returned: always
    message:
      description: What to know, or why it failed.
      type: str
      returned: always
    changes:
      description: Each difference that was closed (in check mode would be), with service, action, what, before and after.
      type: list
      returned: always
      elements: dict
    log:
      description: The last lines of a build that failed.
      type: list
      returned: always
      elements: str
changes:
  description: The changes of all frontends.
  returned: always, unless nothing could be attempted
  type: list
  elements: dict
requests:
  description: Number of HTTP requests that were sent to the API.
  returned: always, unless nothing could be attempted
  type: int
errors:
  description: What failed or was refused, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: >-
    What the command line ends with: V(1) something was attempted and failed, V(2) a ref that is in no repository, V(3) Vercel cannot be
    used, V(4) a project that is not ours. With V(2) to V(4) nothing was touched.
  returned: failure
  type: int
"""

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import (
    CANNOT_USE,
    FAILED,
    READY,
    Caller,
    Change,
    module_for,
    policy_of,
    usable,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import vercel_deployments as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import vercel_deploy_steps as steps
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import vercel_deployments as service
from ansible_collections.smartercl.smarteros.plugins.module_utils.vercel_options import CONNECTION, VARIABLE

PENDING = "pending"
REFUSE = "refuse"
LEAVE = "leave"
ATTEMPTED = 1  # these three are exit codes of the command line
INVALID = 2
REFUSED = 4
ADOPT = "Choose another name in specs/frontends/registry.yml, or say `adopt: true` there if it may be taken over"

FRONTEND: dict[str, dict[str, t.Any]] = {
    "service": {"type": "str", "required": True},
    "project": {"type": "str", "required": True},
    "adopt": {"type": "bool", "default": False},
    "git": {"type": "str", "required": True},
    "ref": {"type": "str", "required": True},
    "domain": {"type": "str", "required": True},
    "path": {"type": "str", "default": "/"},
    "framework": {"type": "str"},
    "build_command": {"type": "str"},
    "install_command": {"type": "str"},
    "output_directory": {"type": "str"},
    "root_directory": {"type": "str"},
    "environment": {"type": "list", "elements": "dict", "default": [], "options": VARIABLE},
}
OPTIONS: dict[str, dict[str, t.Any]] = {
    **CONNECTION,
    "environment": {"type": "str", "required": True},
    "release": {"type": "str", "default": ""},
    "state": {"type": "str", "choices": [service.DEPLOYED, service.BACK], "default": service.DEPLOYED},
    "absent": {"type": "str", "choices": [REFUSE, LEAVE], "default": REFUSE},
    "frontends": {"type": "list", "elements": "dict", "required": True, "options": FRONTEND},
    "wait_timeout": {"type": "float", "default": 900.0},
    "poll": {"type": "float", "default": 5.0},
    "health_timeout": {"type": "float", "default": 60.0},
    "health_url": {"type": "str", "default": "https://{host}{path}"},
    "bypass": {"type": "str", "default": "", "no_log": True},
}


def work(module: Caller) -> None:
    """Read all, refuse what may not be touched, plan, apply unless in check mode, report."""
    params = module.params
    wishes = _wishes(module)
    with usable(module, "Vercel"):
        client = api.connect(params, policy_of(module))
        seen = service.read(client, wishes, params["state"], params["concurrency"])
    todos = [service.plan(wish, _seen(module, seen, wish.service), params["state"]) for wish in wishes]
    if params["state"] == service.DEPLOYED or params["absent"] == REFUSE:
        _mind_refusals(module, todos)
    done: dict[str, steps.Done] = {}
    if not module.check_mode:
        done = steps.apply(client, todos, _way(params), params["concurrency"])
    _finish(module, todos, done, client.http.sent)


def _wishes(module: Caller) -> list[service.Wish]:
    params, found, wrong = module.params, [], []
    names = [item["service"] for item in params["frontends"]]
    if len(set(names)) < len(names):
        module.fail_json(msg="frontends: a service is there twice")
    for item in params["frontends"]:
        try:
            found.append(service.wish_of(item, params["environment"], params["release"]))
        except ApiError as exc:
            wrong.append(exc.as_dict(f"frontend {item['service']}"))
    if wrong:
        module.fail_json(msg=_words(wrong), errors=wrong, exit_code=INVALID)
    return found


def _seen(module: Caller, seen: t.Mapping[str, service.Seen | ApiError], name: str) -> service.Seen:
    """What was seen of one frontend; where anything could not be read, nothing at all is touched."""
    failures = {one: found for one, found in seen.items() if isinstance(found, ApiError)}
    if failures:
        rows = [exc.as_dict(f"frontend {one}") for one, exc in failures.items()]
        if len(failures) == len(seen):  # then it is the token or the way there, and one row says so
            rows = [next(iter(failures.values())).as_dict("Vercel")]
        module.fail_json(msg=f"Vercel cannot be used: {_words(rows)}", errors=rows, exit_code=CANNOT_USE)
    return t.cast("service.Seen", seen[name])


def _mind_refusals(module: Caller, todos: t.Sequence[service.Todo]) -> None:
    rows = [
        errors.row(
            f"frontend {todo.wish.service}",
            todo.refusal,
            f"Vercel project {todo.wish.project.name}",
            ADOPT if "does not bear" in todo.refusal else _following(todo),
        )
        for todo in todos
        if todo.refusal
    ]
    if rows:
        module.fail_json(msg=_words(rows), errors=rows, exit_code=REFUSED)


def _following(todo: service.Todo) -> str:
    if "is left in" in todo.refusal or "was ever deployed" in todo.refusal:
        return f"Build it anew: smos deploy frontend --service {todo.wish.service} --release {todo.wish.release}"
    if "paused" in todo.refusal:
        return "Let it go on in Vercel, or find out why it was paused; then run the same command again"
    if "rolling" in todo.refusal:
        return "Complete or abort the rolling release in Vercel and switch rolling releases off, then run the same command again"
    return "Give this environment projects of its own in its specs (frontends/registry.yml)"


def _way(params: t.Mapping[str, t.Any]) -> steps.Way:
    return steps.Way(
        params["wait_timeout"], params["poll"], params["health_timeout"], params["health_url"], params["bypass"]
    )


def _finish(
    module: Caller, todos: t.Sequence[service.Todo], done: t.Mapping[str, steps.Done], requests: int
) -> t.NoReturn:
    """End the module: prediction, diff and result all come from the same changes."""
    rows = [_row(todo, done.get(todo.wish.service), module.check_mode) for todo in todos]
    changes = [change for row in rows for change in row["changes"]]
    told: dict[str, t.Any] = {
        "changed": bool(changes),
        "release": module.params["release"],
        "results": rows,
        "changes": changes,
        "requests": requests,
        "diff": {
            side: {change["what"]: change[side] for change in changes if change[side] is not None}
            for side in ("before", "after")
        },
    }
    failures = {name: each for name, each in done.items() if each.error is not None}
    if not failures:
        module.exit_json(**told)
    wrong = [_error(name, each) for name, each in failures.items()]
    unknown = all(each.error is not None and each.error.code == api.UNKNOWN_REF for each in failures.values())
    code = INVALID if unknown and not changes else ATTEMPTED
    module.fail_json(msg=_words(wrong), errors=wrong, exit_code=code, **told)


def _row(todo: service.Todo, done: steps.Done | None, check_mode: bool) -> dict[str, t.Any]:
    wish, live = todo.wish, todo.seen.live
    changes = service.changes(todo) if check_mode else done.changes if done is not None else []
    failed = done is not None and done.error is not None
    now = live
    if done is not None and done.deployment is not None and not failed:
        now = done.deployment
    planned = check_mode and bool(todo.how)
    return {
        "service": wish.service,
        "project": wish.project.name,
        "state": FAILED if failed else PENDING if planned else READY,
        "changed": bool(changes),
        "rolled_back": done is not None and done.rolled_back,
        "ref": wish.ref if planned else service.ref_of(now),
        "deployment": "" if planned or now is None else now.id,
        "url": f"https://{wish.domain}",
        "before": {
            "ref": service.ref_of(live),
            "release": service.release_of(live),
            "deployment": "" if live is None else live.id,
        },
        "message": _message(todo, done),
        "changes": [_change(wish.service, each) for each in changes],
        "log": done.log if done is not None else [],
    }


def _message(todo: service.Todo, done: steps.Done | None) -> str:
    notes = list(done.notes) if done is not None else []
    if todo.refusal:
        notes.append(f"left as it is: {todo.refusal}")
    domain = todo.seen.domain
    if done is None and domain is not None and not domain.verified:
        proof = "; ".join(str(each) for each in domain.challenges)
        notes.append(f"{domain.name} is not verified{f'; missing in DNS: {proof}' if proof else ''}")
    if done is not None and done.error is not None:
        notes.insert(0, done.error.message)
    return "; ".join(notes)


def _change(name: str, change: Change) -> dict[str, t.Any]:
    return {"service": name, "tenant": None, **change.as_dict()}


def _error(name: str, done: steps.Done) -> dict[str, str]:
    if done.error is None:
        return {}
    row = done.error.as_dict(f"frontend {name}")
    return {**row, "next": done.following or row["next"]}


def _words(rows: t.Sequence[t.Mapping[str, str]]) -> str:
    return "; ".join(f"{row['what']}: {row['why']}" for row in rows)


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(module_for(OPTIONS))


if __name__ == "__main__":
    main()
