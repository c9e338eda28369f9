"""A run told as lines of JSON, without secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[4]
SECRET = "planted-secret-of-the-callback"
PLAYBOOK = f"""
- name: Show what there is
  hosts: all
  gather_facts: false
  tasks:
    - name: Say a token
      ansible.builtin.debug:
        msg: "{{{{ lookup('ansible.builtin.env', 'SHOP_TOKEN') }}}} and so on"
    - name: Hide a whole result
      ansible.builtin.set_fact:
        other: {SECRET}-too
      no_log: true
    - name: Change something
      ansible.builtin.add_host:
        name: another
    - name: Leave out
      ansible.builtin.debug:
      when: false
    - name: Fail in a loop
      ansible.builtin.fail:
        msg: "no {{{{ item }}}}"
      loop: [bread, milk]
"""


def events(tmp_path: Path, **settings: str) -> list[dict[str, Any]]:
    book = tmp_path / "play.yml"
    book.write_text(PLAYBOOK, encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_STDOUT_CALLBACK": "smartercl.smarteros.json_lines",
        "SHOP_TOKEN": SECRET,
        **settings,
    }
    words = [sys.executable, "-m", "ansible", "playbook", "-i", "one,", "-c", "local", str(book)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert SECRET not in done.stdout
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_line_is_an_event_and_no_secret_is_told(tmp_path: Path) -> None:
    found = events(tmp_path)
    assert [each["event"] for each in found] == ["play", "ok", "ok", "changed", "failed", "failed", "failed", "stats"]
    assert found[1]["msg"] == "*** and so on"
    assert (found[1]["host"], found[1]["task"], found[1]["play"]) == ("one", "Say a token", "Show what there is")
    assert "hidden" in found[2]["msg"]
    assert [each["msg"] for each in found[4:6]] == ["no bread", "no milk"]
    assert found[4]["item"] is True
    assert found[-1]["ok"] is False
    assert found[-1]["hosts"]["one"]["failures"] == 1
    assert all(each["at"].endswith("Z") for each in found)


def test_begun_and_skipped_tasks_are_told_on_demand(tmp_path: Path) -> None:
    found = events(tmp_path, SMOS_JSON_LINES_TASKS="true", SMOS_JSON_LINES_SKIPPED="true")
    assert [each["name"] for each in found if each["event"] == "task"][3:] == ["Leave out", "Fail in a loop"]
    assert [each["task"] for each in found if each["event"] == "skipped"] == ["Leave out"]
