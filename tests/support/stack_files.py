"""A role's templates as a deploy renders them, on the controller, with secrets that can be found again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins import loader as plugins
from ansible.plugins.lookup import LookupBase
from ansible.template import Templar, trust_as_template

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import documents, stacks
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.stack_render import Renderer
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tagless import plain

ROOT = Path(__file__).parents[2]
ZONE, NETWORK = "example.com", "dokploy-network"
DIGEST = "sha256:" + "0" * 64
SECRET = "SECRET-"  # what the value of each begins with


class Secrets(LookupBase):
    """Every secret's value is its own name."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[str]:
        return [f"{SECRET}{term}" for term in terms]


def known_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put them in the place of the vault's."""
    real = plugins.lookup_loader.get

    def get(name: str, *args: Any, **kwargs: Any) -> Any:
        return Secrets(kwargs.get("loader")) if name == "smartercl.smarteros.secret" else real(name, *args, **kwargs)

    monkeypatch.setattr(plugins.lookup_loader, "get", get)


def variables(**more: Any) -> dict[str, Any]:
    """What a deploy knows, with the catalogue of this repository."""
    services = documents.load(ROOT / "specs" / "services" / "registry.yml")["services"]
    catalogue = {name: {"id": name, **entry} for name, entry in services.items()}
    return {
        "smos_zone": ZONE,
        "smos_network": NETWORK,
        "smos_timezone": "America/Santiago",
        "smos_admin_email": "admin@example.com",
        "smos_specs": str(ROOT / "specs"),
        "smos_environment": "production",
        "smos_catalogue": catalogue,
        "smos_wanted": [name for name, entry in catalogue.items() if entry["kind"] in ("infrastructure", "backend")],
        "smos_images": {name: f"registry.example.com/{name}:1.2.3@{DIGEST}" for name in catalogue},
        **more,
    }


def stack(service: str, **more: Any) -> stacks.Stack:
    """The whole stack of a service."""
    role = variables(**more)["smos_catalogue"][service]["role"]
    return stacks.complete(service, _renderer(more).render(role), stacks.Setting(ZONE, NETWORK))


def text(role: str, template: str, **more: Any) -> str:
    """One template of a role."""
    return value(role, f"lookup('ansible.builtin.template', '{template}')", **more)


def value(role: str, expression: str, **more: Any) -> str:
    """What an expression comes to among the variables of a role."""
    loader = DataLoader()
    folder = ROOT / "roles" / role
    defaults = loader.load_from_file(str(folder / "defaults" / "main.yml"), trusted_as_template=True)
    known = {**defaults, **variables(**more), "ansible_search_path": [str(folder)]}
    templar = Templar(loader, known)
    return str(plain(templar.template(trust_as_template("{{ " + expression + " }}"))))


def _renderer(more: dict[str, Any]) -> Renderer:
    loader = DataLoader()
    return Renderer(Templar(loader, {}), loader, variables(**more), ROOT / "roles")
