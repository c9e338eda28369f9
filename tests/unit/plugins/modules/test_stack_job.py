"""One-shot jobs: what they take from a stack file, and what becomes of them. Run for real in the scenario `vps`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import stack_job as job
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError
from ansible_collections.smartercl.smarteros.plugins.modules import stack_job
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import stacks
from unit.plugins.wire import run_module

OWN = {
    "services": {
        "chatwoot": {
            "image": "registry.example.com/chatwoot:4@sha256:00",
            "entrypoint": ["docker/entrypoints/rails.sh"],
            "command": ["bundle", "exec", "rails", "s"],
            "environment": {"FRONTEND_URL": "https://chatwoot.example.com", "PRICE": "$$5", "WHOLE": 1},
            "volumes": [
                "chatwoot-storage:/app/storage",
                "/srv/x:/x:ro",
                {"type": "tmpfs", "target": "/tmp", "tmpfs": {"size": 9}},
            ],
            "healthcheck": {"test": ["CMD", "true"]},
            "stop_grace_period": "1m10s",
            "deploy": {
                "resources": {"reservations": {"memory": "256M"}, "limits": {"memory": "1G"}},
                "placement": {"constraints": ["node.role == manager"]},
            },
            "x-secret-env": {"SECRET_KEY_BASE": "hush-hush-7"},
            "x-secret-files": {"ca": {"value": "pem", "target": "/etc/ca.pem", "mode": "0400", "uid": 7}},
            "x-config-files": {"/etc/plain": {"content": "plain"}},
            "x-routes": [{"host": "chatwoot", "port": 3000}],
        },
        "chatwoot-worker": {
            "image": "x",
            "deploy": {"replicas": 2, "resources": {"reservations": {"memory": "9M"}, "limits": {"memory": "9M"}}},
        },
    },
    "volumes": {"chatwoot-storage": {}},
}
STACK = stacks.complete("chatwoot", OWN, stacks.Setting("example.com", "dokploy-network"))
JOB = job.Job("chatwoot", "chatwoot", "prepare", ("bundle", "exec", "rails", "db:chatwoot_prepare"), {"LATE": "600s"})


def ids(names: Any) -> dict[str, str]:
    return {name: f"id-of-{name}" for name in names}


SPEC = job.spec_of(JOB, STACK.compose, ids(STACK.secrets), ids(STACK.configs))


class Swarm:
    """As much of an Engine as jobs need. `ends` tells how the next job ends; `looks` how often one looks until then."""

    def __init__(self, ends: str = "complete", looks: int = 2) -> None:
        self.ends, self.looks = ends, looks
        self.services: dict[str, dict[str, Any]] = {}
        self.left: dict[str, int] = {}
        self.told: list[str] = []

    def get(self, path: str, **_filters: Any) -> Any:
        if path in ("/secrets", "/configs"):
            found = STACK.secrets if path == "/secrets" else STACK.configs
            return [{"ID": f"id-of-{name}", "Spec": {"Name": name}} for name in found]
        name = path.rpartition("/")[2]
        if name not in self.services:
            raise EngineError("no such service", 404)
        return {"ID": name, "Version": {"Index": 3}, "Spec": self.services[name]}

    def post(self, path: str, body: Any = None) -> Any:
        name = body["Name"]
        verb = "create" if path.endswith("create") else "update"
        replicas = body["Mode"].get("Replicated", {}).get("Replicas")
        self.told.append(f"{verb} {name}{'' if replicas is None else f' to {replicas}'}")
        self.services[name] = body
        self.left[name] = self.looks

    def delete(self, path: str) -> None:
        name = path.rpartition("/")[2]
        if name not in self.services:
            raise EngineError("no such service", 404)
        self.told.append(f"remove {name}")
        del self.services[name]

    def tasks(self, service: str) -> list[dict[str, Any]]:
        if service not in self.services:
            return []
        self.left[service] = self.left.get(service, self.looks) - 1
        over = self.left[service] <= 0
        code = 0 if self.ends == "complete" else 3
        status: dict[str, Any] = {
            "State": self.ends if over else "running",
            "Err": "" if code == 0 else "task: non-zero exit",
        }
        return [{"Status": {**status, "ContainerStatus": {"ContainerID": "c0ffee", "ExitCode": code}}}]

    def logs(self, _path: str, lines: int) -> list[str]:
        return ["== 20240917 Migrating ==", "it wrote this"][-lines:]


def runner(swarm: Swarm, clock: Callable[[], float] = lambda: 0.0) -> job.Runner:
    return job.Runner(swarm, clock, 0)  # type: ignore[arg-type] # stands for an Engine


# --- what it takes from the stack file -----------------------------------------------------------------------------


def test_image_secrets_volumes_and_networks_are_the_containers_own() -> None:
    task = SPEC["TaskTemplate"]
    container = task["ContainerSpec"]
    assert container["Image"] == "registry.example.com/chatwoot:4@sha256:00"
    assert container["Command"][:2] == ["/bin/sh", "-c"]
    assert 'exec "$@"' in container["Command"][2]  # Compose's `$$` is `$` here
    assert container["Command"][-1] == "docker/entrypoints/rails.sh"
    assert container["Args"] == ["bundle", "exec", "rails", "db:chatwoot_prepare"]
    assert container["Env"] == ["FRONTEND_URL=https://chatwoot.example.com", "PRICE=$5", "WHOLE=1", "LATE=600s"]
    assert container["Mounts"] == [
        {"Type": "volume", "Source": "chatwoot-storage", "Target": "/app/storage", "ReadOnly": False},
        {"Type": "bind", "Source": "/srv/x", "Target": "/x", "ReadOnly": True},
        {"Type": "tmpfs", "Target": "/tmp", "TmpfsOptions": {"SizeBytes": 9}},
    ]
    files = {each["File"]["Name"]: each["File"] for each in container["Secrets"]}
    assert files["/etc/ca.pem"] == {"Name": "/etc/ca.pem", "UID": "7", "GID": "0", "Mode": 0o400}
    assert files["chatwoot.env"]["Mode"] == 0o444
    assert all(each["SecretID"] == f"id-of-{each['SecretName']}" for each in container["Secrets"])
    assert container["Configs"][0]["File"]["Name"] == "/etc/plain"
    assert container["StopGracePeriod"] == 70 * 10**9
    assert task["Networks"] == [{"Target": "dokploy-network"}]
    assert task["Resources"]["Limits"]["MemoryBytes"] == 1024 * 1024 * 1024
    assert task["Placement"] == {"Constraints": ["node.role == manager"]}


def test_it_runs_once_without_a_health_check_and_bears_our_mark_but_no_route() -> None:
    assert SPEC["Mode"] == {"ReplicatedJob": {"MaxConcurrent": 1, "TotalCompletions": 1}}
    assert SPEC["TaskTemplate"]["RestartPolicy"] == {"Condition": "none"}
    assert SPEC["TaskTemplate"]["ContainerSpec"]["Healthcheck"] == {"Test": ["NONE"]}
    assert SPEC["Labels"]["cl.smarteros.owner"] == "smarteros"
    assert not [name for name in SPEC["Labels"] if name.startswith(("traefik", "com.docker"))]
    assert "hush-hush-7" not in json.dumps(SPEC)


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(job.JobError, match="entry `prepare`"):
        job.spec_of(JOB, STACK.compose, {}, {})
    with pytest.raises(job.JobError, match="no container nobody"):
        job.spec_of(job.Job("chatwoot", "nobody", "x", ()), STACK.compose, {}, {})


# --- what becomes of it ----------------------------------------------------------------------------------------------


def test_a_good_end_leaves_nothing() -> None:
    swarm = Swarm()
    assert runner(swarm).run(JOB, STACK.compose, 60)[-1] == "it wrote this"
    assert swarm.told == [f"create {JOB.service}", f"remove {JOB.service}"]


def test_a_bad_end_tells_its_code_and_its_last_words_and_leaves_nothing() -> None:
    swarm = Swarm("failed")
    with pytest.raises(job.JobError, match="prepare ended with 3") as failed:
        runner(swarm).run(JOB, STACK.compose, 60)
    assert failed.value.lines[-1] == "it wrote this"
    assert not swarm.services


def test_one_that_does_not_end_is_stopped() -> None:
    swarm, now = Swarm(looks=10**6), iter(range(10**6))
    with pytest.raises(job.JobError, match="did not end in time"):
        runner(swarm, lambda: float(next(now))).run(JOB, STACK.compose, 5)
    assert not swarm.services


def test_the_job_of_a_run_that_died_is_waited_for_and_not_started_twice() -> None:
    swarm = Swarm(looks=3)
    swarm.services[JOB.service] = SPEC
    runner(swarm).run(JOB, STACK.compose, 60)
    assert swarm.told == [f"remove {JOB.service}"]


def test_a_running_job_of_another_release_comes_to_its_end_first() -> None:
    swarm = Swarm(looks=3)
    swarm.services[JOB.service] = {**SPEC, "Labels": {**SPEC["Labels"], job.JOB_LABEL: "other"}}
    runner(swarm).run(JOB, STACK.compose, 60)
    assert swarm.told == [f"remove {JOB.service}", f"create {JOB.service}", f"remove {JOB.service}"]


def test_one_that_ended_unseen_is_run_again() -> None:
    swarm = Swarm("failed", looks=0)
    swarm.services[JOB.service] = SPEC
    swarm.tasks(JOB.service)
    swarm.ends = "complete"
    runner(swarm).run(JOB, STACK.compose, 60)
    assert swarm.told == [f"remove {JOB.service}", f"create {JOB.service}", f"remove {JOB.service}"]


def test_containers_rest_and_run_again_as_many_as_the_stack_says() -> None:
    swarm, name = Swarm("shutdown", looks=2), "chatwoot_chatwoot-worker"
    swarm.services[name] = {"Name": name, "Mode": {"Replicated": {"Replicas": 1}}}
    assert runner(swarm).pause("chatwoot", ["chatwoot-worker", "not-there"]) == ["chatwoot-worker"]
    assert runner(swarm).pause("chatwoot", ["chatwoot-worker"]) == []
    assert runner(swarm).resume("chatwoot", STACK.compose, ["chatwoot-worker"]) == ["chatwoot-worker"]
    assert runner(swarm).resume("chatwoot", STACK.compose, ["chatwoot-worker"]) == []
    assert swarm.told == [f"update {name} to 0", f"update {name} to 2"]


def test_what_rests_for_its_data_is_not_woken_by_the_end_of_a_job() -> None:
    swarm, name = Swarm("shutdown", looks=2), "chatwoot_chatwoot-worker"
    one, names = runner(swarm), ["chatwoot-worker"]
    swarm.services[name] = {"Name": name, "Labels": {"mine": "1"}, "Mode": {"Replicated": {"Replicas": 1}}}
    one.pause("chatwoot", names)
    assert one.resume("chatwoot", STACK.compose, names, for_data=True) == []  # it rests for a job
    assert one.pause("chatwoot", names, for_data=True) == names  # now for its data too
    assert one.pause("chatwoot", names, for_data=True) == one.pause("chatwoot", names) == []
    assert one.resume("chatwoot", STACK.compose, names) == []
    assert one.resume("chatwoot", STACK.compose, names, for_data=True) == names
    assert swarm.services[name] == {"Name": name, "Labels": {"mine": "1"}, "Mode": {"Replicated": {"Replicas": 2}}}
    swarm.services[name]["Mode"] = {"Replicated": {"Replicas": 0}}
    assert one.resume("chatwoot", STACK.compose, names) == names


# --- the module --------------------------------------------------------------------------------------------------------


@pytest.fixture
def swarm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Swarm:
    made = Swarm()
    (tmp_path / "chatwoot").mkdir()
    (tmp_path / "chatwoot" / job.FILE).write_text(json.dumps(STACK.compose), encoding="utf-8")
    monkeypatch.setattr(stack_job, "Engine", lambda _socket: made)
    monkeypatch.setattr(stack_job, "compose_of", lambda stack: job.compose_of(stack, tmp_path))
    monkeypatch.setattr(job, "POLL_S", 0)
    return made


def test_the_module_runs_and_tells(swarm: Swarm) -> None:
    asked: dict[str, Any] = {"service": "chatwoot", "container": "chatwoot", "name": "prepare", "command": ["x"]}
    foretold = run_module(stack_job, True, **asked)
    assert (foretold["changed"], swarm.told) == (True, [])
    done = run_module(stack_job, **asked)
    assert (done["changed"], done["lines"][-1]) == (True, "it wrote this")
    assert done["changes"][0]["what"] == "job prepare"

    swarm.ends = "failed"
    failed = run_module(stack_job, **asked)
    assert (failed["failed"], failed["exit_code"]) == (True, 1)
    assert failed["errors"][0]["why"].endswith("It wrote: == 20240917 Migrating == | it wrote this")
    resumed = run_module(stack_job, service="chatwoot", pause=["chatwoot-worker"], state="resumed")
    assert resumed["changed"] is False


def test_a_stack_that_was_never_prepared_is_told(swarm: Swarm) -> None:
    answer = run_module(stack_job, service="other", container="x", command=["x"])
    assert "the role `stack` writes it" in answer["msg"]
