# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Bring a machine to its settings: what only the controller can do of it is to come in anew, over a connection of its own."""

from __future__ import annotations

import copy
import time
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

MODULE = "smartercl.smarteros.host_settings"
SSH = ("ssh", "ansible.builtin.ssh")
SETTLE_S = 1.0  # sshd reads its settings again in the background
# Together well below what the machine waits before it undoes the change
TRIES = 3
LOGIN_S = 8
DENIED = "Permission denied"
Row = dict[str, t.Any]


class ActionModule(ActionBase):
    """One call of the module when there is nothing to do; packages and a new login cost one more each."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: Row | None = None) -> Row:
        """Called by Ansible."""
        variables = task_vars or {}
        super().run(tmp, variables)
        args = dict(self._task.args)
        if args.get("user") is None and self._connection.transport not in SSH:
            args["user"] = ""  # nobody came in through SSH: there is no login to lose
        result = self._module(args, variables)
        missing = list(result.get("missing") or [])
        if missing and not result.get("failed"):
            result = self._with_packages(args, missing, result, variables)
        if result.get("armed") and not result.get("failed"):
            result = self._confirmed(args, result, variables)
        return result

    def _with_packages(self, args: Row, missing: list[str], looked: Row, variables: Row) -> Row:
        """Install what is missing, then go on; check mode only tells."""
        rows = [
            {
                "service": "host",
                "tenant": None,
                "action": "create",
                "what": f"package {name}",
                "before": None,
                "after": {"state": "installed"},
            }
            for name in missing
        ]
        result = looked
        if not self._task.check_mode:
            done = self._apt(args, missing, variables)
            if done.get("failed"):
                return {**looked, **_unpackaged(missing, done)}
            result = self._module(args, variables)
        return {
            **result,
            "missing": missing,
            "changed": True,
            "changes": [*rows, *result.get("changes", [])],
        }

    def _apt(self, args: Row, missing: list[str], variables: Row) -> Row:
        options = {
            "name": missing,
            "state": "present",
            "install_recommends": False,
            "update_cache": True,
            "cache_valid_time": 3600,
            "lock_timeout": 300,
            "dpkg_options": "force-confdef,force-confold",
            **(args.get("apt") or {}),
        }
        done: Row = self._execute_module(
            module_name="ansible.builtin.apt", module_args=options, task_vars=variables, wrap_async=False
        )
        return done

    def _confirmed(self, args: Row, result: Row, variables: Row) -> Row:
        """Come in anew; the change stays only when that works."""
        why = self._new_login()
        if not why:
            confirmed = self._module({**args, "step": "confirm"}, variables)
            return {**result, **(confirmed if confirmed.get("failed") else {}), "armed": False, "changed": True}
        wait = int(args.get("undo_after") or 90)
        try:
            undone = not self._module({**args, "step": "undo"}, variables).get("failed")
        except AnsibleError:
            undone = False
        told = "The old settings were put back" if undone else f"The machine puts the old settings back within {wait} s"
        error = {
            "what": "new login",
            "where": str(self._connection.get_option("host") or ""),
            "why": f"with the new settings nobody can come in: {why}. {told}",
            "next": "Correct the settings of SSH, the keys or the firewall, then run the same command again",
        }
        failure = {"failed": True, "msg": f"new login: {error['why']}", "errors": [error], "exit_code": 1}
        return {**result, "armed": not undone, **failure}

    def _new_login(self) -> str:
        """Come in as the operator does, without the connection that is open; gives why that does not work, else nothing."""
        fresh = fresh_connection(self._connection)
        user = fresh.get_option("remote_user") or self._play_context.remote_user or ""
        become = self._task.become and user != "root" and not self._play_context.become_pass
        command = "sudo -n true" if become and self._task.become_method in ("sudo", "ansible.builtin.sudo") else "true"
        why = ""
        for _turn in range(TRIES):
            time.sleep(SETTLE_S)
            try:
                code, _stdout, stderr = fresh.exec_command(command, sudoable=False)
            except (AnsibleConnectionFailure, AnsibleError) as exc:
                why = str(exc).strip() or "no answer"
                if DENIED in why:  # it will not be otherwise the next time, and failing logins are counted
                    break
                continue
            if code == 0:
                return ""
            why = stderr.decode("utf-8", "replace").strip() or f"exit code {code}"
        return " ".join(why.split()).rstrip(".")

    def _module(self, args: Row, variables: Row) -> Row:
        done: Row = self._execute_module(module_name=MODULE, module_args=args, task_vars=variables, wrap_async=False)
        done.pop("invocation", None)
        return done


def fresh_connection(connection: t.Any) -> t.Any:
    """The same way in, which shares nothing with the connection that is open."""
    fresh = copy.copy(connection)
    fresh._options = dict(connection._options)
    # ssh takes the first word that it is given on a subject.
    alone = "-o ControlMaster=no -o ControlPath=none -o ControlPersist=no"
    fresh.set_option("ssh_args", f"{alone} {connection.get_option('ssh_args') or ''}".strip())
    fresh.set_option("timeout", LOGIN_S)
    fresh.set_option("reconnection_retries", 0)
    return fresh


def _unpackaged(missing: list[str], done: Row) -> Row:
    error = {
        "what": f"packages {', '.join(missing)}",
        "where": "apt",
        "why": str(done.get("msg") or "apt failed").strip(),
        "next": "Repair that (apt-get install on the machine tells more), then run the same command again",
    }
    told = {"failed": True, "msg": f"{error['what']}: {error['why']}", "errors": [error], "exit_code": 1}
    return {**told, "changed": bool(done.get("changed"))}
