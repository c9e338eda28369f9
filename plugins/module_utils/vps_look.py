# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a machine looks like to a deploy: system, memory, disk, clock, ports, Engine. Everything in one look, nothing changed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import typing as t
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError

PROC = Path("/proc")
OS_RELEASE = Path("/etc/os-release")
LISTEN = "0A"  # state of a socket in /proc/net/tcp
WEB_PORTS = (80, 443)
MIB = 1024 * 1024

Json = dict[str, t.Any]


def host() -> Json:
    """System, cpus, memory and swap in MiB, free disk in GB, whether the clock is right, and who has the web's ports."""
    release = _pairs(OS_RELEASE.read_text(encoding="utf-8"), "=")
    memory = _pairs((PROC / "meminfo").read_text(encoding="utf-8"), ":")
    disk = shutil.disk_usage("/var/lib/docker" if Path("/var/lib/docker").is_dir() else "/")
    return {
        "name": socket.gethostname(),
        "os": release.get("ID", ""),
        "os_version": release.get("VERSION_ID", ""),
        "os_title": release.get("PRETTY_NAME", ""),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_mb": _kib(memory, "MemTotal") // 1024,
        "available_mb": _kib(memory, "MemAvailable") // 1024,
        "swap_mb": _kib(memory, "SwapTotal") // 1024,
        "disk_gb": round(disk.total / 1e9, 1),
        "disk_free_gb": round(disk.free / 1e9, 1),
        "load": list(os.getloadavg()),
        "uptime_s": float((PROC / "uptime").read_text(encoding="utf-8").split()[0]),
        "clock_synced": _clock_synced(),
        "container": _is_container(),
    }


def engine(docker: Engine) -> Json:
    """Whether there is an Engine, which, and this machine's place in a Swarm."""
    if not docker.present:
        return {"present": False, "version": "", "api": "", "swarm": "inactive", "manager": False, "managers": []}
    info, version = docker.get("/info"), docker.get("/version")
    swarm = info.get("Swarm") or {}
    return {
        "present": True,
        "version": str(version["Version"]),
        "api": str(version["ApiVersion"]),
        "swarm": str(swarm.get("LocalNodeState", "inactive")),
        "manager": bool(swarm.get("ControlAvailable")),
        "node": str(swarm.get("NodeID", "")),
    }


def strangers_on(docker: Engine, ports: t.Sequence[int] = WEB_PORTS) -> dict[int, str]:
    """Who listens on these ports, where it is not a container of a stack of ours; in words for the operator."""
    listening = [port for port in ports if port in listening_ports()]
    if not listening:
        return {}
    found: dict[int, str] = dict.fromkeys(listening, "a program that is not a container")
    try:
        containers = docker.get("/containers/json") if docker.present else []
    except EngineError:
        containers = []
    for each in containers:
        for binding in each.get("Ports") or ():
            if binding.get("PublicPort") in found:
                labels = each.get("Labels") or {}
                ours = "com.docker.swarm.service.name" in labels
                name = str((each.get("Names") or ["?"])[0]).lstrip("/")
                found[binding["PublicPort"]] = (
                    "" if ours else f"container {name} ({each['Image']}), which is not managed here"
                )
    return {port: who for port, who in found.items() if who}


def listening_ports() -> set[int]:
    """TCP ports that something listens on, on any address."""
    found = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == LISTEN:
                found.add(int(fields[1].rpartition(":")[2], 16))
    return found


def _pairs(text: str, separator: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        key, sign, value = line.partition(separator)
        if sign:
            found[key.strip()] = value.strip().strip('"')
    return found


def _kib(memory: t.Mapping[str, str], key: str) -> int:
    return int(memory.get(key, "0").split()[0])


def _clock_synced() -> bool | None:
    """Whether the clock follows a source; None where nobody can tell."""
    try:
        # No AnsibleModule here
        shown = subprocess.run(  # pylint: disable=ansible-bad-function
            ["timedatectl", "show", "-p", "NTPSynchronized", "--value"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(shown.stdout.strip())


def _is_container() -> bool:
    """A container has no clock, swap or kernel settings of its own."""
    try:
        return b"container=" in (PROC / "1" / "environ").read_bytes()
    except OSError:
        return Path("/.dockerenv").exists()
