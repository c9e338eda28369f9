# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A tenant's whole life through the command line: changed, suspended, resumed, exported, deleted, restored, purged, imported."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import status
from support.instance import Done, Instance, shop

ACME = ("12345678-9", "Acme Corp", "acme.smarterbot.cl")


def done(run: Done, phase: str, changed: bool = True) -> dict[str, Any]:
    """The tenant that a command came to, which must have succeeded."""
    assert run.code == 0, str(run)
    assert run.document["changed"] is changed, str(run)
    tenant: dict[str, Any] = run.document["result"]["tenant"]
    assert tenant["phase"] == phase, str(run)
    return tenant


def states(tenant: dict[str, Any]) -> dict[str, str]:
    return {name: service["state"] for name, service in tenant["services"].items()}


@pytest.fixture
def acme(smos: Instance) -> Instance:
    smos.up()
    done(smos.run("create", "tenant", *ACME, "--json"), "active")
    return smos


def test_every_step_changes_once_and_comes_back(acme: Instance) -> None:
    born = done(acme.run("tenant", "status", "acme", "--json"), "active", changed=False)
    assert set(states(born).values()) == {"ready"}
    for job, phase in (("suspend", "suspended"), ("resume", "active"), ("delete", "deleted"), ("restore", "active")):
        predicted = acme.run("tenant", job, "acme", "--check", "--json").document["result"]["changes"]
        tenant = done(acme.run("tenant", job, "acme", "--yes", "--json"), phase)
        run = acme.run("history", "--json").document["result"]["runs"][0]["run"]
        assert acme.run("history", run, "--json").document["result"]["run"]["changes"] == predicted
        if phase == "active":
            assert states(tenant) == states(born)
        else:
            assert set(states(tenant).values()) <= {"suspended", "absent", "ready", "disabled"}
        done(acme.run("tenant", job, "acme", "--yes", "--json"), phase, changed=False)


def test_an_update_touches_only_what_it_names(acme: Instance) -> None:
    seen = acme.seen()
    tenant = done(acme.run("tenant", "update", "acme", "--plan", "professional", "--json"), "active")
    assert tenant["plan"] == "professional"
    touched = {write.partition(" ")[0] for write in acme.writes(seen)}
    assert not touched & {"cloudflare", "n8n", "vercel"}
    done(acme.run("tenant", "update", "acme", "--plan", "professional", "--json"), "active", changed=False)


def test_a_service_that_is_switched_off_keeps_its_data_and_comes_back(acme: Instance) -> None:
    off = done(acme.run("tenant", "update", "acme", "--without", "n8n", "--json"), "active")
    assert states(off)["n8n"] == "disabled"
    back = done(acme.run("tenant", "update", "acme", "--with", "n8n", "--json"), "active")
    assert states(back)["n8n"] == "ready"


def test_a_step_that_cannot_be_taken_touches_nothing(acme: Instance) -> None:
    seen = acme.seen()
    for words in (
        ("tenant", "restore", "nobody"),
        ("tenant", "update", "acme", "--plan", "platinum"),
        ("tenant", "update", "acme", "--email", "no address"),
        ("tenant", "update", "acme", "--shopify-store", "https://acme.myshopify.com/admin"),
        ("tenant", "import", str(acme.home / "nothing.tar.gz")),
    ):
        run = acme.run(*words, "--json")
        assert run.code == 2, str(run)
        assert run.document["errors"], str(run)
    assert acme.writes(seen) == []


def test_a_purge_wants_to_hear_the_slug(acme: Instance) -> None:
    refused = acme.run("tenant", "delete", "acme", "--purge", "--json")
    assert refused.code == 4, str(refused)
    assert "--yes" in refused.document["errors"][0]["next"]
    play = acme.play("purge_tenant.yml", "-e", "tenant_id=acme")
    assert play.code != 0
    assert "tenant_confirm=acme" in play.out + play.err


def test_what_was_purged_can_be_imported_again(acme: Instance, tmp_path: Path) -> None:
    born = done(acme.run("tenant", "status", "acme", "--json"), "active", changed=False)
    done(acme.run("tenant", "suspend", "acme", "--json"), "suspended")
    purged = acme.run("tenant", "delete", "acme", "--purge", "--yes", "--json")
    assert set(states(done(purged, "purged")).values()) == {"absent"}
    assert acme.run("tenant", "show", "acme", "--json").code == 2
    (archive,) = (acme.state / "exports" / "sandbox").glob("acme-*.tar.gz")
    back = done(acme.run("tenant", "import", str(archive), "--json"), "active")
    assert states(back) == states(born)
    assert {key: back[key] for key in ("id", "name", "slug", "domain", "plan")} == {
        key: born[key] for key in ("id", "name", "slug", "domain", "plan")
    }
    done(acme.run("tenant", "import", str(archive), "--json"), "active", changed=False)
    assert acme.run("plan", "tenants", "--exit-code").code == 0


