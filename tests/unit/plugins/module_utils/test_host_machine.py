"""Units, kernel, swap, packages and the system of a machine: what is decided from what is seen."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import (
    host_kernel,
    host_machine,
    host_swap,
    host_units,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import HostError, Ran
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_units import State, Unit

SUPPORTED = {"ubuntu": ["24.04"], "debian": ["12", "13"]}
SHOWN = """\
LoadState=loaded
ActiveState=active
UnitFileState=enabled

LoadState=not-found
ActiveState=inactive
UnitFileState=
"""


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ('ID=ubuntu\nVERSION_ID="24.04"\n', True),
        ('ID=debian\nVERSION_ID="12"\n', True),
        ("ID=debian\nVERSION_ID='13'\n", True),
        ('ID=ubuntu\nVERSION_ID="22.04"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\n', False),
        ("ID=alpine\nVERSION_ID=3.20\n", False),
        ("", False),
    ],
)
def test_only_systems_that_were_tried_are_accepted(text: str, fits: bool) -> None:
    found = host_machine.parsed_system(text)
    if fits:
        return host_machine.mind_the_system(found, SUPPORTED)
    with pytest.raises(HostError, match=r"supported are ubuntu 24\.04, debian 12, debian 13") as refused:
        host_machine.mind_the_system(found, SUPPORTED)
    assert refused.value.exit_code == 3
    return None


def test_packages_that_are_half_installed_are_missing() -> None:
    told = "curl\tinstalled\nsudo\tconfig-files\nchrony\tnot-installed\n"
    assert host_machine.not_installed(["sudo", "curl", "chrony", "nftables"], told) == ["sudo", "chrony", "nftables"]


def test_the_caller_is_found_behind_those_who_hide_it(tmp_path: Path) -> None:
    line = {30: (20, b"A=1\0"), 20: (10, b"SUDO_USER=ana\0"), 10: (1, b"SSH_CLIENT=203.0.113.7 5000 22\0")}
    for pid, (parent, environ) in line.items():
        folder = tmp_path / str(pid)
        folder.mkdir()
        (folder / "environ").write_bytes(environ)
        (folder / "stat").write_text(f"{pid} (a (b) c) S {parent} 1 1")
    assert host_machine.caller(30, str(tmp_path)) == "203.0.113.7"
    assert host_machine.caller(99, str(tmp_path)) == ""
    assert isinstance(host_machine.caller(), str)


def test_a_command_that_is_not_there_is_told_apart() -> None:
    assert host_machine.run(["no-such-program-here"]).code == host_machine.ABSENT
    assert host_machine.run(["sh", "-c", "echo a; echo b >&2; exit 3"]) == Ran(3, "a\n", "b\n")


def test_units_are_told_in_the_order_that_they_were_asked_in() -> None:
    states = host_units.parsed(["a.service", "b.service"], SHOWN)
    assert states == {
        "a.service": State("loaded", "active", "enabled"),
        "b.service": State("not-found", "inactive", ""),
    }


@pytest.mark.parametrize(
    ("wish", "state", "steps"),
    [
        (Unit("x"), State("loaded", "active", "enabled"), []),
        (Unit("x"), State("loaded", "active", "static"), []),
        (Unit("x"), State("loaded", "failed", "disabled"), ["enable", "start"]),
        (Unit("x"), State("not-found", "inactive", ""), ["enable", "start"]),
        (Unit("x"), State("masked", "inactive", "masked"), ["unmask", "enable", "start"]),
        (Unit("x", False, False), State("loaded", "active", "enabled"), ["disable", "stop"]),
        (Unit("x", False, False), State("not-found", "inactive", ""), []),
        (Unit("x", None, None), State("loaded", "inactive", "disabled"), []),
        (Unit("x", None, None, True), State("loaded", "active", "enabled"), ["mask"]),
        (Unit("x", None, None, True), State("masked", "inactive", "masked"), []),
    ],
)
def test_a_unit_is_told_only_what_it_lacks(wish: Unit, state: State, steps: list[str]) -> None:
    assert host_units.steps(wish, state) == steps
    if steps:
        assert host_units.after(wish, state) != state


def test_without_systemd_it_is_said() -> None:
    with pytest.raises(HostError, match="not been booted"):
        host_units.look(lambda _argv: Ran(1, "", "System has not been booted with systemd"), ["a.service"])
    assert host_units.look(lambda _argv: Ran(1), []) == {}


KERNEL = {"vm.swappiness": "10", "net.core.somaxconn": "4096", "kernel.none": "1", "net.ipv4.same": "1"}
NOW = {"vm.swappiness": "60", "net.core.somaxconn": "128", "net.ipv4.same": "1"}


def test_a_machine_sets_what_differs() -> None:
    todo = host_kernel.plan(KERNEL, NOW, "")
    assert todo.set == {"vm.swappiness": ("60", "10"), "net.core.somaxconn": ("128", "4096")}
    assert list(todo.left) == ["kernel.none"]


def test_a_container_sets_its_own_network_alone_and_says_so() -> None:
    todo = host_kernel.plan(KERNEL, NOW, "docker")
    assert list(todo.set) == ["net.core.somaxconn"]
    assert any("vm.swappiness" in notice and "docker" in notice for notice in host_kernel.notices(todo))


def test_what_the_kernel_refuses_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "net" / "core").mkdir(parents=True)
    (tmp_path / "net" / "core" / "somaxconn").write_text("128\n")
    (tmp_path / "vm" / "swappiness").mkdir(parents=True)  # cannot be written
    assert host_kernel.look(KERNEL, str(tmp_path)) == {"net.core.somaxconn": "128"}
    todo = host_kernel.plan(KERNEL, NOW, "")
    host_kernel.carry_out(todo, str(tmp_path))
    assert list(todo.set) == ["net.core.somaxconn"]
    assert (tmp_path / "net" / "core" / "somaxconn").read_text() == "4096"
    assert "refused" in todo.left["vm.swappiness"]


def swap(**change: int | bool) -> host_swap.State:
    values = {"file_mb": 0, "active": False, "other_mb": 0, "free_mb": 50_000, "in_fstab": False, **change}
    return host_swap.State(**values)  # type: ignore[arg-type] # numbers and flags by name


@pytest.mark.parametrize(
    ("state", "todo"),
    [
        (swap(), ["make", "use", "keep at boot"]),
        (swap(file_mb=4096, active=True, in_fstab=True), []),
        (swap(file_mb=4096, in_fstab=True), ["use"]),
        (swap(file_mb=2048, active=True, in_fstab=True), ["make", "use"]),
        (swap(other_mb=4096), []),
        (swap(other_mb=1024), ["make", "use", "keep at boot"]),
    ],
)
def test_swap_is_made_where_it_is_lacking(state: host_swap.State, todo: list[str]) -> None:
    assert host_swap.plan("/swap", 4096, state, "") == (todo, "")
    assert host_swap.plan("/swap", 0, state, "") == ([], "")
    nothing, told = host_swap.plan("/swap", 4096, state, "lxc")
    assert (nothing, "lxc" in told) == ([], True)


def test_swap_does_not_fill_the_disk() -> None:
    with pytest.raises(HostError, match="4096 MB would not leave"):
        host_swap.plan("/swap", 4096, swap(free_mb=5000), "")


def test_the_swap_file_is_made_whole_before_it_has_its_name(tmp_path: Path) -> None:
    path, fstab = tmp_path / "swap", tmp_path / "fstab"
    ran: list[str] = []
    fstab.write_text("UUID=1 / ext4 defaults 0 1")

    def run(argv: t.Sequence[str]) -> Ran:
        ran.append(argv[0])
        if argv[0] == "install":
            Path(argv[-1]).write_text("")
        return Ran(1, "", "no space") if argv[0] == "fallocate" and len(ran) < 5 else Ran(0)

    with pytest.raises(HostError, match="no space"):
        host_swap.carry_out(run, str(path), 64, ["make", "use", "keep at boot"], swap(), str(fstab))
    assert not path.exists()
    host_swap.carry_out(run, str(path), 64, ["make", "use", "keep at boot"], swap(), str(fstab))
    assert path.exists()
    assert fstab.read_text() == f"UUID=1 / ext4 defaults 0 1\n{path} none swap sw 0 0\n"
    swaps = tmp_path / "swaps"
    swaps.write_text(f"Filename Type Size Used Priority\n{path} file 65532 0 -2\n/dev/sdb partition 2097148 0 -3\n")
    state = host_swap.look(str(path), str(swaps), str(fstab))
    assert (state.active, state.in_fstab, state.other_mb) == (True, True, 2047)
