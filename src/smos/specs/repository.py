# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The files that describe the repository itself: index, decisions, environments."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from smos.specs.base import Day, Identifier, Line, RelativePath, Strict, Text, text

DecisionId = Annotated[str, text("ADR-[0-9]{3}", "A decision is numbered ADR-001.")]


class InfraFiles(Strict):
    """The files of infra/."""

    vps: RelativePath
    network: RelativePath
    dns: RelativePath
    backup: RelativePath
    monitoring: RelativePath


class McpFiles(Strict):
    """The files about MCP."""

    clients: RelativePath
    servers: RelativePath


class TenantFiles(Strict):
    """Where the tenants are."""

    registry: RelativePath
    template: RelativePath
    folder: Literal["tenants/registry"] = Field(description="One file per tenant, named by its RUT; a fixed place.")


class IndexFiles(Strict):
    """Every file of the specs, relative to the folder that the index lies in."""

    versions: RelativePath
    decisions: RelativePath
    environments: RelativePath
    services: RelativePath
    secrets: RelativePath
    frontends: RelativePath = Field("frontends/registry.yml", description="The frontends on Vercel.")
    mcp: McpFiles = Field(
        McpFiles(clients="mcp/clients.yml", servers="mcp/servers.yml"),
        description="Who uses `smos mcp`, and which other servers agents use.",
    )
    schedulers: RelativePath = Field("schedulers.yml", description="The jobs of AWX, Semaphore and the like.")
    infra: InfraFiles
    tenants: TenantFiles
    workflows: Literal["workflows"] = Field(description="Workflow templates; a fixed place, as all folders here.")
    database: Literal["database"] = Field(
        "database", description="Migrations of Supabase, in the order of their names."
    )
    bots: Literal["bots"] = Field("bots", description="Bot templates, one folder each.")
    dashboards: Literal["dashboards"] = Field("dashboards", description="Dashboards that every tenant gets.")
    messages: Literal["messages"] = Field("messages", description="Messages to people, one file per occasion.")


class Index(Strict):
    """The entry point."""

    format: Literal[1] = Field(description="Version of the layout of the specs.")
    name: Identifier
    description: Text
    files: IndexFiles


class Decision(Strict):
    """A decision with its reason."""

    id: DecisionId
    title: Line
    date: Day
    status: Literal["proposed", "accepted", "superseded", "rejected"]
    superseded_by: DecisionId | None = None
    decision: Text
    reason: Text
    consequences: list[Text]


class Decisions(Strict):
    """The decisions, oldest first."""

    decisions: list[Decision]


class Environment(Strict):
    """How careful runs are in an environment."""

    description: Line
    rut_policy: Literal["strict", "warn"] = Field(description="What a wrong check digit means.")
    confirm: bool = Field(description="Ask before destructive or billable steps.")
    backup_before_deploy: bool
    health_check_required: bool
    dangerous_operations: bool = Field(description="Whether operations that lose data may run at all.")
    deploy_notice: bool = Field(
        default=False,
        description="Whether the admin is told of each `smos deploy all` that changed something or failed.",
    )


class Environments(Strict):
    """All environments."""

    default: Identifier
    environments: dict[Identifier, Environment]
