"""From specs and vault to what a machine is given for its backups."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import config
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import backup_config, backup_program, backup_units
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.backup_config import About
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import load
from unit.specs.samples import SPECS

SPEC: dict[str, Any] = yaml.safe_load((SPECS / "infra/backup.yml").read_text(encoding="utf-8"))
FAR = {
    "name": "far",
    "repository": "s3:https://s3.example.com/smos",
    "environment": {"AWS_DEFAULT_REGION": "us-east-1"},
    "secrets": {"AWS_SECRET_ACCESS_KEY": "backup_far_key"},
    "keep_daily": 30,
}
SECRET = "planted-"
NOTICES = {"webhook": {"url_file": "/etc/smarteros/backup/notice-webhook-url"}}


def secrets() -> dict[str, str]:
    known = yaml.safe_load((SPECS / "secrets.yml").read_text(encoding="utf-8"))["secrets"]
    return {name: f"{SECRET}{name}" for name in [*known, "backup_far_key"]}


def made(spec: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    specs = load(SPECS)
    services = [each["id"] for each in specs.machine_services]
    about = About(**{"environment": "staging", "zone": "example.com", "release": "0.2.0", "services": services, **more})
    given = spec or {**SPEC, "remotes": [FAR]}
    return backup_config.document(about, specs.machine_services, given, secrets(), NOTICES)


# --- configuration


def test_the_machine_reads_what_is_written_for_it(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(backup_config.text(made()), encoding="utf-8")
    read = config.read(path)
    assert (read.host, read.path, read.retention.daily, read.zone) == ("smos-staging", "/backups", 7, "example.com")
    assert (read.remotes[0].name, read.remotes[0].environment) == ("far", "/etc/smarteros/backup/far.env")
    odoo = read.services["odoo"]
    assert (list(odoo.databases), odoo.volumes, odoo.answers) == (
        ["odoo"],
        ["odoo-data"],
        "odoo.example.com/web/health",
    )
    assert odoo.attachments == config.Attachments(
        "odoo",
        "SELECT DISTINCT store_fname FROM ir_attachment WHERE store_fname IS NOT NULL",
        "odoo-data",
        "filestore/odoo",
    )
    assert read.services["dokploy"].server == "dokploy_dokploy-postgres"
    assert read.services["n8n"].server == "postgresql_postgresql"


def test_every_key_that_data_need_has_a_fingerprint_and_no_secret_is_in_it() -> None:
    text = backup_config.text(made())
    assert SECRET not in text
    found = json.loads(text)
    needed = {key for each in found["services"].values() for key in each.get("keys", ())}
    assert set(found["fingerprints"]) == needed
    assert "n8n_encryption_key" in needed


def test_only_what_the_machine_carries_is_backed_up() -> None:
    found = made(services=["postgresql", "n8n", "socket-proxy"])
    assert sorted(found["services"]) == ["n8n", "postgresql"]
    assert list(found["fingerprints"]) == ["n8n_encryption_key"]


def test_writers_are_the_whole_stack_but_never_the_servers_that_a_restore_needs() -> None:
    stacks = {
        "n8n": ["n8n_n8n", "n8n_n8n-runners"],
        "postgresql": ["postgresql_postgresql"],
        "redis": ["redis_redis"],
        "dokploy": ["dokploy_dokploy", "dokploy_dokploy-postgres"],
    }
    found = made(stacks=stacks)["services"]
    assert found["n8n"]["writers"] == ["n8n_n8n", "n8n_n8n-runners"]
    assert found["dokploy"]["writers"] == ["dokploy_dokploy"]
    assert "writers" not in found["postgresql"]
    assert "writers" not in found["redis"]
    assert "writers" not in made()["services"]["n8n"]


def test_a_fingerprint_is_of_one_secret_in_one_environment() -> None:
    one = backup_config.fingerprint("staging", "n8n_encryption_key", "value")
    assert one == backup_config.fingerprint("staging", "n8n_encryption_key", "value")
    others = {
        backup_config.fingerprint("production", "n8n_encryption_key", "value"),
        backup_config.fingerprint("staging", "n8n_jwt_secret", "value"),
        backup_config.fingerprint("staging", "n8n_encryption_key", "other"),
    }
    assert len(others | {one}) == 4


# --- files with secrets


def test_secrets_are_in_files_that_the_configuration_names() -> None:
    spec = {**SPEC, "remotes": [FAR]}
    files = backup_config.secret_files(spec, secrets())
    assert files == {
        "/etc/smarteros/backup/password": f"{SECRET}backup_password\n",
        "/etc/smarteros/backup/far.env": f"AWS_DEFAULT_REGION=us-east-1\nAWS_SECRET_ACCESS_KEY={SECRET}backup_far_key\n",
    }
    told = made(spec)
    assert {told["password_file"], told["remotes"][0]["environment"]} == set(files)
    assert told["notices"] == NOTICES


def test_a_secret_that_is_not_there_is_named_and_one_of_two_lines_is_refused_unseen() -> None:
    spec = {**SPEC, "remotes": [FAR]}
    assert backup_config.missing(spec, {}) == ["backup_password", "backup_far_key"]
    assert backup_config.missing(spec, secrets()) == []
    broken = {**secrets(), "backup_far_key": f"{SECRET}a\nAWS_PROFILE=x"}
    with pytest.raises(backup_config.ConfigError) as caught:
        backup_config.secret_files(spec, broken)
    assert "backup_far_key" in str(caught.value)
    assert SECRET not in str(caught.value)


# --- timers


@pytest.mark.parametrize(
    ("job", "when"),
    [
        ("backup", "*-*-* 23:30:00 America/Santiago"),
        ("check", "Sat *-*-* 01:30:00 America/Santiago"),
        ("drill", "Mon *-*-* 01:30:00 America/Santiago"),
    ],
)
def test_jobs_begin_when_the_specs_say(job: str, when: str) -> None:
    assert backup_config.calendar({**SPEC, "daily_at": "23:30", "drill_day": "mon"}, job) == when


def test_each_timer_starts_the_program_gently_and_makes_up_for_what_was_missed() -> None:
    units = backup_units.units(SPEC)
    assert sorted(units) == sorted(
        f"smos-backup{each}.{kind}" for each in ("", "-check", "-drill") for kind in ("service", "timer")
    )
    for name, words in (("smos-backup", "run"), ("smos-backup-check", "check"), ("smos-backup-drill", "drill")):
        service, timer = units[f"{name}.service"].splitlines(), units[f"{name}.timer"].splitlines()
        start = f"ExecStart=/usr/local/lib/smarteros/backup.pyz {words} --reason timer --wait 1800"
        assert {start, "Type=oneshot", "Nice=10"} <= set(service)
        assert {"RandomizedDelaySec=15min", "Persistent=true", "WantedBy=timers.target"} <= set(timer)
    assert "OnCalendar=*-*-* 02:00:00 America/Santiago" in units["smos-backup.timer"]


# --- program


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "backup.pyz"
    path.write_bytes(backup_program.pack())
    path.chmod(0o755)
    return path


def ran(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, cwd="/", env={})


def test_the_same_sources_give_the_same_program() -> None:
    assert backup_program.pack() == backup_program.pack()


def test_the_program_holds_what_it_imports_and_nothing_of_the_controller(program: Path) -> None:
    with zipfile.ZipFile(program) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    folder = "ansible_collections/smartercl/smarteros/plugins/"
    assert {f"{folder}module_utils/backup/{name}.py" for name in ("program", "take", "restic", "drill")} <= set(names)
    assert f"{folder}module_utils/engine.py" in names
    assert not [name for name in names if name.startswith((f"{folder}plugin_utils", f"{folder}modules/"))]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("flags", [["-I"], ["-I", "-S"]], ids=["alone", "without what is installed"])
def test_the_program_runs_in_a_bare_python(program: Path, flags: list[str]) -> None:
    done = ran(sys.executable, *flags, program, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    for word in ("run", "copy", "check", "drill", "list"):
        assert word in done.stdout


def test_every_module_of_the_program_can_be_loaded_by_itself(program: Path) -> None:
    with zipfile.ZipFile(program) as archive:
        names = [
            name.removesuffix(".py").replace("/", ".") for name in archive.namelist() if name.startswith("ansible")
        ]
    lines = "; ".join(["import sys", f"sys.path.insert(0, {str(program)!r})", *(f"import {name}" for name in names)])
    done = ran(sys.executable, "-I", "-S", "-c", lines)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_machine_without_a_configuration_is_told_so(program: Path, tmp_path: Path) -> None:
    done = ran(sys.executable, "-I", program, "run", "--config", tmp_path / "none.json")
    assert done.returncode == 3
    assert "not set up for backups" in done.stderr


def test_what_cannot_be_packed_is_named(tmp_path: Path) -> None:
    with pytest.raises(backup_program.PackError, match=r"program\.py"):
        backup_program.pack(tmp_path)


def test_imports_are_followed_wherever_they_are_written(tmp_path: Path) -> None:
    package = "ansible_collections.smartercl.smarteros.plugins.module_utils"
    folder = tmp_path / "plugins/module_utils/backup"
    folder.mkdir(parents=True)
    (folder / "program.py").write_text(f"def main():\n    from {package}.backup import late\n    return late.CODE\n")
    (folder / "late.py").write_text(f"import {package}.other as other\nCODE = other.CODE\n")
    (folder.parent / "other.py").write_text("CODE = 7\n")
    (folder.parent / "unused.py").write_text("")
    found = backup_program.modules(tmp_path, backup_program.PROGRAM)
    assert sorted(found) == [f"plugins.module_utils.{each}" for each in ("backup.late", "backup.program", "other")]
    path = tmp_path / "made.pyz"
    path.write_bytes(backup_program.pack(tmp_path))
    assert ran(sys.executable, "-I", path).returncode == 7


# --- archive of PostgreSQL


def test_without_the_archive_nothing_is_different() -> None:
    off = {**SPEC, "wal": {"enabled": False, "every_s": 60, "base_days": 1, "keep_days": 7}}
    without = {key: value for key, value in SPEC.items() if key != "wal"}
    assert backup_units.units(off) == backup_units.units(without)
    assert made(off) == made(without)


def test_with_the_archive_two_timers_more() -> None:
    wal = {"enabled": True, "every_s": 90, "base_days": 2, "keep_days": 14}
    units = backup_units.units({**SPEC, "wal": wal})
    assert set(units) - set(backup_units.units(SPEC)) == {
        f"smos-{name}.{kind}" for name in ("wal", "wal-base") for kind in ("service", "timer")
    }
    assert "OnUnitActiveSec=90s" in units["smos-wal.timer"]
    assert "OnCalendar=*-*-* 03:00:00 America/Santiago" in units["smos-wal-base.timer"]
    assert f"ExecStart={backup_units.PROGRAM} wal --reason timer" in units["smos-wal.service"]
    assert config.of(made({**SPEC, "wal": wal})).wal == config.Wal(True, 90, 2, 14)
    assert not config.of(made()).wal.enabled
