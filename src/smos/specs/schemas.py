# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Generate the JSON Schemas from the models, and compare them with what is committed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from smos.specs import (
    dashboards,
    dns,
    frontends,
    infra,
    mcp,
    releases,
    repository,
    schedulers,
    secret_names,
    services,
    tenant,
)

MODELS: dict[str, type[BaseModel]] = {
    "index": repository.Index,
    "versions": releases.Versions,
    "decisions": repository.Decisions,
    "environments": repository.Environments,
    "services": services.ServiceRegistry,
    "frontends": frontends.FrontendRegistry,
    "schedulers": schedulers.Schedulers,
    "secrets": secret_names.SecretCatalogue,
    "vps": infra.Vps,
    "network": infra.Network,
    "dns": dns.Dns,
    "backup": infra.Backup,
    "monitoring": infra.Monitoring,
    "dashboard": dashboards.DashboardFile,
    "mcp_clients": mcp.McpClients,
    "mcp_servers": mcp.McpServers,
    "tenants": tenant.TenantRegistry,
    "templates": tenant.Templates,
    "tenant": tenant.TenantFile,
}
"""Schema name → model of the whole file."""


class _Generator(GenerateJsonSchema):
    """Pydantic's generator without the titles that only repeat the names of fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the interface of pydantic
        return False


def generate() -> dict[str, str]:
    """Give the text of each schema file by file name."""
    return {f"{name}.json": _text(model) for name, model in MODELS.items()}


def write(folder: Path) -> list[Path]:
    """Write the schemas; give the files that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = stale(folder)
    wanted = generate()
    for path in changed:
        if path.name in wanted:
            path.write_text(wanted[path.name], encoding="utf-8")
        else:
            path.unlink()
    return changed


def stale(folder: Path) -> list[Path]:
    """Give the schema files that differ from the models, are missing, or belong to no model."""
    wanted = generate()
    different = [
        folder / name
        for name, text in wanted.items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]
    return different + sorted(path for path in folder.glob("*.json") if path.name not in wanted)


def _text(model: type[BaseModel]) -> str:
    schema = model.model_json_schema(schema_generator=_Generator)
    return json.dumps({"$schema": _Generator.schema_dialect, **_plain(schema)}, indent=2, ensure_ascii=False) + "\n"


def _plain(part: Any) -> Any:
    """Say the same in a form that validators explain better and editors complete better."""
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    part = {key: _plain(value) for key, value in part.items() if not (key == "default" and value is None)}
    if isinstance(part.get("patternProperties"), dict) and "additionalProperties" not in part:
        part["additionalProperties"] = False  # pydantic refuses other keys; a schema has to say so
        part.pop("propertyNames", None)
    return _merged_null(part)


def _merged_null(part: dict[str, Any]) -> dict[str, Any]:
    """Write "this or null" as one type list where the rules bind only the first type anyway."""
    options = part.get("anyOf")
    if not isinstance(options, list) or len(options) != 2 or options[1] != {"type": "null"}:
        return part
    first = options[0]
    if not isinstance(first.get("type"), str) or "enum" in first or "const" in first:
        return part
    rest = {key: value for key, value in part.items() if key != "anyOf"}
    return {**first, "type": [first["type"], "null"], **rest}
