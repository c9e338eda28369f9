# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The infrastructure: VPS, network, backup, monitoring. DNS has a file of its own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from smos.specs.base import Clock, Count, Identifier, Line, Port, Strict, UrlPath, text
from smos.specs.cost import Priced, Usd
from smos.specs.secret_names import SecretName
from smos.specs.tenant import Timezone

EnvironmentName = Annotated[str, text("[A-Z_][A-Z0-9_]{0,63}", "A variable of the environment has A-Z, 0-9 and _.")]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Percent = Annotated[int, Field(ge=1, le=100)]
Address4 = Annotated[str, text(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}", "An IPv4 address is written as 203.0.113.10.")]
Address6 = Annotated[str, text("[0-9a-f:]{2,39}", "An IPv6 address is written as 2001:db8::10.")]


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
    monthly_usd: Usd
    priced: Priced | None = Field(None, description="Where the figure is from.")


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


class RemoteRepository(Strict):
    """A second place for the backups. Its credentials are in the vault."""

    name: Identifier
    repository: Line = Field(description="As restic writes it: s3:https://…, sftp:user@host:/folder, or a folder.")
    keep_daily: Count = Field(0, description="Days that are kept there; 0: as many as on the machine.")
    environment: dict[EnvironmentName, Line] = Field(
        default={}, description="Variables that restic needs for it and that are no secret, as AWS_DEFAULT_REGION."
    )
    secrets: dict[EnvironmentName, SecretName] = Field(
        default={}, description="Variables that restic needs for it: the secret that each has its value from."
    )


class Objectives(Strict):
    """What a recovery must reach."""

    rto_h: Count = Field(description="Hours until service is back.")
    rpo_h: Count = Field(description="Hours of work that may be lost.")


class WalArchive(Strict):
    """Whether all that PostgreSQL writes is archived, so that any moment can be brought back."""

    enabled: bool = False
    every_s: Annotated[int, Field(ge=60, le=3600)] = Field(
        180, description="Seconds after which what was written is safe."
    )
    base_days: Annotated[int, Field(ge=1, le=30)] = Field(1, description="Days between copies of the whole server.")
    keep_days: Annotated[int, Field(ge=1, le=365)] = Field(
        7, description="Days of which any moment can be brought back."
    )


class Backup(Strict):
    """When, where, how long. What is backed up is in the catalogue, service by service."""

    daily_at: Clock
    timezone: Timezone
    check_day: Weekday = Field("sat", description="Day on which a share of all stored data is read again.")
    drill_day: Weekday = Field("sun", description="Day on which the newest backup is restored beside what runs.")
    keep_days: Annotated[int, Field(ge=1, le=3650)]
    keep_weekly: Count = Field(0, description="Weeks of which the newest backup stays.")
    keep_monthly: Count = Field(0, description="Months of which the newest backup stays.")
    path: UrlPath
    remotes: list[RemoteRepository] = Field(default=[], description="Where every backup is copied to.")
    upload_kib_s: Count = Field(0, description="KiB per second that copying may take; 0 for no limit.")
    floor_percent: Percent = Field(50, description="A dump below this share of the one before it is doubted.")
    wal: WalArchive | None = Field(None, description="Archive of all that PostgreSQL writes.")
    objectives: Objectives
    notify_on_failure: bool


Channel = Literal["whatsapp", "email", "webhook"]
Channels = Annotated[list[Channel], Field(min_length=1)]


class BySeverity(Strict):
    """The admin's channels, by how bad it is. Where none of them is configured, all that are configured are used."""

    critical: Channels
    warning: Channels


class Escalation(Strict):
    """Who else is told of what is critical and still open."""

    after_min: Annotated[int, Field(ge=5, le=1440, description="Minutes since it was known to be critical.")]
    contact: Literal["admin", "deputy"]
    channels: Channels


class QuietHours(Strict):
    """When warnings wait, by the local clock."""

    begin: Clock
    end: Clock


class Reminders(Strict):
    """Hours after which what is still open is told again."""

    critical: Annotated[int, Field(ge=1, le=168)]
    warning: Annotated[int, Field(ge=1, le=720)]


class Flapping(Strict):
    """When something that comes and goes is told as one thing."""

    times: Annotated[int, Field(ge=2, le=20, description="Incidents of one thing …")]
    within_min: Annotated[int, Field(ge=15, le=720, description="… within so many minutes.")]


class Alerts(Strict):
    """Share in use at which somebody is told, and who is told of incidents, when and how often."""

    cpu_percent: Percent
    memory_percent: Percent
    disk_percent: Percent
    channels: BySeverity
    escalation: list[Escalation] = Field([], max_length=5)
    quiet_hours: QuietHours | None = Field(None, description="None where it is empty.")
    remind_h: Reminders
    flapping: Flapping
    per_hour: Annotated[
        int, Field(ge=1, le=30, description="Messages per channel; twice as many when something is critical.")
    ]
    collector_silent_min: Annotated[int, Field(ge=5, le=240, description="Minutes without a look until that is told.")]


class Checks(Strict):
    """Health checks, and after how many in a row something is an incident, and none any more."""

    every_s: Annotated[int, Field(ge=60, le=3600)]
    timeout_s: Annotated[int, Field(ge=1, le=60)]
    open_after: Annotated[int, Field(ge=1, le=20)] = 2
    close_after: Annotated[int, Field(ge=1, le=20)] = 2


class Expiry(Strict):
    """From when on something that ends, or grows old, is told."""

    certificate_days: Annotated[int, Field(ge=1, le=60, description="Days before a certificate's end.")]
    drill_age_d: Annotated[int, Field(ge=1, le=90, description="Days since the newest trial restore.")]


class Sla(Strict):
    """Availability that is aimed at, in percent of the time that is known."""

    service: Annotated[float, Field(gt=0, le=100)]
    tenant: Annotated[float, Field(gt=0, le=100)]


class Dashboard(Strict):
    """A dashboard."""

    title: Line
    service: Identifier


class Monitoring(Strict):
    """What is watched."""

    checks: Checks
    alerts: Alerts
    expiry: Expiry
    sla: Sla
    dashboards: dict[Identifier, Dashboard]
