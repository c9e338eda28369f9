# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The service catalogue."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from smos.specs.base import Count, Identifier, Line, Port, RelativePath, Strict, UrlPath, Version, text
from smos.specs.cost import ServiceCost
from smos.specs.secret_names import SecretName

Kind = Literal["infrastructure", "backend", "frontend", "saas"]
Entry = Literal["main", "tenant", "backup", "restore", "check"]
Priority = Literal["critical", "high", "medium", "low"]
HostLabel = Annotated[
    str, text("[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", "A host name in the zone is one label, as odoo.")
]
VariableName = Annotated[str, text("[a-z_][a-z0-9_]{0,63}", "A variable has a-z, 0-9 and _.")]
SwarmService = Annotated[
    str, text("[a-z][a-z0-9-]{0,39}_[a-z][a-z0-9-]{0,39}", "A Swarm service is named <stack>_<container>, as n8n_n8n.")
]
VolumeName = Annotated[
    str, text("[A-Za-z0-9][A-Za-z0-9_.-]{0,127}", "The name of a volume has letters, digits, _, . and -.")
]
TableName = Annotated[str, text("[a-z_][a-z0-9_]{0,62}", "The name of a table has a-z, 0-9 and _.")]
HttpStatus = Annotated[int, Field(ge=200, le=399)]


class HttpHealth(Strict):
    """Healthy when a path answers with this status."""

    path: UrlPath
    status: HttpStatus = 200


class CommandHealth(Strict):
    """Healthy when a command inside the container succeeds, and says this where `expect` is given."""

    command: list[Line]
    expect: Line | None = None


class AttachmentFiles(Strict):
    """Files that rows of a database refer to: in a backup, each row has its file."""

    database: Identifier
    query: Line = Field(description="Gives the path of each file, relative to `below`.")
    volume: VolumeName
    below: RelativePath = Field(description="Folder of the volume.")


class ServiceBackup(Strict):
    """What a service keeps on the machine, and what its data need to be read."""

    server: SwarmService | None = Field(
        None, description="What holds the databases; absent: the server of all services."
    )
    databases: dict[Identifier, list[TableName]] = Field(
        default={}, description="By database: the tables whose rows are counted; one that is not there is passed over."
    )
    volumes: list[VolumeName] = Field(default=[], json_schema_extra={"uniqueItems": True})
    leave_out: dict[str, list[Line]] = Field(
        default={}, description="By volume or folder: patterns of what is made anew by itself."
    )
    folders: list[UrlPath] = Field(default=[], description="Folders of the machine.")
    redis: SwarmService | None = Field(None, description="A Redis that holds its queues.")
    attachments: AttachmentFiles | None = None
    keys: list[SecretName] = Field(default=[], description="Secrets without which the data cannot be read.")
    writers: list[SwarmService] = Field(
        default=[], description="What writes the data and is stopped for a restore; absent: all of its stack."
    )


class Service(Strict):
    """One service: what it is, where it answers, what it needs, which jobs its role takes part in."""

    title: Line
    kind: Kind
    role: Identifier | None = Field(None, description="Role in roles/ that does its work.")
    version: Version | None = Field(None, description="Equal to the component of smos-version.yml.")
    port: Port | None = Field(None, description="Port inside the network; may be the same for several services.")
    more_ports: dict[Identifier, Port] | None = Field(None, description="Further ports inside the network, by use.")
    publish: list[Port] | None = Field(None, description="Ports taken on the machine itself; each only once.")
    internal: bool = Field(False, description="Never reachable from outside the network.")
    host: HostLabel | None = Field(None, description="Host name in the zone.")
    health: HttpHealth | CommandHealth | None = None
    depends_on: list[Identifier] = Field(default=[], json_schema_extra={"uniqueItems": True})
    databases: list[Identifier] = Field(default=[], json_schema_extra={"uniqueItems": True})
    backup_priority: Priority | None = Field(None, description="Absent: nothing of its own to back up.")
    backup: ServiceBackup | None = Field(None, description="Absent: nothing of it on the machine is backed up.")
    profile: Literal["core", "optional"] = Field(
        "core", description="Optional services may be left out on a small VPS."
    )
    entries: list[Entry] = Field(
        default=[], description="Jobs that the role has an entry for.", json_schema_extra={"uniqueItems": True}
    )
    provisioning: Count | None = Field(
        None, description="Place in the order in which a tenant gets its services; those of one place at the same time."
    )
    connection: list[VariableName] | None = Field(None, description="Role variables that must be set to reach it.")
    optional: bool = Field(
        False, description="Tenants do without it, as disabled, where none of its secrets is configured."
    )
    cost: ServiceCost | None = Field(None, description="Absent: nothing is paid for it by itself.")


class Deployment(Strict):
    """How services are brought to the VPS."""

    order: list[Identifier] = Field(json_schema_extra={"uniqueItems": True})
    strategy: Literal["blue-green", "rolling", "replace"]
    health_check_required: bool
    automatic_rollback: bool
    timeout_s: Count
    parallel: Annotated[int, Field(ge=1, le=32, description="Operations at once.")]


class ServiceRegistry(Strict):
    """All services and the order of deployment."""

    services: dict[Identifier, Service]
    deployment: Deployment
