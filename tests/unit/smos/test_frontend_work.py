"""What `smos deploy frontend` asks for, and what it makes of the module's answer."""

from __future__ import annotations

from typing import Any

from smos import frontend_work, play


def row(service: str, **more: Any) -> dict[str, Any]:
    before = {"ref": "v0.1.0", "release": "0.1.0", "deployment": "dpl_1"}
    whole = {"service": service, "state": "ready", "changed": True, "rolled_back": False, "ref": "v0.2.0"}
    return {
        **whole,
        "deployment": "dpl_2",
        "url": f"https://{service}.example.com",
        "message": "",
        "before": before,
        **more,
    }


def told(*rows: dict[str, Any]) -> dict[str, Any]:
    return frontend_work.result_of(
        play.Played(results=[("vercel_deployments", {"release": "0.2.0", "results": list(rows)})])
    )


def test_the_result_has_the_shape_of_the_contract() -> None:
    found = told(
        row("app"), row("docs", state="failed", changed=False, ref="v0.1.0", deployment="dpl_1", message="why")
    )
    assert (found["release"], found["previous"], found["backup"]) == ("0.2.0", "0.1.0", None)
    assert found["services"]["app"]["image"] == "v0.2.0@dpl_2"
    assert (found["services"]["docs"]["state"], found["services"]["docs"]["image"]) == ("failed", "v0.1.0@dpl_1")


def test_nothing_before_is_no_earlier_release() -> None:
    none = {"ref": "", "release": "", "deployment": ""}
    assert told(row("app", before=none))["previous"] == "0.2.0"
    assert frontend_work.result_of(play.Played())["services"] == {}


def test_the_work_is_a_value_that_others_can_run() -> None:
    job = frontend_work.job(["docs"], "v0.1.0", "sandbox", 60.0, check=True)
    assert job.variables == {"deploy_services": ["docs"], "deploy_release": "0.1.0", "deploy_build_timeout": 60.0}
    assert (job.playbook, job.check) == ("deploy_frontend.yml", True)
    assert frontend_work.job([], None, "sandbox").variables == {}
