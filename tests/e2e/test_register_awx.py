"""playbooks/register_awx.yml with the real collection awx.awx against a stand-in of AWX: twice, foretold, changed, and refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from support.awx import TOKEN, Awx, running
from tools import ansible_package

ROOT = Path(__file__).resolve().parents[2]
SECRETS = {"N8N_API_KEY": "planted-token-of-n8n", "key": "planted-key-of-the-machines"}
BOOKS = frozenset(f"playbooks/{book.name}" for book in (ROOT / "playbooks").glob("*.yml"))
GIVEN = {
    "scheduler_repository": "https://git.example.com/shop.git",
    "scheduler_specs": "/srv/specs",
    "scheduler_image": "images.example.com/smarteros:1",
}
JOBS = ("weekly_drill", "drift_tenants", "suspend_tenant")
OURS = "SmarterOS staging: "


@dataclass(frozen=True)
class Registration:
    """What one run after the other has in common."""

    world: Awx
    specs: Path
    key: Path
    collections: Path

    def play(self, *more: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the playbook; nothing that it says holds a secret."""
        variables = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / 'collections'}:{self.collections}",
            "SMOS_SPECS_REPO": str(self.specs),
            "SMOS_SCHEDULER_SSH_KEY_FILE": str(self.key),
            "CONTROLLER_OAUTH_TOKEN": TOKEN,
            "N8N_API_KEY": SECRETS["N8N_API_KEY"],
            **environment,
        }
        book = "playbooks/register_awx.yml"
        given = [word for name, value in GIVEN.items() for word in ("-e", f"{name}={value}")]
        words = ["-i", "inventories/staging", book, "--diff", "-e", f"scheduler_url={self.world.url}", *given, *more]
        line = [sys.executable, "-m", "ansible", "playbook", *words]
        done = subprocess.run(line, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
        for secret in (TOKEN, *SECRETS.values(), *environment.values()):
            assert secret not in done.stdout + done.stderr
        return done

    def writes(self, *more: str, **environment: str) -> list[tuple[str, str]]:
        """Run it to a good end; gives what it wrote."""
        before = len(self.world.writes)
        done = self.play(*more, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        written = self.world.writes[before:]
        if "--check" not in more:
            assert ("changed=0" in done.stdout) is (not written), done.stdout
        return written

    def keep_jobs(self, names: tuple[str, ...]) -> None:
        """Have these jobs alone in the specs."""
        path = self.specs / "schedulers.yml"
        document = yaml.safe_load((ROOT / "specs" / "schedulers.yml").read_text(encoding="utf-8"))
        others = {job["playbook"] for name, job in document["jobs"].items() if name not in names}
        document["jobs"] = {name: document["jobs"][name] for name in names}
        others -= {job["playbook"] for job in document["jobs"].values()}
        document["left_out"].update(dict.fromkeys(others, "This test is about a few."))
        path.write_text(yaml.safe_dump(document), encoding="utf-8")


@pytest.fixture
def registration(tmp_path: Path) -> Iterator[Registration]:
    specs = shutil.copytree(ROOT / "specs", tmp_path / "specs")
    key = tmp_path / "key"
    key.write_text(f"{SECRETS['key']}\n", encoding="utf-8")
    with running(BOOKS) as world:
        made = Registration(world, specs, key, ansible_package.collections_path())
        made.keep_jobs(JOBS)
        yield made


@pytest.mark.slow
def test_the_jobs_come_into_awx_once_and_follow_the_specs(registration: Registration) -> None:
    world = registration.world
    assert registration.writes("--check") == []
    assert registration.writes() != []
    assert sorted(world.of("job_templates")) == [
        f"{OURS}Drift of tenants",
        f"{OURS}Suspend a tenant",
        f"{OURS}Weekly drill",
    ]
    assert sorted(world.of("schedules")) == [f"{OURS}Drift of tenants", f"{OURS}Weekly drill"]
    assert world.of("job_templates")[f"{OURS}Drift of tenants"]["job_type"] == "check"
    assert world.of("inventory_sources")[f"{OURS}inventory"]["source_path"] == "inventories/staging"
    assert sorted(str(each) for each in world.secrets.values()) == sorted(
        str(each)
        for each in (
            {"username": "root", "ssh_key_data": f"{SECRETS['key']}\n"},
            {"SMOS_SPECS_REPO": "/srv/specs"},
            {"N8N_API_KEY": SECRETS["N8N_API_KEY"]},
        )
    )
    assert registration.writes() == []

    changed = registration.writes(N8N_API_KEY="planted-newer-token")
    assert [method for method, _path in changed] == ["PATCH"]
    assert {"N8N_API_KEY": "planted-newer-token"} in world.secrets.values()

    by_hand = world.add("job_templates", {"name": "Ours alone", "organization": 1, "playbook": "x.yml"})
    registration.keep_jobs(JOBS[:1])
    registration.writes(N8N_API_KEY="planted-newer-token", N8N_URL="planted-address-of-n8n")
    assert sorted(world.of("job_templates")) == ["Ours alone", f"{OURS}Weekly drill"]
    assert list(world.of("schedules")) == [f"{OURS}Weekly drill"]
    assert by_hand in world.things["job_templates"].values()
    tokens = [name for name in world.of("credentials") if name.startswith(f"{OURS}n8n ")]
    assert tokens == [name for name in world.of("credential_types") if name.startswith(f"{OURS}n8n ")]
    assert len(tokens) == 1


def test_what_is_missing_is_told_before_awx_is_asked(registration: Registration) -> None:
    refused = registration.play("-e", "scheduler_image=", "-e", "scheduler_brnch=x")
    assert refused.returncode == 2
    said = " ".join(refused.stdout.split())
    assert "scheduler_image" in said
    assert "scheduler_branch" in said
    assert registration.world.requests == []
