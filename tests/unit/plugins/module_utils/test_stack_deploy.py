"""A stack is deployed when the wanted images and configuration run, not when Swarm stops updating."""

from __future__ import annotations

import copy
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import stack_state
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError, Executed
from ansible_collections.smartercl.smarteros.plugins.module_utils.stack_deploy import Deployer, DeployError, Wish, is_so

OLD, NEW = "web:1@sha256:aa", "web:2@sha256:bb"


def compose(image: str, config: str) -> dict[str, Any]:
    labels = {
        stack_state.OWNER_LABEL: "smarteros",
        stack_state.SERVICE_LABEL: "web",
        stack_state.CONFIG_LABEL: config,
        stack_state.ROUTE_LABEL: "true",
    }
    return {"services": {"web": {"image": image, "deploy": {"labels": labels}}}}


def wish(image: str = NEW, config: str = "new", **more: Any) -> Wish:
    return Wish("web", compose(image, config), config, **more)


class Swarm:
    """As much of an Engine as a deploy needs. ``healthy`` says which images become healthy."""

    def __init__(self, healthy: set[str]) -> None:
        self.healthy = healthy
        self.services: dict[str, dict[str, Any]] = {}
        self.tasks: list[dict[str, Any]] = []
        self.images = {OLD}
        self.objects: dict[str, list[dict[str, Any]]] = {"secrets": [], "configs": []}
        self.commands: list[list[str]] = []

    def get(self, path: str, **_filters: Any) -> Any:
        if path == "/services":
            return copy.deepcopy(list(self.services.values()))
        if path == "/tasks":
            return copy.deepcopy(self.tasks)
        if path.startswith("/images/"):
            if path.removeprefix("/images/").removesuffix("/json") not in self.images:
                raise EngineError("no such image", 404)
            return {}
        return self.objects[path.strip("/")]

    def post(self, path: str, body: Any) -> None:
        self.objects[path.split("/")[1]].append({"ID": body["Name"], "Spec": body})

    def logs(self, _path: str, _lines: int) -> list[str]:
        return ["starting", "boom: password planted-secret is wrong"]

    def command(self, words: list[str], **_more: Any) -> Executed:
        self.commands.append(list(words))
        if words[0] == "pull":
            if words[-1] == "gone":
                return Executed(1, "", "manifest unknown\n")
            self.images.add(words[-1])
        elif "deploy" in words and "--help" not in words:
            self._deploy(json.loads(Path(words[words.index("-c") + 1]).read_text()))
        return Executed(0, "", "")

    def _deploy(self, document: dict[str, Any]) -> None:
        given = document["services"]["web"]
        spec = {
            "Name": "web_web",
            "Labels": {**given["deploy"]["labels"], stack_state.NAMESPACE_LABEL: "web"},
            "Mode": {"Replicated": {"Replicas": 1}},
            "TaskTemplate": {"ContainerSpec": {"Image": given["image"]}},
        }
        before = self.services.get("web_web")
        update = {"State": "completed"} if before else {}
        if given["image"] in self.healthy:
            self._run(given["image"], "running")
        else:
            for _each in range(5):
                self._run(given["image"], "failed")
            if before:
                spec, update = before["Spec"], {"State": "rollback_completed"}
        self.services["web_web"] = {"ID": "1", "Spec": spec, "UpdateStatus": update}

    def _run(self, image: str, state: str) -> None:
        if state == "running":
            for task in self.tasks:
                task["DesiredState"], task["Status"]["State"] = "shutdown", "shutdown"
        status = {
            "State": state,
            "Err": "exit 1" if state == "failed" else "",
            "Timestamp": "2030-01-01T00:00:00Z",
            "ContainerStatus": {"ContainerID": "c1"},
        }
        self.tasks.append(
            {
                "ServiceID": "1",
                "CreatedAt": f"2030-01-01T00:00:{len(self.tasks):02d}.123456789Z",
                "DesiredState": "running" if state == "running" else "shutdown",
                "Status": status,
                "Spec": {"ContainerSpec": {"Image": image}},
            }
        )


@pytest.fixture
def swarm() -> Swarm:
    return Swarm({OLD, NEW})


def deployer(swarm: Swarm, folder: Path) -> Deployer:
    ticks = iter(range(0, 10_000, 10))
    return Deployer(swarm, folder, clock=lambda: float(next(ticks)))  # type: ignore[arg-type] # stands for an Engine


def test_a_new_stack_is_deployed_once(swarm: Swarm, tmp_path: Path) -> None:
    one = deployer(swarm, tmp_path)
    assert not is_so(wish(OLD, "old"), one.look("web"))
    one.deploy(wish(OLD, "old"), 60)
    assert is_so(wish(OLD, "old"), one.look("web"))
    assert not is_so(wish(OLD, "other"), one.look("web"))
    assert not is_so(wish(NEW, "old"), one.look("web"))