def test_an_export_is_whole_and_private(acme: Instance, tmp_path: Path) -> None:
    run = acme.run("tenant", "export", "acme", "--to", str(tmp_path), "--json")
    assert run.code == 0, str(run)
    path = Path(run.document["result"]["archive"]["file"])
    assert path.parent == tmp_path
    assert path.stat().st_mode & 0o077 == 0
    with tarfile.open(path) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]  # it is a file
        names = set(tar.getnames())
    assert {row["path"] for row in manifest["files"]} == names - {"manifest.json"}
    assert {"tenant.json"} < names
    assert {name.partition("/")[0] for name in names} >= {"n8n", "odoo", "chatwoot"}


def test_an_export_that_cannot_be_written_is_no_success(acme: Instance) -> None:
    (acme.home / "in-the-way").write_text("")
    run = acme.run("tenant", "export", "acme", "--to", str(acme.home / "in-the-way"), "--json")
    assert (run.code, run.document["ok"]) == (1, False), str(run)
    assert "cannot be written" in run.why
    assert done(acme.run("tenant", "status", "acme", "--json"), "active", changed=False)["reason"] == ""


def test_the_purge_of_the_day_takes_only_those_whose_time_is_up(smos: Instance) -> None:
    smos.up()
    old, recent = shop(1), shop(2)
    for each, since in ((old, "2026-01-01T00:00:00Z"), (recent, status.now())):
        smos.add_files([each], lifecycle={"sandbox": {"state": "deleted", "since": since}})
    assert smos.run("tenant", "apply").code == 0
    for _day in range(2):
        play = smos.play("purge_tenant.yml", "-e", "tenant_due=true")
        assert play.code == 0, play.out[-3000:]
        assert smos.phases() == {recent.rut: "deleted"}


def test_a_tenant_with_a_mistake_in_its_file_is_told_by_that_mistake(smos: Instance) -> None:
    smos.add_files([shop(1)], plan="platinum")
    for command in ("show", "suspend"):
        run = smos.run("tenant", command, shop(1).slug, "--json")
        assert run.code == 2, str(run)
        assert "spec.plan" in run.document["errors"][0]["where"], str(run)


def test_a_failed_export_keeps_the_tenant(acme: Instance) -> None:
    (acme.state / "exports").write_text("in the way")
    run = acme.run("tenant", "delete", "acme", "--yes", "--json")
    assert run.code == 1, str(run)
    assert "cannot be written" in run.why
    assert set(states(acme.run("tenant", "status", "acme", "--json").document["result"]["tenant"]).values()) == {
        "ready"
    }
    (acme.state / "exports").unlink()
    done(acme.run("tenant", "delete", "acme", "--yes", "--json"), "deleted")


@pytest.mark.slow
def test_two_hundred_tenants_lead_their_lives(smos: Instance) -> None:
    smos.up()
    shops = [shop(number) for number in range(200)]
    smos.add_files(shops)
    slugs = json.dumps({"tenant_id": [each.slug for each in shops], "tenant_confirm": [each.slug for each in shops]})
    assert smos.run("tenant", "apply", "--json").code == 0
    for job, phase in (("suspend", "suspended"), ("resume", "active"), ("delete", "deleted"), ("restore", "active")):
        play = smos.play(f"{job}_tenant.yml", "-e", slugs)
        assert play.code == 0, play.out[-3000:]
        found = smos.run("tenant", "list", "--json").document["result"]["tenants"]
        assert {row["phase"] for row in found} == {phase}
    again = smos.run("tenant", "apply", "--json")
    assert (again.code, again.document["changed"]) == (0, False), str(again)
    assert smos.play("purge_tenant.yml", "-e", slugs).code == 0
    assert smos.run("tenant", "list", "--json").document["result"]["tenants"] == []


def test_broken_specs_are_told_by_every_command_and_by_no_traceback(smos: Instance) -> None:
    registry = smos.specs / "tenants" / "registry.yml"
    registry.write_text(registry.read_text().replace("\nzone: smarterbot.cl", "\nzone: 5"))
    for words in (("list",), ("suspend", "acme"), ("delete", "acme"), ("apply",)):
        run = smos.run("tenant", *words, "--json")
        assert run.code == 2, str(run)
        assert "zone" in run.document["errors"][0]["where"], str(run)
        assert "Traceback" not in run.err
