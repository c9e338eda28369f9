# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Registries to test with: sound tenant documents in any number, beside a copy of the project's own specs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils.registry import render
from ansible_collections.smartercl.smarteros.plugins.module_utils.rut import check_digit

SPECS = Path(__file__).resolve().parents[3] / "specs"
PLANS = ("starter", "free", "professional", "enterprise")
SERVICES = (
    "supabase",
    "metabase",
    "odoo",
    "chatwoot",
    "botpress",
    "vercel",
    "n8n",
    "cloudflare",
    "shopify",
    "whatsapp",
)
NOW = "2026-11-22T15:26:43Z"
RUN = "20261122-152643-ab12"


def rut(number: int) -> str:
    """The RUT of the sample tenant of this number."""
    return f"{10_000_000 + number}-{check_digit(10_000_000 + number)}"


def spec(number: int, **changed: Any) -> dict[str, Any]:
    """The spec of a sample tenant; ``None`` takes a key out."""
    slug = changed.get("slug", f"tenant{number:05d}")
    said = {
        "rut": rut(number),
        "name": f"Company {number}",
        "slug": slug,
        "domain": f"{slug}.smarterbot.cl",
        "plan": PLANS[number % 4],
        "owner": {"name": "Ana Pérez", "email": f"ana{number}@example.com"},
        "created_at": NOW,
        "environments": ["sandbox"],
        **changed,
    }
    return {key: value for key, value in said.items() if value is not None}


def block(number: int, phase: str = "active") -> dict[str, Any]:
    """What a run has seen of a sample tenant."""
    services = {
        name: {
            "state": "ready",
            "ref": {"company_id": number, "user_id": 7},
            "url": f"https://example.com/{name}",
            "message": "",
            "at": NOW,
            "created_by": RUN,
        }
        for name in SERVICES
    }
    return {"phase": phase, "run": RUN, "updated_at": NOW, "services": services}


def document(number: int, **changed: Any) -> dict[str, Any]:
    """A sample tenant that is active in the sandbox."""
    return {"spec": spec(number, **changed), "status": {"sandbox": block(number)}}


def write(folder: Path, name: str, content: dict[str, Any]) -> Path:
    """Write a document as a tenant file, whatever it says."""
    path = folder / f"{name}.yml"
    path.write_text("\n".join(render.block(content)) + "\n", encoding="utf-8")
    return path


def make_specs(parent: Path, count: int = 0) -> Path:
    """A folder ``specs`` like the project's, with this many sample tenants; gives the folder."""
    root = parent / "specs"
    shutil.copytree(SPECS, root, ignore=shutil.ignore_patterns("registry"))
    shutil.copytree(SPECS / "services", root / "services", dirs_exist_ok=True)
    folder = root / "tenants" / "registry"
    folder.mkdir(parents=True)
    for number in range(count):
        write(folder, rut(number), document(number))
    return root
