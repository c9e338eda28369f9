"""What the controller does around the module: packages first, and a login of its own before a change stays."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.smartercl.smarteros.plugins.action import host_settings as action

Row = dict[str, t.Any]


class Connection:
    """A connection as the ssh plugin is one: options, and a command over a new ssh."""

    transport = "ssh"

    def __init__(self, outcome: list[Exception | int]) -> None:
        self._options: Row = {
            "ssh_args": "-o ControlMaster=auto -o ControlPersist=60s",
            "remote_user": "root",
            "host": "vps1",
        }
        self.outcome, self.commands = outcome, []  # type: ignore[var-annotated] # texts

    def get_option(self, name: str) -> t.Any:
        return self._options.get(name)

    def set_option(self, name: str, value: t.Any) -> None:
        self._options[name] = value

    def exec_command(self, command: str, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        self.commands.append((command, self._options["ssh_args"]))
        outcome = self.outcome.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome, b"", b"sorry"


class Task:
    check_mode, become, become_method = False, True, "sudo"

    def __init__(self, args: Row) -> None:
        self.args = args


class PlayContext:
    remote_user, become_pass = "root", None


class Controller(action.ActionModule):
    """The action without Ansible around it: modules answer what was prepared."""

    def __init__(self, answers: list[Row], outcome: list[Exception | int], **args: t.Any) -> None:
        self._task, self._connection, self._play_context = Task(args), Connection(outcome), PlayContext()
        self.answers, self.calls = answers, []  # type: ignore[var-annotated] # name and arguments

    def _execute_module(self, module_name: str, module_args: Row, **_more: t.Any) -> Row:
        self.calls.append((module_name.rpartition(".")[2], module_args))
        return dict(self.answers.pop(0))

    def work(self) -> Row:
        return self.run(task_vars={})


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action.ActionBase, "run", lambda *_args, **_more: {})
    monkeypatch.setattr(action, "SETTLE_S", 0)


SAME: Row = {"changed": False, "changes": [], "missing": [], "armed": False}
ARMED: Row = {**SAME, "changed": True, "changes": [{"what": "ssh"}], "armed": True}
DENIED = AnsibleConnectionFailure("root@vps1: Permission denied (publickey).")


def test_nothing_to_do_is_one_call() -> None:
    here = Controller([SAME], [])
    assert here.work() == SAME
    assert [name for name, _args in here.calls] == ["host_settings"]


def test_missing_packages_are_installed_in_between() -> None:
    here = Controller(
        [{**SAME, "missing": ["chrony"]}, {"changed": True}, ARMED | {"armed": False}], [], apt={"lock_timeout": 5}
    )
    done = here.work()
    assert [name for name, _args in here.calls] == ["host_settings", "apt", "host_settings"]
    assert (here.calls[1][1]["name"], here.calls[1][1]["lock_timeout"]) == (["chrony"], 5)
    assert [row["what"] for row in done["changes"]] == ["package chrony", "ssh"]


def test_check_mode_tells_of_packages_and_installs_none() -> None:
    here = Controller([{**SAME, "missing": ["chrony"]}], [])
    here._task.check_mode = True
    done = here.work()
    assert (done["changed"], len(here.calls)) == (True, 1)


def test_packages_that_cannot_be_had_end_it() -> None:
    here = Controller([{**SAME, "missing": ["chrony"]}, {"failed": True, "msg": "no mirror"}], [])
    done = here.work()
    assert (done["failed"], done["exit_code"], len(here.calls)) == (True, 1, 2)
    assert "no mirror" in done["msg"]


def test_a_login_of_its_own_lets_a_change_stay() -> None:
    here = Controller([ARMED, {"changed": False}], [0])
    done = here.work()
    assert (done["changed"], done["armed"], done.get("failed")) == (True, False, None)
    assert here.calls[-1][1]["step"] == "confirm"
    ((command, options),) = here._connection.commands
    assert command == "true"
    assert options.startswith("-o ControlMaster=no -o ControlPath=none")
    assert here._connection.get_option("ssh_args") == "-o ControlMaster=auto -o ControlPersist=60s"


def test_whoever_becomes_root_must_still_be_able_to() -> None:
    here = Controller([ARMED, {}], [0])
    here._connection.set_option("remote_user", "ana")
    here.work()
    assert here._connection.commands[0][0] == "sudo -n true"


def test_a_refused_login_is_undone_at_once_and_not_tried_again() -> None:
    here = Controller([ARMED, {"changed": True}], [DENIED])
    done = here.work()
    assert (done["failed"], done["exit_code"], done["armed"]) == (True, 1, False)
    assert here.calls[-1][1]["step"] == "undo"
    assert "The old settings were put back" in done["msg"]
    assert len(here._connection.commands) == 1


def test_a_machine_that_is_slow_is_asked_again() -> None:
    here = Controller([ARMED, {}], [AnsibleConnectionFailure("refused"), 255, 0])
    assert not here.work().get("failed")
    assert here.calls[-1][1]["step"] == "confirm"


def test_when_even_the_open_connection_is_dead_the_operator_is_told_to_wait() -> None:
    here = Controller([ARMED], [AnsibleConnectionFailure("timed out")] * 3, undo_after=40)
    here._execute_module = lambda **call: _dead(call, here)  # type: ignore[method-assign] # the machine stands in
    done = here.work()
    assert "The machine puts the old settings back within 40 s" in done["msg"]
    assert done["armed"] is True


def _dead(call: Row, here: Controller) -> Row:
    if call["module_args"].get("step") == "undo":
        raise AnsibleConnectionFailure("broken pipe")
    return dict(here.answers.pop(0))


def test_a_confirmation_that_came_too_late_is_a_failure() -> None:
    late = {"failed": True, "msg": "the machine put the old settings back by itself", "exit_code": 1}
    done = Controller([ARMED, late], [0]).work()
    assert (done["failed"], done["exit_code"], done["armed"]) == (True, 1, False)
    assert "by itself" in done["msg"]


def test_without_ssh_there_is_no_login_to_lose() -> None:
    here = Controller([SAME], [])
    here._connection.transport = "local"
    here.work()
    assert here.calls[0][1]["user"] == ""
