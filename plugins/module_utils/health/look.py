# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""One look at everything: services, tenants, the machine, certificates, backups. All questions at the same time."""

from __future__ import annotations

import typing as t
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.smartercl.smarteros.plugins.module_utils import probe, vps_status
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.health import figures
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.config import Config, Rules
from ansible_collections.smartercl.smarteros.plugins.module_utils.health.incident import (
    DEGRADED,
    DOWN,
    UNKNOWN,
    UP,
    Observation,
    Subject,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.probe import Probe, Question

AT_ONCE = 128  # tenants that are asked at the same time
GONE, FAILING = 404, 500
Json = dict[str, t.Any]


def look(config: Config, engine: Engine, now: float) -> list[Observation]:
    """What is so now; the machine's own figures are not in it. Without an Engine nothing is known of what it carries."""
    here = {name: Question(each.host, each.path) for name, each in config.services.items()}
    there = {rut: Question(each.host, each.path, each.address or each.host) for rut, each in config.tenants.items()}
    with ThreadPoolExecutor(1) as beside:
        tenants = beside.submit(probe.ask_all, there, config.rules.timeout_s, AT_ONCE)
        status, why = _status(engine, here, config.rules.timeout_s)
        return [
            Observation(Subject("host:engine", "host", "Docker"), DOWN if why else UP, why),
            *(_unseen(config, why) if why else of_services(status["services"], config.targets.get("service"))),
            *of_tenants(config, tenants.result(), now),
            *of_certificates(status.get("certificates", {}), config.rules),
            *of_backups(status.get("backups", {}), config.rules),
        ]


def _status(engine: Engine, questions: Mapping[str, Question], timeout_s: float) -> tuple[Json, str]:
    """How the services are; empty, and why, where the Engine does not say."""
    try:
        found = vps_status.status(engine, questions, timeout_s)
    except EngineError as exc:
        return {}, f"the Docker Engine does not answer: {exc.message}"
    return (found, "") if found["host"]["engine"] else ({}, "there is no Docker Engine")


def _unseen(config: Config, why: str) -> Iterator[Observation]:
    """Services of which nothing is known: their incidents neither begin nor end."""
    for name in config.services:
        target = config.targets.get("service")
        yield Observation(Subject(f"service:{name}", "service", name, service=name, target=target), UNKNOWN, why)


def of_services(services: Mapping[str, Json], target: float | None) -> Iterator[Observation]:
    """Each service; what is not deployed is not watched."""
    for name, each in sorted(services.items()):
        if each["state"] != UNKNOWN or each["version"]:
            about = Subject(f"service:{name}", "service", name, service=name, target=target)
            latency = None if each["latency_ms"] is None else round(each["latency_ms"])
            yield Observation(about, each["state"], each["message"], latency)


def of_tenants(config: Config, answers: Mapping[str, Probe], now: float) -> Iterator[Observation]:
    """Each tenant's public address. An answer of whatever kind shows that it is there, except that nothing is."""
    for rut, watched in sorted(config.tenants.items()):
        target = config.targets.get("tenant")
        about = Subject(f"tenant:{rut}", "tenant", watched.title or watched.host, tenant=rut, target=target)
        found = answers[rut]
        state, message = _judged(found, watched.host)
        if state == UP and found.certificate:
            days = vps_status.certificate(found.certificate, now)["days"]
            if days is not None and days < config.rules.certificate_days:
                state, message = DEGRADED, f"the certificate of {watched.host} ends in {days} days"
        yield Observation(about, state, message, round(found.latency_ms) if found.status else None)


def _judged(found: Probe, host: str) -> tuple[str, str]:
    if found.status == 0:
        return DOWN, f"{host} does not answer: {found.why}"
    if found.status >= FAILING:
        return DOWN, f"{host} answers HTTP {found.status}"
    if found.status == GONE:
        return DEGRADED, f"{host} answers HTTP {found.status}"
    return UP, ""


def of_certificates(certificates: Mapping[str, Json], rules: Rules) -> Iterator[Observation]:
    """Each certificate of the reverse proxy."""
    for host, each in sorted(certificates.items()):
        about = Subject(f"certificate:{host}", "certificate", host)
        days = each["days"]
        if each["self_made"] or days is None:
            yield Observation(about, UNKNOWN, "there is none yet: the reverse proxy shows its own")
        elif days < 0:
            yield Observation(about, DOWN, f"it ended on {each['expires']}")
        else:
            soon = days < rules.certificate_days
            yield Observation(about, DEGRADED if soon else UP, f"it ends in {days} days" if soon else "")


def of_backups(backups: Json, rules: Rules) -> Iterator[Observation]:
    """The newest backup and the newest drill; nothing where the machine makes none."""
    if not backups:
        return
    age, drill = backups["age_h"], backups["drill_age_d"]
    about = Subject("backup:all", "backup", "backup", service="backup")
    if age is None:
        yield Observation(about, DEGRADED, "there is no good backup yet")
    elif age > rules.backup_age_h:
        yield Observation(about, DEGRADED, f"the newest good backup is {age:.0f} h old")
    else:
        failed = next((each["why"] for each in backups["errors"]), "")
        yield Observation(about, DEGRADED if failed else UP, failed)
    about = Subject("drill:all", "backup", "drill", service="backup")
    if drill is None:
        yield Observation(about, UNKNOWN, "no backup was tried out yet")
    else:
        late = drill > rules.drill_age_d
        yield Observation(about, DEGRADED if late else UP, f"the newest drill is {drill:.0f} days old" if late else "")


def of_machine(metrics: Mapping[str, float], rules: Rules) -> Iterator[Observation]:
    """The machine's figures against their thresholds."""
    for name, most in (
        ("cpu_percent", rules.cpu_percent),
        ("memory_percent", rules.memory_percent),
        ("disk_percent", rules.disk_percent),
    ):
        what = name.partition("_")[0]
        about = Subject(f"host:{what}", "host", what)
        value = metrics.get(name)
        if value is None:
            yield Observation(about, UNKNOWN)
        else:
            over = value > most
            yield Observation(
                about, DEGRADED if over else UP, f"{value:.0f} % in use, more than {most:.0f} %" if over else ""
            )


def measured(before: t.Any, load: float) -> tuple[dict[str, float], figures.Ticks]:
    """The machine's figures by name, and the clock for the next time. ``before`` is that of the last time. Raises OSError."""
    now = figures.ticks()
    cpu = figures.cpu_percent(before, now)
    found = {
        "memory_percent": figures.memory_percent(),
        "disk_percent": figures.disk_percent(),
        "load1": round(load, 2),
    }
    return ({**found, "cpu_percent": cpu} if cpu is not None else found), now