def test_the_stack_file_is_for_root_alone_and_written_once(swarm: Swarm, tmp_path: Path) -> None:
    one = deployer(swarm, tmp_path)
    assert one.prepare(wish(OLD, "old"))
    path = tmp_path / "web" / "stack.yml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not one.prepare(wish(OLD, "old"))
    assert not [words for words in swarm.commands if "deploy" in words]


def test_a_version_that_is_rolled_back_is_a_failure_with_its_last_words(swarm: Swarm, tmp_path: Path) -> None:
    swarm.healthy = {OLD}
    one = deployer(swarm, tmp_path)
    one.deploy(wish(OLD, "old"), 60)
    with pytest.raises(DeployError) as failed:
        one.deploy(wish(), 60)
    assert failed.value.rolled_back
    assert "the one before runs again" in failed.value.why
    assert any("boom" in line for line in failed.value.lines)
    assert is_so(wish(OLD, "old"), one.look("web"))
    assert not is_so(wish(), one.look("web"))


def test_a_new_service_that_keeps_ending_is_given_up_on(swarm: Swarm, tmp_path: Path) -> None:
    swarm.healthy = set()
    with pytest.raises(DeployError, match=r"ended 5 times in a row: exit 1") as failed:
        deployer(swarm, tmp_path).deploy(wish(), 60)
    assert not failed.value.rolled_back


def test_a_service_that_never_becomes_healthy_is_given_up_on_in_time(
    swarm: Swarm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Swarm, "_run", lambda *_arguments: None)
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    with pytest.raises(DeployError, match="web did not become healthy within 60 s"):
        deployer(swarm, tmp_path).deploy(wish(), 60)


def test_an_image_that_cannot_be_pulled_is_named(swarm: Swarm, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="image gone cannot be pulled: manifest unknown"):
        deployer(swarm, tmp_path).deploy(wish("gone"), 60)
    assert swarm.services == {}


def test_secrets_and_configs_are_made_once_and_bear_our_mark(swarm: Swarm, tmp_path: Path) -> None:
    one = deployer(swarm, tmp_path)
    given = wish(OLD, "old", secrets={"web_a_1": "planted"}, configs={"web_b_1": "text"})
    one.deploy(given, 60)
    one.prepare(given)
    (secret,), (config,) = swarm.objects["secrets"], swarm.objects["configs"]
    assert secret["Spec"]["Labels"][stack_state.OWNER_LABEL] == "smarteros"
    assert config["Spec"]["Name"] == "web_b_1"
    assert not any("planted" in word for words in swarm.commands for word in words)
    assert "planted" not in (tmp_path / "web" / "stack.yml").read_text()
    assert "planted" not in repr(given)


def test_without_its_route_a_service_equals_no_wish(swarm: Swarm, tmp_path: Path) -> None:
    one = deployer(swarm, tmp_path)
    hidden = wish(OLD, "old", routed=False)
    one.deploy(hidden, 60)
    told = stack_state.told(one.look("web"))
    assert (told["routed"], told["config"]) == (False, stack_state.PENDING)
    assert is_so(hidden, one.look("web"))
    assert not is_so(wish(OLD, "old"), one.look("web"))
    one.deploy(wish(OLD, "old"), 60)
    assert stack_state.told(one.look("web"))["routed"]


