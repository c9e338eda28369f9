"""Groups of settings: nothing counts before it was applied, nothing broken stays."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import host_files, host_settings
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_files import FILE, NOTHING, Wish
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import ABSENT, HostError, Ran
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_settings import Group, Stamp, Todo
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_units import State, Unit
from unit.plugins.module_utils.test_host_files import ME, MINE

RUNS = State("loaded", "active", "enabled")


class Machine:
    """Runs nothing: gives what was prepared for a program, and remembers."""

    def __init__(self, **answers: Ran) -> None:
        self.answers = answers
        self.ran: list[str] = []

    def __call__(self, argv: t.Sequence[str]) -> Ran:
        self.ran.append(" ".join(argv))
        return self.answers.get(argv[0], Ran(0))


@dataclasses.dataclass
class Place:
    """A group with one file, on a machine that is a folder."""

    folder: Path
    group: Group

    @property
    def stamps(self) -> str:
        return str(self.folder / "applied")

    def todo(self, machine: Machine, **change: t.Any) -> Todo:
        group = dataclasses.replace(self.group, **change)
        seen = {wish.path: host_files.look(wish.path) for wish in group.wishes}
        stamp = host_settings.read_stamp(group.name, self.stamps)
        states = {unit.name: RUNS for unit in group.units}
        return host_settings.plan(group, seen, states, stamp, host_settings.looked_at(machine, group))

    def text(self) -> str:
        return Path(self.group.wishes[0].path).read_text()


def wish(path: Path, content: str) -> Wish:
    return Wish(str(path), FILE, content, 0o644, ME, MINE, "judge --file %s")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, Group("time", (wish(tmp_path / "etc" / "time.conf", "new\n"),), (("reload", "time"),)))


def old(place: Place, text: str = "old\n") -> None:
    path = Path(place.group.wishes[0].path)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o644)


def test_a_group_is_written_applied_and_then_left_alone(place: Place) -> None:
    machine = Machine()
    todo = place.todo(machine)
    assert [(row["action"], row["what"]) for row in todo.rows()] == [("create", place.group.wishes[0].path)]
    host_settings.carry_out(machine, todo, place.stamps)
    assert (place.text(), machine.ran) == ("new\n", ["reload time"])
    assert not place.todo(machine).changed


def test_rows_are_in_the_words_of_the_command_line(place: Place) -> None:
    (row,) = place.todo(Machine()).rows()
    assert set(row) == {"service", "tenant", "action", "what", "before", "after"}
    assert (row["service"], row["tenant"], row["before"]) == ("host", None, None)
    (diff,) = place.todo(Machine()).diff()
    assert diff["before"] == ""
    assert diff["after"].endswith("new\n")


def test_a_run_that_died_between_writing_and_applying_is_mended(place: Place) -> None:
    host_settings.put(place.todo(Machine()))  # and dead
    machine = Machine()
    todo = place.todo(machine)
    assert (todo.files, todo.again) == ((), "never")
    assert todo.rows()[0]["what"] == "settings time"
    host_settings.carry_out(machine, todo, place.stamps)
    assert machine.ran == ["reload time"]
    assert not place.todo(machine).changed


def test_a_run_that_died_while_it_put_back_another_content_is_mended(place: Place) -> None:
    host_settings.carry_out(Machine(), place.todo(Machine()), place.stamps)
    later = dataclasses.replace(place.group, wishes=(wish(Path(place.group.wishes[0].path), "newer\n"),))
    todo = Place(place.folder, later).todo(Machine())
    host_settings.forget_stamp(later, place.stamps)  # the first thing that carry_out does
    host_settings.put(todo)  # and dead
    assert place.todo(Machine()).changed  # back to the first wish: written and applied, also


def test_where_applying_fails_the_old_file_counts_again_and_the_next_run_tries_anew(place: Place) -> None:
    old(place)
    machine = Machine(reload=Ran(1, "", "no such time"))
    with pytest.raises(HostError, match="no such time") as failed:
        host_settings.carry_out(machine, place.todo(machine), place.stamps)
    assert place.text() == "old\n"
    assert "old files were put back" in str(failed.value)
    assert machine.ran == ["reload time", "reload time"]  # the second one is for the old file
    assert place.todo(Machine()).changed


def test_a_file_that_was_not_there_is_gone_again_when_applying_fails(place: Place) -> None:
    machine = Machine(reload=Ran(1, "", "no"))
    with pytest.raises(HostError):
        host_settings.carry_out(machine, place.todo(machine, undo=(("forget", "it"),)), place.stamps)
    assert not Path(place.group.wishes[0].path).exists()
    assert machine.ran == ["reload time", "forget it"]


def test_a_service_that_does_not_start_counts_as_failing(place: Place) -> None:
    old(place)
    group = dataclasses.replace(place.group, units=(Unit("time.service"),))
    seen = {wish.path: host_files.look(wish.path) for wish in group.wishes}
    stopped = {"time.service": State("loaded", "failed", "enabled")}
    todo = host_settings.plan(group, seen, stopped, Stamp(), "")
    machine = Machine(systemctl=Ran(1, "", "Job failed"), journalctl=Ran(0, "bad line 3\n"))
    with pytest.raises(HostError, match="bad line 3"):
        host_settings.carry_out(machine, todo, place.stamps)
    assert place.text() == "old\n"


def test_every_file_is_judged_before_any_is_in_place(place: Place) -> None:
    old(place)
    judge = Machine(judge=Ran(1, "", "line 1: new is no word"))
    with pytest.raises(HostError, match="new is no word") as refused:
        host_settings.judge(judge, place.todo(judge), check_mode=False)
    assert refused.value.exit_code == 2
    assert place.text() == "old\n"
    assert "time.conf" in judge.ran[0]
    assert place.group.wishes[0].path not in judge.ran[0]  # a candidate, not the file


def test_a_judge_that_is_to_be_installed_is_missed_in_check_mode_only(place: Place) -> None:
    nobody = Machine(judge=Ran(ABSENT, "", "judge is not installed"))
    (notice,) = host_settings.judge(nobody, place.todo(nobody), check_mode=True)
    assert "could not be judged" in notice
    with pytest.raises(HostError, match="not installed"):
        host_settings.judge(nobody, place.todo(nobody), check_mode=False)


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    away = Wish(str(tmp_path / "localtime"), host_files.LINK, "/usr/share/zoneinfo/America/Atlantis")
    with pytest.raises(HostError, match="Atlantis"):
        host_settings.judge(Machine(), Todo(Group("zone"), ((away, NOTHING),)), check_mode=False)


def test_what_somebody_changed_behind_our_back_is_applied_again(place: Place) -> None:
    loaded = Machine(rules=Ran(0, "table ours"))
    host_settings.carry_out(loaded, place.todo(loaded, look=("rules",)), place.stamps)
    look = dataclasses.replace(place.group, look=("rules",))
    host_settings.write_stamp(loaded, look, place.stamps)
    assert not place.todo(loaded, look=("rules",)).changed
    flushed = Machine(rules=Ran(1, "", "No such table"))
    assert "by hand" in place.todo(flushed, look=("rules",)).again


def test_other_commands_make_it_another_content(place: Place) -> None:
    host_settings.carry_out(Machine(), place.todo(Machine()), place.stamps)
    assert place.todo(Machine(), apply=(("restart", "time"),)).again == "with other settings"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', '{"digest": 3}'])
def test_a_broken_stamp_is_no_stamp(tmp_path: Path, text: str) -> None:
    (tmp_path / "time").write_text(text)
    assert host_settings.read_stamp("time", str(tmp_path)).digest in ("", "3")


def test_units_are_read_again_before_they_are_used(tmp_path: Path) -> None:
    unit = Wish("/etc/systemd/system/x.service", FILE, "[Unit]\n", 0o644, ME, MINE)
    machine = Machine()
    host_settings.make_it_count(machine, Todo(Group("x", (unit,), (("use", "x"),)), ((unit, NOTHING),)))
    assert machine.ran == ["systemctl daemon-reload", "use x"]


def test_in_a_container_what_is_for_machines_is_written_and_masked() -> None:
    group = Group("time", (), (("reload", "time"),), units=(Unit("chrony.service"),), host_only=True)
    here, told = host_settings.for_this_machine(group, "docker")
    assert (here.apply, here.stamped) == ((), False)
    assert [unit.masked for unit in here.units] == [True]
    assert "container" in told
    assert host_settings.for_this_machine(group, "") == (group, "")
    assert host_settings.for_this_machine(Group("x"), "docker") == (Group("x"), "")
