# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The infrastructure: VPS, network, DNS, backup, monitoring."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from smos.specs.base import Clock, Count, Domain, Identifier, Line, Port, Strict, UrlPath, text
from smos.specs.tenant import Timezone

Percent = Annotated[int, Field(ge=1, le=100)]
Address4 = Annotated[str, text(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}", "An IPv4 address is written as 203.0.113.10.")]
Address6 = Annotated[str, text("[0-9a-f:]{2,39}", "An IPv6 address is written as 2001:db8::10.")]
RecordName = Annotated[
    str, text(r"(?:@|\*|[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?)", "A record name is @, * or one label, as odoo.")
]
Ttl = Annotated[int, Field(ge=1, le=86400, description="Seconds; 1 lets the provider choose.")]


class Host(Strict):
    """A machine."""

    provider: Identifier
    os: Line
    ipv4: Address4 = Field(description="A documentation address here; the inventory has the real one.")
    ipv6: Address6 | None = None
    cpus: Count
    memory_mb: Count
    swap_mb: Count
    disk_gb: Count
    traffic_tb: Count
    monthly_usd: Count


class Ssh(Strict):
    """How operators get in."""

    port: Port
    password_login: bool


class Vps(Strict):
    """The machines."""

    hosts: dict[Identifier, Host]
    ssh: Ssh
    timezone: Timezone
    restart_at: Clock | None = Field(
        None, description="When a machine may restart for security updates; never by itself where it is empty."
    )
    memory_overcommit: Annotated[float, Field(ge=1, le=3, description="Sum of limits over RAM + swap, at most.")]


class OpenPort(Strict):
    """A port that the firewall lets in."""

    port: Port
    protocol: Literal["tcp", "udp"]
    why: Line


class Firewall(Strict):
    """What the firewall does."""

    incoming: Literal["deny", "allow"]
    open: list[OpenPort]
    ssh_per_minute: Count = Field(0, description="New SSH connections from one address; 0 for no limit.")


class Hsts(Strict):
    """HTTP Strict Transport Security."""

    max_age_s: Count
    subdomains: bool


class Tls(Strict):
    """Certificates."""

    issuer: Literal["letsencrypt", "letsencrypt-staging", "internal"]
    min_version: Literal["1.2", "1.3"]
    hsts: Hsts


class RateLimit(Strict):
    """Requests per second and client that the proxy lets through."""

    average: Count
    burst: Count


class Network(Strict):
    """Overlay network, firewall, TLS."""

    overlay: Identifier
    firewall: Firewall
    tls: Tls
    rate_limit: RateLimit


class AddressRecord(Strict):
    """A name that leads to a machine of vps.yml."""

    type: Literal["A"]
    name: RecordName
    host: Identifier
    proxied: bool


class AliasRecord(Strict):
    """A name that leads to another name."""

    type: Literal["CNAME"]
    name: RecordName
    target: Domain
    proxied: bool


class TenantRecord(Strict):
    """The record that each tenant gets: <slug> leads to this target."""

    type: Literal["CNAME"]
    target: Domain
    proxied: bool
    ttl: Ttl


class ZoneSettings(Strict):
    """Settings of the zone at the provider."""

    ssl: Literal["off", "flexible", "full", "strict"]
    always_use_https: bool
    brotli: bool
    http3: bool
    zero_rtt: bool
    websockets: bool
    edge_cache_ttl_s: Count
    browser_cache_ttl_s: Count


class Dns(Strict):
    """The zone and its records."""

    provider: Identifier
    zone: Domain = Field(description="The zone of tenants/registry.yml.")
    ttl: Ttl
    records: list[AddressRecord | AliasRecord]
    tenant_record: TenantRecord
    settings: ZoneSettings
    monthly_usd: Count


class BackupParts(Strict):
    """What is backed up."""

    databases: list[Identifier]
    volumes: list[Identifier] = Field(description="Services whose volumes are copied.")
    configuration: list[Identifier] = Field(description="Services whose configuration is copied.")


class Objectives(Strict):
    """What a recovery must reach."""

    rto_h: Count = Field(description="Hours until service is back.")
    rpo_h: Count = Field(description="Hours of work that may be lost.")


class Backup(Strict):
    """When, what, where, how long."""

    daily_at: Clock
    timezone: Timezone
    keep_days: Count
    path: UrlPath
    remote: Line | None = Field(None, description="Name of the second place; null while there is none.")
    parts: BackupParts
    objectives: Objectives
    notify_on_failure: bool


class Alerts(Strict):
    """Share in use at which somebody is told."""

    cpu_percent: Percent
    memory_percent: Percent
    disk_percent: Percent


class Checks(Strict):
    """Health checks."""

    every_s: Count
    timeout_s: Count


class Dashboard(Strict):
    """A dashboard."""

    title: Line
    service: Identifier


class Monitoring(Strict):
    """What is watched."""

    checks: Checks
    alerts: Alerts
    dashboards: dict[Identifier, Dashboard]
