# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One line of JSON per event, for those who see nothing of a run but its output."""

from __future__ import annotations

DOCUMENTATION = r"""
name: json_lines
type: stdout
short_description: One line of JSON per event of a run
description:
  - For schedulers, log collectors and scripts that see only the output of a run. Each line is one JSON object with C(event) and C(at), the
    moment in UTC; nothing else is written to the standard output.
  - C(play) has C(name). C(task) has C(name), C(action) and C(play).
  - C(ok), C(changed), C(failed), C(unreachable) and C(skipped) have C(host), C(task), C(action), C(play), and where the result has them
    C(msg), C(changes), C(errors), C(exit_code) and C(ignored). C(item) is there for one turn of a loop.
  - C(stats) is the last line, with the counts of each host, C(seconds) and C(ok), whether nothing failed.
  - Results of tasks with C(no_log) are not shown. Values of environment variables and of keys whose names say that they are secret are cut
    out of everything.
version_added: 0.1.0
author:
  - SmarterCL (@SmarterCL)
options:
  show_tasks:
    description: Whether there is a line when a task begins.
    type: bool
    default: false
    env:
      - name: SMOS_JSON_LINES_TASKS
    ini:
      - section: callback_json_lines
        key: show_tasks
  show_skipped:
    description: Whether there is a line for a task that was skipped.
    type: bool
    default: false
    env:
      - name: SMOS_JSON_LINES_SKIPPED
    ini:
      - section: callback_json_lines
        key: show_skipped
requirements:
  - Set as stdout callback, with C(ANSIBLE_STDOUT_CALLBACK=smartercl.smarteros.json_lines)
"""

import json
import os
import time
import typing as t
from datetime import UTC, datetime

from ansible.plugins.callback import CallbackBase

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.redact import Redactor
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

TOLD = ("msg", "changes", "errors", "exit_code")
COUNTS = ("ok", "changed", "failures", "unreachable", "skipped", "rescued", "ignored")


class CallbackModule(CallbackBase):
    """Writes through Ansible's display, which knows about logs and terminals."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "smartercl.smarteros.json_lines"

    def __init__(self) -> None:
        super().__init__()
        self._redactor = Redactor(os.environ)
        self._begun = time.monotonic()
        self._play = ""

    def v2_playbook_on_play_start(self, play: t.Any) -> None:
        """A play begins."""
        self._play = str(play.get_name())
        self._line("play", name=self._play)

    def v2_playbook_on_task_start(self, task: t.Any, is_conditional: bool) -> None:
        """A task begins."""
        del is_conditional
        if self.get_option("show_tasks"):
            self._line("task", name=task.get_name(), action=str(task.action), play=self._play)

    def v2_playbook_on_handler_task_start(self, task: t.Any) -> None:
        """A handler begins."""
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """A task succeeded on a host."""
        self._told("changed" if result.result.get("changed") else "ok", result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """A task failed on a host."""
        self._told("failed", result, **({"ignored": True} if ignore_errors else {}))

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """A host could not be reached."""
        self._told("unreachable", result)

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        """A task was skipped on a host."""
        if self.get_option("show_skipped"):
            self._told("skipped", result)

    def v2_runner_item_on_failed(self, result: t.Any) -> None:
        """One turn of a loop failed; the task fails after its last one."""
        self._told("failed", result, item=True)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        """The run has ended."""
        hosts = {host: _counts(stats.summarize(host)) for host in sorted(stats.processed)}
        good = not any(row["failures"] or row["unreachable"] for row in hosts.values())
        self._line("stats", ok=good, seconds=round(time.monotonic() - self._begun, 3), hosts=hosts)

    def _told(self, event: str, result: t.Any, **more: t.Any) -> None:
        found = {key: result.result[key] for key in TOLD if result.result.get(key) not in (None, "", [])}
        if result.result.get("_ansible_no_log"):
            found = {"msg": "hidden: the task says no_log"}
        task = result.task
        self._line(
            event,
            host=str(result.host.get_name()),
            task=task.get_name(),
            action=str(task.action),
            play=self._play,
            **found,
            **more,
        )

    def _line(self, event: str, **more: t.Any) -> None:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        data = self._redactor.data(plain({"event": event, "at": at, **more}))
        self._display.display(json.dumps(data, ensure_ascii=False), screen_only=False)


def _counts(summary: t.Mapping[str, int]) -> dict[str, int]:
    return {name: int(summary.get(name, 0)) for name in COUNTS}
