"""The sandbox's VPS on an engine that only remembers: what is made, kept, made anew, stopped and never touched."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from smos.sandbox import vps, vps_image, vps_machine
from smos.sandbox.vps_engine import Engine, VpsError
from unit.sandbox.driver_vps import FakeDocker, marks


@pytest.fixture(autouse=True)
def docker(monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """An engine, an image, and machines that everybody can log in to at once."""
    fake = FakeDocker()
    for name in ("DOCKER_HOST", *vps_image.NAMED):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("smos.sandbox.vps_engine.shutil.which", lambda _name: "/usr/bin/docker")
    monkeypatch.setattr(Engine, "run", fake.run)
    monkeypatch.setattr(vps_image, "source", lambda suite, **_wishes: vps_image.Source(suite))
    monkeypatch.setattr(vps_image, "have", lambda _engine, origin, _say: f"smos-vps:{origin.suite}-1")
    monkeypatch.setattr(vps, "_wait_for_registry", lambda _port, _logs: None)
    monkeypatch.setattr(vps._Site, "_wait_for_login", lambda _site, _machine, _keys: None)
    return fake


def create_call(docker: FakeDocker, name: str) -> tuple[str, ...]:
    return next(call for call in reversed(docker.calls) if call[0] == "create" and name in call)


def test_a_first_machine_is_made_with_all_that_it_needs(tmp_path: Path, docker: FakeDocker) -> None:
    said: list[str] = []
    (machine,) = vps.up(tmp_path, say=said.append)
    assert (machine.name, machine.host, machine.suite, machine.address) == (
        "vps1",
        "127.0.0.1",
        "bookworm",
        "172.31.0.11",
    )
    assert machine.port == int(
        docker.containers[machine.container]["NetworkSettings"]["Ports"]["22/tcp"][0]["HostPort"]
    )
    assert len({machine.port, machine.http_port, machine.https_port, machine.registry_port}) == 4
    call = " ".join(create_call(docker, machine.container))
    for part in (
        "--cgroupns=private",
        "--cap-add ALL --cap-drop SYS_RESOURCE",
        f"--volume {machine.container}:/var/lib/docker",
        "--publish 127.0.0.1::22 ",
        "--add-host registry:172.31.0.9",
        "--add-host vps2:172.31.0.12",
        "smos-vps:bookworm-1 /usr/local/sbin/smos-machine",
    ):
        assert part in call
    assert "--privileged" not in call
    assert said == ["Making the VPS vps1 (bookworm)"]


def test_everything_is_marked_as_ours(tmp_path: Path, docker: FakeDocker) -> None:
    vps.up(tmp_path, nodes=2)
    things = [row["Config"]["Labels"] for row in docker.containers.values()]
    things += [*docker.volumes.values(), *(row["Labels"] for row in docker.networks.values())]
    assert len(things) == 3 + 3 + 1
    assert all(marks(tmp_path).items() <= labels.items() for labels in things)


def test_what_is_laid_into_a_machine_has_the_right_modes(tmp_path: Path, docker: FakeDocker) -> None:
    (machine,) = vps.up(tmp_path)
    laid = docker.files[machine.container]
    assert laid["root/.ssh"].mode == 0o700
    assert laid["root/.ssh/authorized_keys"].mode == 0o600
    assert laid["etc/ssh/ssh_host_ed25519_key"].mode == 0o600
    assert laid["usr/local/sbin/smos-machine"].mode == 0o755
    assert laid["etc/systemd/system/systemd-modules-load.service"].linkname == "/dev/null"
    assert {row.uid for row in laid.values()} == {0}


def test_the_keys_are_private_and_the_machines_key_is_pinned(tmp_path: Path) -> None:
    (machine,) = vps.up(tmp_path)
    folder = tmp_path / "sandbox" / "vps"
    assert stat.S_IMODE((folder / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert machine.key == str(folder / "key")
    names, *key = (folder / "known_hosts").read_text().split()
    assert names == "vps1,vps2,vps3"
    assert key == (folder / "host_key.pub").read_text().split()[:2]


def test_a_second_time_makes_nothing(tmp_path: Path, docker: FakeDocker) -> None:
    first = vps.up(tmp_path)
    keys = (tmp_path / "sandbox/vps/key").read_bytes()
    docker.calls.clear()
    assert vps.up(tmp_path) == first
    assert docker.made() == []
    assert (tmp_path / "sandbox/vps/key").read_bytes() == keys


def test_a_stopped_one_is_started_again_and_its_new_port_is_known(tmp_path: Path, docker: FakeDocker) -> None:
    (before,) = vps.up(tmp_path)
    assert vps.down(tmp_path)["stopped"] == [before.container, f"{before.container.removesuffix('-1')}-registry"]
    docker.calls.clear()
    (after,) = vps.up(tmp_path)
    assert docker.made() == []
    assert after.port != before.port
    assert vps.known(tmp_path) == [after]


def test_a_half_made_one_is_made_anew_with_its_volume(
    tmp_path: Path, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*_given: Any) -> None:
        raise VpsError("nobody can log in")

    with monkeypatch.context() as broken:
        broken.setattr(vps._Site, "_wait_for_login", nobody)
        with pytest.raises(VpsError, match="nobody can log in"):
            vps.up(tmp_path)
    docker.calls.clear()
    (machine,) = vps.up(tmp_path)
    assert ("rm", "--force", "--volumes", machine.container) in docker.calls
    assert ("volume", "rm", "--force", machine.container) in docker.calls
    assert machine.container in docker.containers


def test_a_second_machine_joins_the_first_one(tmp_path: Path, docker: FakeDocker) -> None:
    (alone,) = vps.up(tmp_path)
    both = vps.up(tmp_path, nodes=2)
    assert both[0] == alone
    assert [machine.name for machine in both] == ["vps1", "vps2"]
    assert both[1].registry_port == alone.registry_port
    assert vps.up(tmp_path) == both, "without a number all that there are"
    assert len(docker.networks) == 1


def test_another_suite_is_refused_and_nothing_is_lost(tmp_path: Path, docker: FakeDocker) -> None:
    vps.up(tmp_path, suite="trixie")
    docker.calls.clear()
    with pytest.raises(VpsError, match="is trixie, not bookworm") as refused:
        vps.up(tmp_path, suite="bookworm")
    assert "--purge" in refused.value.next
    assert docker.made() == []
    assert vps.up(tmp_path)[0].suite == "trixie"


@pytest.mark.parametrize("nodes", [0, 4])
def test_too_few_or_too_many_machines_are_refused(tmp_path: Path, docker: FakeDocker, nodes: int) -> None:
    with pytest.raises(VpsError, match="machines"):
        vps.up(tmp_path, nodes=nodes)
    assert docker.calls == []


def test_two_state_folders_have_nothing_in_common(tmp_path: Path, docker: FakeDocker) -> None:
    (one,), (other,) = vps.up(tmp_path / "a"), vps.up(tmp_path / "b")
    assert one.container != other.container
    vps.down(tmp_path / "a", purge=True)
    assert [row["role"] for row in vps.status(tmp_path / "b")] == ["vps1", "registry"]
    assert vps.status(tmp_path / "a") == []


def test_a_purge_removes_ours_and_nothing_else(tmp_path: Path, docker: FakeDocker) -> None:
    (machine,) = vps.up(tmp_path)
    foreign = {"Config": {"Labels": {}}, "State": {"Running": True, "Status": "running"}, "Name": "/smos-vps-x"}
    docker.containers["smos-vps-x"] = foreign
    docker.volumes[f"{machine.container}-mine"] = {}
    removed = vps.down(tmp_path, purge=True)["removed"]
    assert machine.container in removed
    assert list(docker.containers) == ["smos-vps-x"]
    assert list(docker.volumes) == [f"{machine.container}-mine"]
    assert docker.networks == {}
    assert not (tmp_path / "sandbox" / "vps").exists()


def test_a_thing_of_our_name_without_our_labels_is_left_alone(tmp_path: Path, docker: FakeDocker) -> None:
    (machine,) = vps.up(tmp_path)
    docker.containers[machine.container]["Config"]["Labels"] = {}
    docker.calls.clear()
    Engine(tmp_path).remove(containers=[machine.container], volumes=["somebody's"])
    assert [call[0] for call in docker.calls] == ["ps", "volume"], "looked, and removed nothing"


def test_where_none_was_made_nothing_is_asked(tmp_path: Path, docker: FakeDocker) -> None:
    assert vps.status(tmp_path) == []
    assert vps.down(tmp_path, purge=True) == {"stopped": [], "removed": []}
    assert docker.calls == []


def test_without_an_engine_the_status_says_what_was_known(tmp_path: Path, docker: FakeDocker) -> None:
    (machine,) = vps.up(tmp_path)
    docker.answers = False
    row = {"name": machine.container, "role": "vps1", "state": "unknown", "suite": "bookworm", "port": 0}
    assert vps.status(tmp_path) == [row]
    assert vps.down(tmp_path) == {"stopped": [], "removed": []}
    with pytest.raises(VpsError, match="no engine answers"):
        vps.down(tmp_path, purge=True)


def test_the_wish_for_real_images_is_kept_until_it_is_taken_back(tmp_path: Path) -> None:
    assert not vps.real_images(tmp_path)
    vps.up(tmp_path, real_images=True)
    vps.up(tmp_path)
    assert vps.real_images(tmp_path)
    vps.up(tmp_path, real_images=False)
    assert not vps.real_images(tmp_path)


def test_a_broken_memory_is_no_reason_to_stop(tmp_path: Path, docker: FakeDocker) -> None:
    vps.up(tmp_path)
    (tmp_path / "sandbox/vps/machines.json").write_text("{")
    docker.calls.clear()
    (machine,) = vps.up(tmp_path)
    assert ("rm", "--force", "--volumes", machine.container) in docker.calls, "nobody knows whether it was finished"
    assert json.loads((tmp_path / "sandbox/vps/machines.json").read_text())["made"].keys() >= {machine.container}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("nameserver 203.0.113.53\nnameserver 127.0.0.53\n", ["203.0.113.53"]),
        ("nameserver 127.0.0.53\n", []),
        ("search example.com\n", []),
    ],
)
def test_only_name_servers_that_a_container_can_reach_are_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, found: list[str]
) -> None:
    (tmp_path / "resolv.conf").write_text(text)
    monkeypatch.setattr(vps_machine, "_RESOLVERS", (tmp_path / "none", tmp_path / "resolv.conf"))
    assert vps_machine.resolvers() == found


def test_the_first_process_is_a_shell_script_without_mistakes() -> None:
    done = subprocess.run(["sh", "-n"], input=vps_machine.FIRST_PROCESS, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_subnet_that_somebody_else_took_is_asked_for_again(
    tmp_path: Path, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, taken = docker._network_create, iter([True, False])

    def create(words: list[str], content: bytes | None) -> None:
        if "--subnet" in words and next(taken):
            raise VpsError("docker network: Pool overlaps with other one on this address space")
        plain(words, content)

    monkeypatch.setattr(docker, "_network_create", create)
    assert vps.up(tmp_path)[0].address == "172.31.0.11"
