#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""All settings of a machine, compared and brought about in one go."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_settings
short_description: All settings of a machine, compared and brought about in one go
version_added: 0.1.0
description:
  - Packages, accounts with their keys, swap, files with what applies them, services and settings of the kernel. What is as
    wished costs one look; every file that is to be written is judged by the program that will read it before any is put in place.
  - A group of files counts as applied only when its commands have succeeded with this content. A run that died between
    writing and applying is mended by the next one. Where applying fails, the old files are put back and applied.
  - Groups with O(groups[].guarded) could lock somebody out. They come last and in one go. The machine puts the old files back
    by itself after O(undo_after) seconds, unless a new login, over a connection of its own, has succeeded before.
    That also holds when the controller dies, or the machine is restarted meanwhile.
  - It is refused to change the access in a way that leaves the account that the run came in as without a key.
  - In a container the kernel, the clock and the swap belong to others; what cannot be done there is left out and told in
    RV(notices).
options:
  systems:
    description: The distributions, by C(ID) of os-release, with the releases that are supported.
    type: dict
    default: {}
  packages:
    description: Packages that shall be installed. Their version is no subject here.
    type: list
    elements: str
    default: []
  people:
    description: Accounts that shall be there. What is not named here is never touched.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the account.
        type: str
        required: true
      groups:
        description: Groups that it belongs to, besides those that it is in already.
        type: list
        elements: str
        default: []
      shell:
        description: Its shell.
        type: path
        default: /bin/bash
      keys:
        description: Public keys that let the person in; others stay.
        type: list
        elements: str
        default: []
      own_keys:
        description: Whether it gets the keys of O(user) where O(people[].keys) is empty.
        type: bool
        default: false
      removed_keys:
        description: Public keys that no longer let anybody in.
        type: list
        elements: str
        default: []
  groups:
    description: Settings that belong together, in the order in which they are brought about.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the group, unique on the machine.
        type: str
        required: true
      files:
        description: Files that shall be there with exactly this content.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: Where the file is.
            type: path
            required: true
          content:
            description: Its text.
            type: str
            required: true
          mode:
            description: Its mode, as text in octal.
            type: str
            default: "0644"
          owner:
            description: Its owner.
            type: str
            default: root
          group:
            description: Its group.
            type: str
            default: root
          validate:
            description: A command that judges the text; V(%s) stands for a file with it that nothing reads yet.
            type: str
            default: ""
      links:
        description: Symbolic links, path to target.
        type: dict
        default: {}
      directories:
        description: Folders that shall be there.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: Where the folder is.
            type: path
            required: true
          mode:
            description: Its mode, as text in octal.
            type: str
            default: "0755"
          owner:
            description: Its owner.
            type: str
            default: root
          group:
            description: Its group.
            type: str
            default: root
      absent:
        description: Files that shall not be there.
        type: list
        elements: path
        default: []
      apply:
        description: Commands that make the files count, each a list of words; systemd is told of changed units before.
        type: list
        elements: list
        default: []
      undo:
        description: Commands that make restored files count; those of O(groups[].apply) where there are none.
        type: list
        elements: list
        default: []
      look:
        description: A command whose output tells whether what was applied still holds; where it differs, it is applied again.
        type: list
        elements: str
        default: []
      sshd:
        description: What sshd must come to with these files, as C(sshd -T) tells it.
        type: dict
        default: {}
      services:
        description: Units of systemd behind the files.
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Name with its suffix, for example V(chrony.service).
            type: str
            required: true
          enabled:
            description: Whether it is started with the machine; left as it is when not given.
            type: bool
          state:
            description: Whether it runs; left as it is when not given.
            type: str
            choices: [started, stopped]
      guarded:
        description: Whether these settings could lock somebody out.
        type: bool
        default: false
      host_only:
        description: Whether a container only gets the files, and the services are masked there.
        type: bool
        default: false
  kernel:
    description: Settings of the running kernel by their names in sysctl. Files that set them at each start belong to a group.
    type: dict
    default: {}
  swap_file:
    description: The swap file; none where it is empty.
    type: path
    default: ""
  swap_mb:
    description: Its size. Where the machine has that much other swap already, no file is made.
    type: int
    default: 0
  user:
    description: The account that must be able to come in again; the one that the run came in as, when not given.
    type: str
  undo_after:
    description: Seconds after which a guarded change is undone unless a new login has succeeded.
    type: int
    default: 90
  apt:
    description: Further options for M(ansible.builtin.apt), with which missing packages are installed.
    type: dict
    default: {}
  step:
    description: Used between the controller's part and the machine's; V(apply) for everybody else.
    type: str
    choices: [apply, confirm, undo]
    default: apply
