# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The registry, read, judged, merged and remembered."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.store import Registry
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import inventory_cache
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import SpecError
from unit.plugins import registry_samples as samples

COUNT = 12


@pytest.fixture
def root(tmp_path: Path) -> Any:
    root = samples.make_specs(tmp_path, COUNT)
    time.sleep(0.03)  # what was written this very moment is not kept
    return root


@pytest.fixture
def cache(tmp_path: Path) -> Any:
    return tmp_path / "state" / "cache" / "registry.sqlite"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The names of the files that were opened and not taken from the cache."""
    names = []
    original = inventory_cache._Judge.item

    def item(self: Any, path: Path, stamp: str) -> Any:
        names.append(path.name)
        return original(self, path, stamp)

    monkeypatch.setattr(inventory_cache._Judge, "item", item)
    return names


def folder(root: Path) -> Any:
    return root / "tenants" / "registry"


def file(root: Path, number: int) -> Any:
    return folder(root) / f"{samples.rut(number)}.yml"


def seen(entries: list[inventory_cache.Entry]) -> Any:
    return [
        (entry.rut, entry.path, entry.row, entry.mistakes, entry.warnings, entry.broken, entry.merged, entry.document)
        for entry in entries
    ]


def test_a_warm_load_gives_the_same_as_a_cold_one_and_opens_nothing(root: Path, cache: Path, read: list[str]) -> None:
    cold = inventory_cache.load_all(root, "sandbox", cache)
    assert len(read) == COUNT
    warm = inventory_cache.load_all(root, "sandbox", cache)
    assert len(read) == COUNT
    assert seen(warm) == seen(cold)
    assert [entry.rut for entry in warm] == [samples.rut(number) for number in range(COUNT)]
    assert warm[0].merged["id"] == samples.rut(0)
    assert warm[0].merged["status"] == samples.block(0)
    assert warm[0].document == samples.document(0)


def test_a_warm_list_loads_neither_yaml_nor_the_validator(root: Path, cache: Path) -> None:
    inventory_cache.list_rows(root, "sandbox", cache)
    code = (
        "import sys; from pathlib import Path\n"
        "from ansible_collections.smartercl.smarteros.plugins.plugin_utils import inventory_cache\n"
        f"rows = inventory_cache.list_rows(Path({str(root)!r}), 'sandbox', Path({str(cache)!r}))\n"
        f"assert len(rows) == {COUNT}\n"
        "print([name for name in ('yaml', 'jsonschema_rs', 'ansible', 'asyncio') if name in sys.modules])\n"
    )
    collections = Path(__file__).resolve().parents[4] / "collections"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(collections)}, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_changed_an_added_and_a_removed_file_are_noticed(root: Path, cache: Path, read: list[str]) -> None:
    inventory_cache.load_all(root, "sandbox", cache)
    read.clear()
    samples.write(folder(root), samples.rut(3), samples.document(3, name="Another name"))
    samples.write(folder(root), samples.rut(50), samples.document(50))
    file(root, 5).unlink()
    names = {row.id: row.name for row in inventory_cache.list_rows(root, "sandbox", cache)}
    assert sorted(read) == [file(root, 3).name, file(root, 50).name]
    assert names[samples.rut(3)] == "Another name"
    assert samples.rut(50) in names
    assert samples.rut(5) not in names


def test_a_change_of_the_same_size_at_the_same_moment_is_noticed(root: Path, cache: Path) -> None:
    path = file(root, 1)
    for turn in range(40):
        text = path.read_text()
        path.write_text(
            text.replace("Company 1", f"Firma {turn:02d}1")
            if turn == 0
            else text.replace(f"{turn - 1:02d}1", f"{turn:02d}1")
        )
        rows = inventory_cache.list_rows(root, "sandbox", cache)
        assert rows[1].name == f"Firma {turn:02d}1"


def test_a_change_that_hides_behind_an_old_time_is_noticed(root: Path, cache: Path) -> None:
    path = file(root, 1)
    inventory_cache.list_rows(root, "sandbox", cache)
    times = path.stat()
    path.write_text(path.read_text().replace("Company 1", "Company X"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert inventory_cache.list_rows(root, "sandbox", cache)[1].name == "Company X"


def test_what_a_process_keeps_is_taken_from_memory_while_nothing_changes(root: Path, cache: Path) -> None:
    kept = {entry.slug: entry for entry in inventory_cache.load_all(root, "sandbox", cache, keep=True)}
    cache.unlink()
    again = inventory_cache.load_some(root, "sandbox", reversed(kept), cache)
    assert list(again) == list(reversed(kept))
    assert all(again[slug] is kept[slug] for slug in kept)


def test_what_a_process_keeps_hides_no_change(root: Path, cache: Path, read: list[str]) -> None:
    first = inventory_cache.load_all(root, "sandbox", cache, keep=True)
    read.clear()
    samples.write(folder(root), samples.rut(3), samples.document(3, name="Another name"))
    file(root, 4).unlink()
    later = inventory_cache.load_all(root, "sandbox", cache)
    assert read == [file(root, 3).name]
    assert len(later) == COUNT - 1
    assert later[3].merged["name"] == "Another name" != first[3].merged["name"]
    assert later[2] is first[2]


def test_what_a_process_keeps_is_judged_with_the_files_of_now(root: Path, cache: Path) -> None:
    first = inventory_cache.load_all(root, "sandbox", cache, keep=True)
    clash = file(root, 3)
    clash.write_text(clash.read_text().replace(f"slug: {first[3].slug}", f"slug: {first[2].slug}"))
    refused = [entry for entry in inventory_cache.load_all(root, "sandbox", cache) if entry.mistakes]
    assert len(refused) == 1
    assert not any(entry.mistakes for entry in first)


def test_a_changed_plan_changes_what_is_merged(root: Path, cache: Path) -> None:
    inventory_cache.load_all(root, "sandbox", cache)
    plans = root / "tenants" / "registry.yml"
    plans.write_text(plans.read_text().replace("users: 5,", "users: 55,"))
    entry = inventory_cache.load_ruts(root, "sandbox", [samples.rut(0)], cache)[samples.rut(0)]
    assert entry.merged["limits"]["users"] == 55


def test_a_status_that_was_just_written_is_seen(root: Path, cache: Path) -> None:
    registry = Registry(folder(root))
    for phase in ("pending", "failed", "active", "suspended"):
        registry.update_status(samples.rut(2), "sandbox", {"phase": phase})
        entry = inventory_cache.load_some(root, "sandbox", ["tenant00002"], cache)["tenant00002"]
        assert entry.merged["status"]["phase"] == entry.merged["phase"] == entry.row.phase == phase


def test_broken_and_invalid_files_are_told_and_block_only_themselves(root: Path, cache: Path) -> None:
    file(root, 1).write_text("spec:\n  rut: [\n")
    samples.write(folder(root), samples.rut(2), {"spec": samples.spec(2, plan="gold", colour="red")})
    for _load in ("cold", "warm"):
        entries = {entry.rut: entry for entry in inventory_cache.load_all(root, "sandbox", cache)}
        broken, invalid = entries[samples.rut(1)], entries[samples.rut(2)]
        assert broken.broken
        assert (broken.document, broken.merged) == (None, {})
        assert (broken.mistakes[0].file, broken.mistakes[0].line) == (f"specs/tenants/registry/{file(root, 1).name}", 3)
        assert {mistake.key for mistake in invalid.mistakes} == {"spec.plan", "spec.colour"}
        assert all(mistake.line for mistake in invalid.mistakes)
        assert (invalid.merged, invalid.broken, invalid.row.valid) == ({}, "", False)
        assert sum(entry.row.valid for entry in entries.values()) == COUNT - 2
        assert inventory_cache.load_ruts(root, "sandbox", list(entries), cache).keys() == entries.keys() - {
            samples.rut(1),
            samples.rut(2),
        }


def test_of_two_with_the_same_slug_the_newer_is_refused_until_it_is_changed(root: Path, cache: Path) -> None:
    samples.write(
        folder(root), samples.rut(70), samples.document(70, slug="tenant00004", created_at="2026-11-23T00:00:00Z")
    )
    for _load in ("cold", "warm"):
        entries = {entry.rut: entry for entry in inventory_cache.load_all(root, "sandbox", cache)}
        assert entries[samples.rut(4)].mistakes == []
        assert {mistake.key for mistake in entries[samples.rut(70)].mistakes} == {"spec.slug", "spec.domain"}
    samples.write(folder(root), samples.rut(70), samples.document(70))
    assert all(entry.row.valid for entry in inventory_cache.load_all(root, "sandbox", cache))


def test_a_file_under_another_name_is_refused(root: Path, cache: Path) -> None:
    file(root, 4).rename(folder(root) / "acme.yml")
    entries = {entry.path.name: entry for entry in inventory_cache.load_all(root, "sandbox", cache)}
    assert [mistake.key for mistake in entries["acme.yml"].mistakes] == ["spec.rut"]
    assert inventory_cache.load_ruts(root, "sandbox", [samples.rut(4)], cache) == {}


def test_links_out_of_the_registry_pipes_and_folders_are_refused(root: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.yml").write_text("spec: {}\n")
    file(root, 80).symlink_to(tmp_path / "outside.yml")
    file(root, 81).symlink_to("nowhere.yml")
    os.mkfifo(file(root, 82))
    file(root, 83).mkdir()
    for _load in ("cold", "warm"):
        entries = {entry.rut: entry for entry in inventory_cache.load_all(root, "sandbox", cache)}
        assert "leads out of the registry" in entries[samples.rut(80)].broken
        assert all(entries[samples.rut(number)].broken for number in (81, 82, 83))
        assert sum(entry.row.valid for entry in entries.values()) == COUNT


def test_tenants_of_other_environments_are_not_listed_and_the_sandbox_lists_all(root: Path, cache: Path) -> None:
    samples.write(folder(root), samples.rut(60), samples.document(60, environments=["production"]))
    samples.write(folder(root), samples.rut(61), samples.document(61, environments=None))
    production = {row.id for row in inventory_cache.list_rows(root, "production", cache)}
    assert production == {samples.rut(60), samples.rut(61)}
    assert len(inventory_cache.list_rows(root, "sandbox", cache)) == COUNT + 2
    assert len(inventory_cache.load_all(root, "production", cache)) == COUNT + 2


def test_entries_come_in_the_order_asked_for(root: Path, cache: Path) -> None:
    asked = ["tenant00007", "unknown", "tenant00002"]
    assert list(inventory_cache.load_some(root, "sandbox", asked, cache)) == ["tenant00007", "tenant00002"]
    ruts = [samples.rut(9), samples.rut(1), "99999999-9"]
    assert list(inventory_cache.load_ruts(root, "sandbox", ruts, cache)) == ruts[:2]


def test_mistakes_in_the_specs_themselves_are_an_error(root: Path, cache: Path) -> None:
    (root / "tenants" / "template.yml").write_text("templates: [")
    with pytest.raises(SpecError) as caught:
        inventory_cache.load_all(root, "sandbox", cache)
    assert "tenants/template.yml" in str(caught.value)


def test_a_spec_folder_that_is_not_there_is_an_error(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(SpecError):
        inventory_cache.load_all(tmp_path / "nowhere", "sandbox", cache)


def test_a_damaged_cache_changes_nothing(root: Path, cache: Path) -> None:
    cold = seen(inventory_cache.load_all(root, "sandbox", cache))
    data = bytearray(cache.read_bytes())
    for place in range(0, len(data), 97):
        data[place] ^= 0x5A
    cache.write_bytes(data)
    assert seen(inventory_cache.load_all(root, "sandbox", cache)) == cold
    cache.write_bytes(b"")
    assert seen(inventory_cache.load_all(root, "sandbox", cache)) == cold
    assert seen(inventory_cache.load_all(root, "sandbox", cache)) == cold


def test_without_a_place_for_the_cache_everything_works(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    entries = inventory_cache.load_all(root, "sandbox", tmp_path / "file" / "cache" / "x.sqlite")
    assert sum(entry.row.valid for entry in entries) == COUNT


def test_no_registry_is_an_empty_one(root: Path, cache: Path) -> None:
    for path in folder(root).iterdir():
        path.unlink()
    folder(root).rmdir()
    assert inventory_cache.load_all(root, "sandbox", cache) == []


def test_the_state_folder_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SMOS_STATE_DIR", str(tmp_path))
    assert inventory_cache.default_cache() == tmp_path / "cache" / "registry.sqlite"
    monkeypatch.delenv("SMOS_STATE_DIR")
    assert inventory_cache.default_cache().parts[-3:] == (".smos", "cache", "registry.sqlite")


def test_hidden_files_temp_files_and_others_are_no_tenants(root: Path, cache: Path) -> None:
    for name in (".hidden.yml", f".{samples.rut(1)}.yml.tmp", "notes.txt", f"{samples.rut(1)}.yml~"):
        (folder(root) / name).write_text("x: [")
    assert len(inventory_cache.load_all(root, "sandbox", cache)) == COUNT


def test_a_wrong_check_digit_is_a_warning_where_it_is_tolerated(root: Path, cache: Path) -> None:
    samples.write(folder(root), "12345678-9", {"spec": samples.spec(90, rut="12345678-9", environments=None)})
    tolerant = {entry.rut: entry for entry in inventory_cache.load_all(root, "sandbox", cache)}["12345678-9"]
    strict = {entry.rut: entry for entry in inventory_cache.load_all(root, "production", cache)}["12345678-9"]
    assert (tolerant.mistakes, len(tolerant.warnings)) == ([], 1)
    assert [mistake.key for mistake in strict.mistakes] == ["spec.rut"]