class Pair(Swarm):
    """A stack of a web server and a worker. Swarm puts back only the container that fails, as the real one does."""

    def _deploy(self, document: dict[str, Any]) -> None:
        for name, given in document["services"].items():
            before = self.services.get(f"web_{name}")
            spec: dict[str, Any] = {
                "Name": f"web_{name}",
                "Labels": {**given["deploy"]["labels"], stack_state.NAMESPACE_LABEL: "web"},
                "Mode": {"Replicated": {"Replicas": 1}},
                "TaskTemplate": {"ContainerSpec": {"Image": given["image"]}},
            }
            if before and before["Spec"] == spec:
                continue
            update = {"State": "completed"} if before else {}
            if name == "web" and given["image"] not in self.healthy:
                spec, update = before["Spec"] if before else spec, {"State": "rollback_completed"}
            self.services[f"web_{name}"] = {"ID": name, "Spec": spec, "UpdateStatus": update}
            self.tasks = [task for task in self.tasks if task["ServiceID"] != name]
            self._run(str(self.services[f"web_{name}"]["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]), "running")
            self.tasks[-1]["ServiceID"] = name

    def _run(self, image: str, state: str) -> None:
        others = list(self.tasks)
        self.tasks = []
        super()._run(image, state)
        self.tasks = [*others, *self.tasks]

    def runs(self) -> dict[str, str]:
        return {name: one["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] for name, one in self.services.items()}


def pair(image: str, config: str, **more: Any) -> Wish:
    own = compose(image, config)["services"]["web"]
    return Wish("web", {"services": {"web": own, "worker": copy.deepcopy(own)}}, config, **more)


def test_the_whole_stack_goes_back_where_one_container_fails(tmp_path: Path) -> None:
    swarm = Pair({OLD})
    one = deployer(swarm, tmp_path)
    one.deploy(pair(OLD, "old"), 60)
    one.prepare(pair(NEW, "new"))  # a role may make ready first
    with pytest.raises(DeployError) as failed:
        one.deploy(pair(NEW, "new"), 60)
    assert failed.value.rolled_back
    assert "the one before runs again" in failed.value.why
    assert swarm.runs() == {"web_web": OLD, "web_worker": OLD}
    assert is_so(pair(OLD, "old"), one.look("web"))
    assert json.loads((tmp_path / "web" / "stack.yml").read_text()) == pair(OLD, "old").document
    swarm.healthy = {OLD, NEW}
    one.deploy(pair(NEW, "new"), 60)
    assert swarm.runs() == {"web_web": NEW, "web_worker": NEW}


def test_healthy_containers_that_do_not_answer_go_back_too(swarm: Swarm, tmp_path: Path) -> None:
    one = deployer(swarm, tmp_path)
    one.deploy(wish(OLD, "old"), 60)

    def silent() -> None:
        raise DeployError("it gives 404 through the reverse proxy")

    with pytest.raises(DeployError, match="404 through the reverse proxy: the one before runs again") as failed:
        one.deploy(wish(), 60, silent)
    assert failed.value.rolled_back
    assert is_so(wish(OLD, "old"), one.look("web"))


def test_what_ran_before_does_not_start_on_data_that_were_replaced(swarm: Swarm, tmp_path: Path) -> None:
    swarm.healthy = {NEW}
    swarm.images |= {OLD}
    one = deployer(swarm, tmp_path)
    one.deploy(wish(), 60)
    swarm.services["web_web"]["Spec"]["Mode"]["Replicated"]["Replicas"] = 0
    started = len([words for words in swarm.commands if "-c" in words])
    with pytest.raises(DeployError) as failed:
        one.deploy(wish(OLD, "old"), 60, back=False)
    assert not failed.value.rolled_back or "the one before" in failed.value.why
    with pytest.raises(DeployError):
        one.deploy(wish(OLD, "old"), 60)
    assert len([words for words in swarm.commands if "-c" in words]) == started + 2  # never the newer one again


def test_nor_where_a_part_runs_on_them_already(tmp_path: Path) -> None:
    swarm = Pair({NEW})
    one = deployer(swarm, tmp_path)
    one.deploy(pair(NEW, "new"), 60)
    for each in swarm.services.values():
        each["Spec"]["Mode"]["Replicated"]["Replicas"] = 0
        each["Spec"]["Labels"][stack_state.REST_LABEL] = "data"
    for _run in range(2):  # the second comes upon the older worker, which does run
        with pytest.raises(DeployError) as failed:
            one.deploy(pair(OLD, "old"), 60)
        assert not failed.value.rolled_back or "the one before runs again" in failed.value.why
        assert swarm.services["web_worker"]["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"] == OLD
        assert swarm.services["web_web"]["Spec"]["Mode"]["Replicated"]["Replicas"] == 0


def test_a_stack_that_rests_is_not_what_is_wanted(swarm: Swarm, tmp_path: Path) -> None:
    one = deployer(swarm, tmp_path)
    one.deploy(wish(), 60)
    swarm.services["web_web"]["Spec"]["Mode"]["Replicated"]["Replicas"] = 0
    assert not is_so(wish(), one.look("web"))
    assert stack_state.told(one.look("web"))["state"] != "up"
    one.deploy(wish(), 60)
    assert is_so(wish(), one.look("web"))


def test_where_the_stack_before_does_not_come_back_it_is_said(swarm: Swarm, tmp_path: Path) -> None:
    one = deployer(swarm, tmp_path)
    one.deploy(wish(OLD, "old"), 60)

    def silent() -> None:
        swarm.healthy = set()
        raise DeployError("it gives 404")

    with pytest.raises(DeployError, match="it gives 404; and the stack before did not come back whole") as failed:
        one.deploy(wish(), 60, silent)
    assert not failed.value.rolled_back