extends_documentation_fragment:
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Keep the journal small
  smartercl.smarteros.host_settings:
    groups:
      - name: journal
        files:
          - path: /etc/systemd/journald.conf.d/smarteros.conf
            content: |
              [Journal]
              SystemMaxUse=500M
        apply: [[systemctl, restart, systemd-journald.service]]

- name: Let nobody in with a password
  smartercl.smarteros.host_settings:
    groups:
      - name: ssh
        guarded: true
        files:
          - path: /etc/ssh/sshd_config.d/00-smarteros.conf
            content: |
              PasswordAuthentication no
        sshd: {passwordauthentication: "no"}
        apply: [[systemctl, try-reload-or-restart, ssh.service]]
"""

RETURN = r"""
changes:
  description: What was done (in check mode would be), each with service, tenant, action, what, before and after.
  returned: always
  type: list
  elements: dict
notices:
  description: What was left out on this machine, and why.
  returned: always
  type: list
  elements: str
missing:
  description: Packages that were, in check mode are, to be installed.
  returned: always
  type: list
  elements: str
container:
  description: The kind of container that the machine is; empty for a machine of its own.
  returned: always
  type: str
armed:
  description: Whether a change waits for a new login.
  returned: always
  type: bool
errors:
  description: What failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
exit_code:
  description: V(2) for settings that a program refuses, V(3) for a machine that cannot be used, V(4) when it would lock somebody
    out (nothing was touched then), V(1) when something was attempted.
  returned: failure
  type: int
