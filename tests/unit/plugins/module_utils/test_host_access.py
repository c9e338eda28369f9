"""Who comes in: keys, what sshd would do, and the way back that needs nobody."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import host_files, host_sshd, host_undo, host_users
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_files import FILE, NOTHING, Seen, Wish
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_machine import ABSENT, HostError, Ran
from ansible_collections.smartercl.smarteros.plugins.module_utils.host_users import Account, Person
from unit.plugins.module_utils.test_host_files import names

BODY = "AAAAC3NzaC1lZDI1NTE5AAAAIJeMzC86MGXSEP25CkZH74gtFILyY6oAoYjnspkR2L"
ANA, LUIS = f"ssh-ed25519 {BODY}Dw", f"ssh-ed25519 {BODY}Ex"
THERE = Account(True, "/srv/ana", "ana", frozenset({"ana"}), "/bin/sh")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        (f"{ANA} ana@laptop\n", [ANA]),
        (f'from="203.0.113.0/24",no-pty {ANA}\n', [ANA]),
        (f"# {ANA}\n\n{LUIS}\n", [LUIS]),
        (f"no-pty,{LUIS} x", [LUIS]),
        ("ssh-ed25519 AAAA\n", []),
        ("", []),
    ],
)
def test_keys_are_found_among_options_and_comments(text: str, keys: list[str]) -> None:
    assert host_users.keys_in(text) == keys


def test_a_key_is_added_once_and_all_else_stays() -> None:
    before = f"# by hand\n{LUIS} luis\n\n\n"
    after = host_users.merged(before, Person("ana", keys=(f"{ANA} ana", f"{ANA} the same")))
    assert after == f"# by hand\n{LUIS} luis\n\n\n{ANA} ana\n"
    assert host_users.merged(after, Person("ana", keys=(ANA, LUIS))) == after


def test_a_removed_key_is_gone_and_is_not_added_again() -> None:
    text = f"{ANA} old laptop\n{LUIS}\n"
    assert host_users.merged(text, Person("ana", keys=(ANA,), removed=(ANA,))) == f"{LUIS}\n"


@pytest.mark.parametrize("key", ["", "ssh-ed25519", "AAAAC3", "-----BEGIN OPENSSH KEY-----", "~/.ssh/id.pub"])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(HostError, match="keys of ana") as refused:
        host_users.mind_the_keys(Person("ana", keys=(key,)))
    assert refused.value.exit_code == 2


def test_an_account_gets_only_what_it_lacks() -> None:
    wish = Person("ana", ("sudo",), "/bin/bash")
    assert host_users.commands(wish, Account(False, "/srv/ana", "ana"))[0][0] == "useradd"
    assert host_users.commands(wish, THERE) == [
        ["usermod", "--shell", "/bin/bash", "ana"],
        ["usermod", "--append", "--groups", "sudo", "ana"],
    ]
    done = Account(True, "/srv/ana", "ana", frozenset({"sudo", "extra"}), "/bin/bash")
    assert host_users.commands(wish, done) == []


def test_keys_are_their_owners_files() -> None:
    folder, file = host_users.wishes(Person("ana", keys=(ANA,)), THERE, NOTHING)
    assert (folder.mode, file.mode, file.owner, file.path) == (0o700, 0o600, "ana", "/srv/ana/.ssh/authorized_keys")
    assert host_users.wishes(Person("ana"), THERE, NOTHING) == []


def sshd(answer: Ran, asked: list[str] | None = None) -> t.Callable[[t.Sequence[str]], Ran]:
    def run(argv: t.Sequence[str]) -> Ran:
        main = Path(argv[argv.index("-f") + 1])
        told = main.read_text() + "".join(
            each.read_text() for each in sorted(main.with_name("sshd_config.d").iterdir())
        )
        if asked is not None:
            asked.append(told)
        return answer

    return run


@pytest.fixture
def etc(tmp_path: Path) -> str:
    (tmp_path / "sshd_config.d").mkdir()
    (tmp_path / "sshd_config").write_text("Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n")
    (tmp_path / "sshd_config.d" / "50-cloud-init.conf").write_text("PasswordAuthentication yes\n")
    return str(tmp_path / "sshd_config")


def test_sshd_is_asked_about_what_is_not_in_place_yet(etc: str) -> None:
    asked: list[str] = []
    wishes = [Wish(f"{etc}.d/00-ours.conf", FILE, "Ours yes\n"), Wish(f"{etc}.d/50-cloud-init.conf", host_files.ABSENT)]
    found = host_sshd.effective(sshd(Ran(0, "port 22\nacceptenv A\nacceptenv B\n"), asked), wishes, "root", etc)
    assert found == {"port": ["22"], "acceptenv": ["A", "B"]}
    assert "Ours yes" in asked[0]
    assert "PasswordAuthentication" not in asked[0]
    assert "Include /etc/ssh" not in asked[0]
    assert names(Path(f"{etc}.d")) == ["50-cloud-init.conf"]


def test_what_sshd_does_not_understand_is_refused_by_the_names_that_people_know(etc: str) -> None:
    with pytest.raises(HostError, match="Bad option") as refused:
        host_sshd.effective(sshd(Ran(255, "", "/etc/ssh/x line 1: Bad option")), [], "root", etc)
    assert refused.value.exit_code == 2
    assert host_sshd.effective(sshd(Ran(ABSENT)), [], "root", etc) is None


def test_another_file_that_has_the_first_say_is_told() -> None:
    found = {"passwordauthentication": ["yes"], "permitrootlogin": ["without-password"], "port": ["22"]}
    wish = {"passwordauthentication": "no", "permitrootlogin": "prohibit-password", "port": "22"}
    assert host_sshd.differing(wish, found) == {"passwordauthentication": ("no", "yes")}
    with pytest.raises(HostError, match="passwordauthentication would be yes, not no"):
        host_sshd.mind_the_expected(wish, found)


KEYS_ONLY = {"passwordauthentication": ["no"], "permitrootlogin": ["prohibit-password"]}


def way_in(text: str | None, tmp_path: Path, **more: list[str]) -> None:
    path = tmp_path / "keys"
    found = {**KEYS_ONLY, "authorizedkeysfile": [str(path)], **more}
    host_sshd.mind_the_way_in("root", found, [] if text is None else [Wish(str(path), FILE, text)])


def test_who_has_no_key_is_not_left_outside(tmp_path: Path) -> None:
    for text in (None, "", "# none\n"):
        with pytest.raises(HostError, match="root has no key") as refused:
            way_in(text, tmp_path)
        assert refused.value.exit_code == 4
    way_in(f"{ANA}\n", tmp_path)  # a key that is about to be written counts
    (tmp_path / "keys").write_text(f"{ANA}\n")
    way_in(None, tmp_path)
    with pytest.raises(HostError):
        way_in("", tmp_path)  # and one that is about to go does not


def test_root_does_not_shut_itself_out(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="root could not log in"):
        way_in(f"{ANA}\n", tmp_path, permitrootlogin=["no"])


def test_keys_from_elsewhere_and_passwords_are_ways_in(tmp_path: Path) -> None:
    way_in(None, tmp_path, authorizedkeyscommand=["/usr/bin/keys"])
    way_in(None, tmp_path, passwordauthentication=["yes"])


class Rescue:
    """A machine that is a folder, with two files that a change touches."""

    def __init__(self, tmp_path: Path) -> None:
        self.changed, self.made = tmp_path / "it's changed", tmp_path / "made"
        self.folder, self.units = str(tmp_path / "undo"), str(tmp_path / "units")
        (tmp_path / "units").mkdir()
        self.changed.write_text("old\n")
        self.changed.chmod(0o640)
        self.stamp = tmp_path / "stamp"
        self.saved: dict[str, Seen] = {str(each): host_files.look(str(each)) for each in (self.changed, self.made)}
        self.ran: list[str] = []

    def run(self, argv: t.Sequence[str]) -> Ran:
        self.ran.append(" ".join(argv))
        if argv[0] == "/bin/sh":
            done = subprocess.run(argv, capture_output=True, text=True)
            return Ran(done.returncode, done.stdout, done.stderr)
        return Ran(0)

    def change(self) -> None:
        commands = [("sh", "-c", f"echo applied >> '{self.stamp}.again'"), ("false",)]
        text = host_undo.script(self.saved, [str(self.stamp)], commands, self.folder)
        host_undo.arm(self.run, self.saved, text, 90, self.folder, self.units)
        self.changed.write_text("new\n")
        self.changed.chmod(0o600)
        self.made.write_text("new\n")
        self.stamp.write_text("applied")


@pytest.fixture
def rescue(tmp_path: Path) -> Rescue:
    return Rescue(tmp_path)


def test_the_clock_runs_before_anything_is_changed(rescue: Rescue) -> None:
    rescue.change()
    assert rescue.ran == [
        "systemctl daemon-reload",
        "systemctl enable --quiet smarteros-undo.timer",
        "systemctl restart smarteros-undo.timer",
    ]
    assert "OnActiveSec=90" in Path(rescue.units, "smarteros-undo.timer").read_text()
    assert host_undo.pending(rescue.folder)


def test_everything_is_put_back_also_where_a_step_fails(rescue: Rescue) -> None:
    rescue.change()
    host_undo.undo(rescue.run, rescue.folder)
    assert (rescue.changed.read_text(), rescue.changed.stat().st_mode & 0o777) == ("old\n", 0o640)
    assert not rescue.made.exists()
    assert not rescue.stamp.exists()
    assert Path(f"{rescue.stamp}.again").read_text() == "applied\n"
    assert not host_undo.pending(rescue.folder)
    host_undo.undo(rescue.run, rescue.folder)  # nothing is left to do


def test_a_confirmed_change_stays(rescue: Rescue) -> None:
    rescue.change()
    assert host_undo.disarm(rescue.folder)
    host_undo.undo(rescue.run, rescue.folder)
    assert rescue.changed.read_text() == "new\n"


def test_a_confirmation_that_comes_too_late_is_none(rescue: Rescue) -> None:
    rescue.change()
    Path(rescue.folder).rename(f"{rescue.folder}.running")  # as the service does first
    assert not host_undo.disarm(rescue.folder)
    assert host_undo.pending(rescue.folder)  # and a machine that was switched off during it goes on with it
    host_undo.undo(rescue.run, rescue.folder)
    assert rescue.changed.read_text() == "old\n"


def test_without_a_clock_nothing_is_changed(rescue: Rescue) -> None:
    def run(argv: t.Sequence[str]) -> Ran:
        return Ran(1, "", "no bus") if "restart" in argv else Ran(0)

    with pytest.raises(HostError, match="no bus"):
        host_undo.arm(run, rescue.saved, "exit 0\n", 90, rescue.folder, rescue.units)
    assert not host_undo.pending(rescue.folder)


def test_the_service_moves_the_folder_away_as_we_do() -> None:
    assert f"mv {host_undo.FOLDER} {host_undo.FOLDER}.running" in host_undo.SERVICE
    assert f"|{host_undo.FOLDER}.running/run" in host_undo.SERVICE
