# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The tenant store, file by file."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.smartercl.smarteros.plugins.module_utils.registry import disk, spec_edit, store
from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.errors import (
    BrokenFile,
    StoreError,
    TenantExists,
    TenantMissing,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.store import Registry
from unit.plugins import registry_samples as samples

RUT = samples.rut(1)
BY_HAND = """\
# Acme, since 2019
spec:
    rut: {rut}     # checked
    name: 'Ñandú & Co'
    plan: "starter"

    slug: acme
# what runs saw
status:
  production: {{phase: active, services: {{}}}}
# the end
"""


@pytest.fixture
def registry(tmp_path: Path) -> Any:
    return Registry(tmp_path / "registry")


@pytest.fixture
def acme(registry: Registry) -> Any:
    registry.folder.mkdir()
    path = registry.folder / f"{RUT}.yml"
    path.write_text(BY_HAND.format(rut=RUT))
    return path


def leftovers(registry: Registry) -> Any:
    return [path.name for path in registry.folder.iterdir() if path.name.startswith(".") and path.name != ".locks"]


def test_a_created_tenant_is_read_back_the_same(registry: Registry) -> None:
    path = registry.create(RUT, samples.document(1), "Made by smos\nEdit the spec")
    assert registry.read(RUT) == samples.document(1)
    assert yaml.safe_load(path.read_text()) == samples.document(1)
    assert path.read_text().startswith("# Made by smos\n# Edit the spec\nspec:\n  rut: ")
    assert path.stat().st_mode & 0o777 == 0o644
    assert leftovers(registry) == []


def test_a_tenant_is_created_once(registry: Registry) -> None:
    registry.create(RUT, samples.document(1))
    with pytest.raises(TenantExists):
        registry.create(RUT, samples.document(2))
    assert registry.read(RUT) == samples.document(1)
    assert leftovers(registry) == []


def test_of_many_who_create_the_same_tenant_one_succeeds(registry: Registry) -> None:
    outcomes = []

    def create(number: int) -> Any:
        try:
            registry.create(RUT, {"spec": {"number": number}})
            outcomes.append(number)
        except TenantExists:
            pass

    threads = [threading.Thread(target=create, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert registry.read(RUT) == {"spec": {"number": outcomes[0]}}


def test_a_status_is_written_and_all_else_stays_byte_for_byte(registry: Registry, acme: Path) -> None:
    before = acme.read_text()
    assert registry.set_status(RUT, "sandbox", {"phase": "active", "run": samples.RUN}) is True
    after = acme.read_text()
    head, _status, _rest = before.partition("status:")
    assert after.startswith(head)
    assert after.endswith("\n# the end\n")
    assert registry.read(RUT)["status"] == {
        "production": {"phase": "active", "services": {}},
        "sandbox": {"phase": "active", "run": samples.RUN},
    }


def test_nothing_is_written_when_nothing_changes(registry: Registry, acme: Path) -> None:
    state = acme.stat()
    assert registry.set_status(RUT, "production", {"phase": "active", "services": {}}) is False
    assert registry.update_status(RUT, "production", {"services": {}}) is False
    assert registry.update_status(RUT, "production", lambda block: block) is False
    assert registry.edit_spec(RUT, lambda spec: None) is False
    assert (acme.stat().st_ino, acme.stat().st_mtime_ns) == (state.st_ino, state.st_mtime_ns)


def test_an_update_merges_mappings_and_replaces_the_rest(registry: Registry, acme: Path) -> None:
    registry.set_status(
        RUT, "sandbox", {"phase": "pending", "services": {"odoo": {"ref": {"a": 1}, "state": "failed"}}}
    )
    registry.update_status(RUT, "sandbox", {"services": {"odoo": {"state": "ready"}, "n8n": {"state": "ready"}}})
    block = registry.read(RUT)["status"]["sandbox"]
    assert block == {
        "phase": "pending",
        "services": {"odoo": {"ref": {"a": 1}, "state": "ready"}, "n8n": {"state": "ready"}},
    }


def test_an_update_may_be_a_function_that_cannot_harm_the_old_block(registry: Registry, acme: Path) -> None:
    def change(block: Any) -> Any:
        block["services"]["odoo"] = {"state": "ready"}
        return {**block, "phase": "failed"}

    assert registry.update_status(RUT, "production", change)
    assert registry.read(RUT)["status"]["production"] == {"phase": "failed", "services": {"odoo": {"state": "ready"}}}


def test_a_set_block_takes_the_place_of_the_old_one(registry: Registry, acme: Path) -> None:
    registry.set_status(RUT, "sandbox", {"phase": "failed", "reason": "x"})
    registry.set_status(RUT, "sandbox", {"phase": "active"})
    assert registry.read(RUT)["status"]["sandbox"] == {"phase": "active"}


def test_the_spec_is_edited_as_by_hand(registry: Registry, acme: Path) -> None:
    def change(spec: Any) -> Any:
        spec["plan"] = "enterprise"
        spec["custom_domain"] = "shop.example.com"
        spec["note"] = "no"
        spec["environments"] = ["sandbox", "on"]
        spec["odd"] = ["5", 5, "true", True, "~", None, 2.5, "2026-11-22", " x", "a: b"]

    assert registry.edit_spec(RUT, change) is True
    text = acme.read_text()
    assert "rut: " + RUT + "     # checked" in text
    assert "name: 'Ñandú & Co'" in text
    assert text.index("name:") < text.index("plan:") < text.index("slug:") < text.index("custom_domain:")
    assert text.startswith("# Acme, since 2019\n")
    assert text.endswith("# what runs saw\nstatus:\n  production: {phase: active, services: {}}\n# the end\n")
    spec = registry.read(RUT)["spec"]
    assert spec["odd"] == ["5", 5, "true", True, "~", None, 2.5, "2026-11-22", " x", "a: b"]
    assert (spec["note"], spec["environments"], yaml.safe_load(text)["spec"]["note"]) == ("no", ["sandbox", "on"], "no")


def test_dates_in_a_spec_stay_as_they_are_written(registry: Registry, acme: Path) -> None:
    acme.write_text("spec:\n  rut: x\n  created_at: 2026-11-22T15:26:43Z\n")
    registry.edit_spec(RUT, lambda spec: spec.update(plan="free"))
    assert acme.read_text() == "spec:\n  rut: x\n  created_at: 2026-11-22T15:26:43Z\n  plan: free\n"


def test_an_edit_that_would_not_be_read_back_the_same_is_refused(registry: Registry, acme: Path) -> None:
    before = acme.read_text()
    with pytest.raises(StoreError):
        registry.edit_spec(RUT, lambda spec: spec.update(odd=1e22))
    with pytest.raises(StoreError):
        registry.set_status(RUT, "sandbox", {"odd": 1e22})
    assert acme.read_text() == before


def test_without_ruamel_only_edits_of_a_spec_fail(
    registry: Registry, acme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spec_edit, "HAS_RUAMEL", False)
    with pytest.raises(StoreError, match=r"ruamel\.yaml"):
        registry.edit_spec(RUT, lambda spec: None)
    assert registry.set_status(RUT, "sandbox", {"phase": "active"})


def test_many_are_written_at_once_and_an_error_stays_with_its_tenant(registry: Registry) -> None:
    for number in range(40):
        registry.create(samples.rut(number), {"spec": samples.spec(number)})
    registry.path(samples.rut(7)).write_text("spec: [")
    registry.set_status(samples.rut(8), "sandbox", samples.block(8))
    items = [(samples.rut(number), "sandbox", samples.block(number)) for number in range(41)]
    written = registry.update_many(items)
    assert set(written.failed) == {samples.rut(7), samples.rut(40)}
    assert written.unchanged == (samples.rut(8),)
    assert len(written.changed) == 38
    assert all(registry.read(rut)["status"]["sandbox"]["phase"] == "active" for rut in written.changed)
    assert leftovers(registry) == []


def test_many_updates_of_one_tenant_all_arrive(registry: Registry, acme: Path) -> None:
    registry.update_many([(RUT, f"env{number}", {"phase": "active"}) for number in range(64)])
    assert len(registry.read(RUT)["status"]) == 65


def test_a_broken_file_is_reported_and_blocks_only_itself(registry: Registry) -> None:
    registry.create(samples.rut(1), samples.document(1))
    registry.path(samples.rut(2)).write_text("spec:\n  a: 1\n  a: 2\n")
    (registry.folder / ".hidden.yml").write_text("x")
    (registry.folder / "notes.txt").write_text("x")
    (registry.folder / "old.yml.bak").write_text("x")
    (registry.folder / "folder.yml").mkdir()
    os.mkfifo(registry.folder / "pipe.yml")
    found = {path.name: document for path, document in registry.documents()}
    assert set(found) == {f"{samples.rut(1)}.yml", f"{samples.rut(2)}.yml", "folder.yml", "pipe.yml"}
    assert found[f"{samples.rut(1)}.yml"] == samples.document(1)
    broken = found[f"{samples.rut(2)}.yml"]
    assert isinstance(broken, BrokenFile)
    assert broken.line == 3
    assert all(isinstance(found[name], BrokenFile) for name in ("folder.yml", "pipe.yml"))
    with pytest.raises(StoreError, match="second time"):
        registry.set_status(samples.rut(2), "sandbox", {"phase": "active"})
    assert registry.remove(samples.rut(2)) is True


@pytest.mark.parametrize("rut", ["../evil", "a/b", "", "12345678-9\n", "12.345.678-5", "12345678-k", "..", None, 12])
def test_only_a_canonical_rut_names_a_file(registry: Registry, rut: Any) -> None:
    with pytest.raises(StoreError):
        registry.path(rut)


def test_links_that_lead_out_of_the_registry_are_refused(registry: Registry, acme: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.yml"
    outside.write_text("spec: {secret: 1}\n")
    link = registry.path(samples.rut(2))
    link.symlink_to(outside)
    with pytest.raises(BrokenFile, match="leads out"):
        registry.read(samples.rut(2))
    with pytest.raises(StoreError, match="leads out"):
        registry.set_status(samples.rut(2), "sandbox", {"phase": "active"})
    assert "leads out" in str(dict(registry.documents())[link])
    assert outside.read_text() == "spec: {secret: 1}\n"


def test_links_within_the_registry_are_read_and_not_replaced(registry: Registry, acme: Path) -> None:
    link = registry.path(samples.rut(2))
    link.symlink_to(acme.name)
    assert registry.read(samples.rut(2)) == registry.read(RUT)
    with pytest.raises(StoreError, match="symbolic link"):
        registry.set_status(samples.rut(2), "sandbox", {"phase": "active"})
    assert link.is_symlink()


def test_a_missing_tenant_is_told(registry: Registry) -> None:
    for act in (
        lambda: registry.read(RUT),
        lambda: registry.set_status(RUT, "sandbox", {}),
        lambda: registry.edit_spec(RUT, print),
    ):
        with pytest.raises(TenantMissing):
            act()
    assert registry.remove(RUT) is False
    assert list(registry.documents()) == []


def test_rights_of_a_file_stay(registry: Registry, acme: Path) -> None:
    acme.chmod(0o640)
    registry.set_status(RUT, "sandbox", {"phase": "active"})
    assert acme.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_says_so(
    registry: Registry, acme: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    before = acme.read_text()

    def full(*_args: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(disk.os, call, full)
        with pytest.raises(StoreError, match="No space left on device") as caught:
            registry.set_status(RUT, "sandbox", {"phase": "active"})
    assert caught.value.as_dict()["next"].startswith("Free some space")
    assert acme.read_text() == before
    assert leftovers(registry) == []


def test_values_that_a_file_cannot_hold_are_refused_before_anything_is_written(registry: Registry, acme: Path) -> None:
    before = acme.read_text()
    for value in (object(), float("nan"), "\ud800", {1, 2}):
        with pytest.raises(StoreError):
            registry.set_status(RUT, "sandbox", {"message": value})
    assert acme.read_text() == before


def test_subclasses_of_text_are_written_as_text(registry: Registry, acme: Path) -> None:
    class Tagged(str):
        def __str__(self) -> Any:
            return "something else"

    registry.set_status(RUT, "sandbox", {Tagged("phase"): Tagged("active")})
    assert registry.read(RUT)["status"]["sandbox"]["phase"] == "active"


def test_text_of_any_kind_survives(registry: Registry, acme: Path) -> None:
    odd = 'line\nbreak\ttab "quotes" \\ {{ 7*7 }} {% x %} $(ls) # no comment: \x07 \x85 \u2028 \ufeff ñ 🦙 - yes'
    registry.set_status(RUT, "sandbox", {"message": odd, odd[:20]: odd})
    assert registry.read(RUT)["status"]["sandbox"] == {"message": odd, odd[:20]: odd}
    assert yaml.safe_load(registry.path(RUT).read_text())["status"]["sandbox"]["message"] == odd


def test_a_status_that_is_no_mapping_is_reported(registry: Registry, acme: Path) -> None:
    acme.write_text("spec: {a: 1}\nstatus: [1]\n")
    with pytest.raises(StoreError, match="status must be a mapping"):
        registry.set_status(RUT, "sandbox", {"phase": "active"})


def test_names_of_tenant_files_are_sorted(registry: Registry) -> None:
    for number in (3, 1, 2):
        registry.create(samples.rut(number), samples.document(number))
    assert store.names(registry.folder) == [f"{samples.rut(number)}.yml" for number in (1, 2, 3)]