"""

import os
import pwd
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.smartercl.smarteros.plugins.module_utils import host_files, host_machine, host_undo, host_users
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_files import Wish
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import HostError
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_session import Session, Wished
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_settings import Group
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_units import Unit
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_users import Person

Options = dict[str, dict[str, t.Any]]
TEXT = {"type": "str", "default": ""}
TEXTS = {"type": "list", "elements": "str", "default": []}
COMMANDS = {"type": "list", "elements": "list", "default": []}
RIGHTS: Options = {"owner": {"type": "str", "default": "root"}, "group": {"type": "str", "default": "root"}}
PERSON: Options = {
    "name": {"type": "str", "required": True},
    "groups": TEXTS,
    "shell": {"type": "path", "default": "/bin/bash"},
    "keys": {**TEXTS, "no_log": False},
    "own_keys": {"type": "bool", "default": False},
    "removed_keys": {**TEXTS, "no_log": False},
}
A_FILE: Options = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str", "required": True},
    "mode": {"type": "str", "default": "0644"},
    "validate": TEXT,
    **RIGHTS,
}
FOLDER: Options = {"path": {"type": "path", "required": True}, "mode": {"type": "str", "default": "0755"}, **RIGHTS}
UNIT: Options = {
    "name": {"type": "str", "required": True},
    "enabled": {"type": "bool"},
    "state": {"type": "str", "choices": ["started", "stopped"]},
}
GROUP: Options = {
    "name": {"type": "str", "required": True},
    "files": {"type": "list", "elements": "dict", "default": [], "options": A_FILE},
    "links": {"type": "dict", "default": {}},
    "directories": {"type": "list", "elements": "dict", "default": [], "options": FOLDER},
    "absent": {"type": "list", "elements": "path", "default": []},
    "apply": COMMANDS,
    "undo": COMMANDS,
    "look": TEXTS,
    "sshd": {"type": "dict", "default": {}},
    "services": {"type": "list", "elements": "dict", "default": [], "options": UNIT},
    "guarded": {"type": "bool", "default": False},
    "host_only": {"type": "bool", "default": False},
}
OPTIONS: Options = {
    "systems": {"type": "dict", "default": {}},
    "packages": TEXTS,
    "people": {"type": "list", "elements": "dict", "default": [], "options": PERSON},
    "groups": {"type": "list", "elements": "dict", "default": [], "options": GROUP},
    "kernel": {"type": "dict", "default": {}},
    "swap_file": {"type": "path", "default": ""},
    "swap_mb": {"type": "int", "default": 0},
    "user": {"type": "str"},
    "undo_after": {"type": "int", "default": 90},
    "apt": {"type": "dict", "default": {}},
    "step": {"type": "str", "choices": ["apply", "confirm", "undo"], "default": "apply"},
}


def wished(params: t.Mapping[str, t.Any]) -> Wished:
    """The options in our words."""
    return Wished(
        systems=params["systems"],
        packages=params["packages"],
        people=[_person(each, params["user"] or _who()) for each in params["people"]],
        groups=[_group(each) for each in params["groups"]],
        kernel={key: str(value) for key, value in params["kernel"].items()},
        swap_path=params["swap_file"],
        swap_mb=params["swap_mb"],
        user=_who() if params["user"] is None else params["user"],
        undo_after_s=params["undo_after"],
        caller=host_machine.caller(),
    )


def _who() -> str:
    """Who came in, before becoming root."""
    return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name


def _person(given: t.Mapping[str, t.Any], user: str) -> Person:
    keys = given["keys"]
    if not keys and given["own_keys"]:
        source = host_users.file_of(host_users.look(user))
        keys = host_users.keys_in(host_files.look(source).text)
    return Person(given["name"], tuple(given["groups"]), given["shell"], tuple(keys), tuple(given["removed_keys"]))


def _group(given: t.Mapping[str, t.Any]) -> Group:
    wishes = [
        Wish(each["path"], host_files.FOLDER, "", int(each["mode"], 8), each["owner"], each["group"])
        for each in given["directories"]
    ]
    wishes += [
        Wish(
            each["path"],
            host_files.FILE,
            each["content"],
            int(each["mode"], 8),
            each["owner"],
            each["group"],
            each["validate"],
        )
        for each in given["files"]
    ]
    wishes += [Wish(path, host_files.LINK, str(target)) for path, target in given["links"].items()]
    wishes += [Wish(path, host_files.ABSENT) for path in given["absent"]]
    running = {"started": True, "stopped": False, None: None}
    return Group(
        name=given["name"],
        wishes=tuple(wishes),
        apply=_commands(given["apply"]),
        undo=_commands(given["undo"]),
        units=tuple(Unit(each["name"], each["enabled"], running[each["state"]]) for each in given["services"]),
        look=tuple(given["look"]),
        sshd={key: str(value) for key, value in given["sshd"].items()},
        guarded=given["guarded"],
        host_only=given["host_only"],
    )


def _commands(given: t.Iterable[t.Iterable[t.Any]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(str(word) for word in argv) for argv in given)


def work(module: AnsibleModule) -> None:
    """Look, plan, and carry out unless in check mode; nothing is attempted while packages are missing."""
    container = host_machine.container(host_machine.run)
    facts: dict[str, t.Any] = {"missing": [], "container": container, "armed": False, "notices": []}
    session = Session(host_machine.run, wished(module.params), container)
    attempted = False
    try:
        if module.params["systems"]:
            with open("/etc/os-release", encoding="utf-8") as file:
                host_machine.mind_the_system(host_machine.parsed_system(file.read()), module.params["systems"])
        facts["missing"] = session.prepare_packages(module.check_mode)
        if facts["missing"] and not module.check_mode:
            module.exit_json(changed=False, changes=[], **facts)
        facts["notices"] += _unfinished(module.check_mode)
        planned = session.plan(module.check_mode)
        facts["notices"] += planned.notices
        if module.check_mode:
            session.foretell(planned)
        else:
            attempted = True
            facts["armed"] = session.carry_out(planned)
    except HostError as exc:
        code = max(1, exc.exit_code) if not attempted else 1
        _end(module, session, facts, msg=str(exc), errors=[exc.as_row()], exit_code=code)
    _end(module, session, facts)


def _unfinished(check_mode: bool) -> list[str]:
    """A run that died while its change waited for a new login: what was there before is put back first."""
    if not host_undo.pending():
        return []
    if not check_mode:
        host_undo.undo(host_machine.run)
    return ["A change of the access by an earlier run was never confirmed by a new login; it was undone."]


def _end(module: AnsibleModule, session: Session, facts: dict[str, t.Any], **failure: t.Any) -> None:
    told = {**facts, "changed": bool(session.done), "changes": session.done, "diff": session.diff}
    if failure:
        module.fail_json(**told, **failure)
    module.exit_json(**told)


def _settle(module: AnsibleModule) -> None:
    """What the controller asks for once it has tried to come in anew."""
    try:
        if module.params["step"] == "undo":
            host_undo.undo(host_machine.run)
        else:
            Session(host_machine.run, wished(module.params), host_machine.container(host_machine.run)).confirm()
    except HostError as exc:
        module.fail_json(msg=str(exc), errors=[exc.as_row()], exit_code=exc.exit_code)
    module.exit_json(changed=module.params["step"] == "undo")


def main() -> None:
    """Called by Ansible."""
    module = AnsibleModule(argument_spec=OPTIONS, supports_check_mode=True)
    if module.params["step"] != "apply":
        _settle(module)
    work(module)


if __name__ == "__main__":
    main()
