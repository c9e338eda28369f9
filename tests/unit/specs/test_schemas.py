# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import schema as schema_file
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.documents import load
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.schema import LibraryMissing, Schema, schema
from smos.specs import schemas
from smos.specs.__main__ import main
from unit.specs.samples import SPECS, tenant

FILES = {
    "index": "index.yml",
    "versions": "smos-version.yml",
    "decisions": "decision-tree.yml",
    "environments": "environments.yml",
    "services": "services/registry.yml",
    "secrets": "secrets.yml",
    "vps": "infra/vps.yml",
    "network": "infra/network.yml",
    "dns": "infra/dns.yml",
    "backup": "infra/backup.yml",
    "monitoring": "infra/monitoring.yml",
    "tenants": "tenants/registry.yml",
    "templates": "tenants/template.yml",
}


def test_the_committed_schemas_are_what_the_models_generate() -> None:
    assert schemas.stale(SPECS / "schemas") == [], "run python -m smos.specs schemas"


def test_check_fails_on_a_schema_that_is_out_of_date_and_writes_nothing(tmp_path: Path) -> None:
    assert main(["schemas", "--folder", str(tmp_path)]) == 0
    assert main(["schemas", "--check", "--folder", str(tmp_path)]) == 0
    (tmp_path / "tenant.json").write_text("{}", encoding="utf-8")
    (tmp_path / "left-over.json").write_text("{}", encoding="utf-8")
    assert main(["schemas", "--check", "--folder", str(tmp_path)]) == 1
    assert (tmp_path / "tenant.json").read_text(encoding="utf-8") == "{}"
    assert main(["schemas", "--folder", str(tmp_path)]) == 0
    assert main(["schemas", "--check", "--folder", str(tmp_path)]) == 0


@pytest.mark.parametrize(("name", "file"), FILES.items())
def test_models_and_schemas_accept_the_committed_files(name: str, file: str) -> None:
    document = load(SPECS / file)
    assert schema(name).mistakes(document) == []
    schemas.MODELS[name].model_validate_json(json.dumps(document))


@pytest.mark.parametrize(("name", "file"), FILES.items())
def test_each_file_names_its_schema_for_editors(name: str, file: str) -> None:
    first = (SPECS / file).read_text(encoding="utf-8").splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    assert ((SPECS / file).parent / first.removeprefix(prefix)).resolve() == (
        SPECS / "schemas" / f"{name}.json"
    ).resolve()


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10),
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12),
    st.just([]),
    st.just({}),
    st.sampled_from(["acme", "12345678-5", "acme.smarterbot.cl", "ana@example.com", "Ñandú & Cía."]),
)
KEYS = sorted(schemas.tenant.TenantSpec.model_fields)


@given(st.dictionaries(st.sampled_from([*KEYS, "unknown"]), ANYTHING, max_size=4))
def test_models_and_schemas_agree_about_any_tenant(changes: dict[str, Any]) -> None:
    document = tenant(**changes)
    try:
        schemas.MODELS["tenant"].model_validate_json(json.dumps(document))
        accepted = True
    except ValidationError:
        accepted = False
    assert schema("tenant").accepts(document) == accepted


def test_a_status_written_by_a_newer_release_is_accepted() -> None:
    document = tenant()
    document["status"] = {"sandbox": {"phase": "active", "new": 1, "services": {"odoo": {"state": "ready", "x": [1]}}}}
    assert schema("tenant").accepts(document)


def test_a_missing_validator_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_file, "jsonschema_rs", None)
    with pytest.raises(LibraryMissing, match="jsonschema-rs"):
        Schema({})


@pytest.mark.parametrize("kind", ["domain", "email", "name"])
def test_patterns_stay_fast_on_hostile_text(kind: str) -> None:
    text = {"domain": "a-" * 100_000, "email": "a." * 100_000 + "@", "name": "a" * 200_000}[kind]
    changes: dict[str, Any] = {"owner": {"email": text}} if kind == "email" else {kind: text}
    assert not schema("tenant").accepts(tenant(**changes))
