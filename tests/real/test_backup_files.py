"""What a backup holds beside the services' data, with real restic: kept, verified, and read by hand as the manual says."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import (
    catalogue,
    machine,
    restore_plan,
    take,
    take_files,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config, ServiceData
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restore_plan import Asked
from real import restic


def test_accounts_and_machine_are_kept_and_read_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, stacks = restic.fill(tmp_path / "data", 2, 1000), restic.fill(tmp_path / "stacks", 2, 1000)
    repository = restic.repository(tmp_path)
    known = {"traefik": ServiceData("traefik", folders=(str(data),))}
    config = Config("staging", repository.location, repository.password_file, known)
    monkeypatch.setattr(machine, "look", lambda _engine: {})
    verified = tmp_path / "verified.json"
    ways = take.Ways(repository, last=tmp_path / "last.json", verified=verified, machine=(f"{stacks}/*",))
    engine: Any = object()
    accounts = take_files.accounts({"tenants.json": "ñ".encode(), "vercel-a.json": b"{}"})

    taken = take.take(config, engine, [], accounts=accounts, ways=ways)
    assert taken.ok, taken.errors
    (found,) = catalogue.every(repository, {}, verified=verified)
    assert (sorted(found.manifest.services), found.verified) == (["accounts", "machine", "traefik"], True)

    plan = restore_plan.plan(found.manifest, config, Asked(found.id))
    assert plan.services == ["traefik"]
    (told,) = plan.warnings
    command = told.partition("`")[2].partition("`")[0]
    env = {**os.environ, "RESTIC_CACHE_DIR": str(tmp_path / "cache")}
    shown = subprocess.run(command, shell=True, check=True, capture_output=True, text=True, env=env).stdout
    assert [line.split()[-1] for line in shown.splitlines()] == ["tenants.json", "vercel-a.json"]
    (part,) = found.manifest.services["machine"].parts
    with tarfile.open(fileobj=io.BytesIO(repository.read(part.snapshot, part.name))) as tar:
        inside = {each.name: (tar.extractfile(each) or io.BytesIO()).read() for each in tar}
    assert inside == {str(each).lstrip("/"): each.read_bytes() for each in stacks.iterdir()}
