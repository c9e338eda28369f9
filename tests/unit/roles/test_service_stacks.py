"""The stack templates of the applications: what they become when everything else is added, and what is in none of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins import loader as plugins
from ansible.plugins.lookup import LookupBase
from ansible.template import Templar

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import stacks
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.stack_render import Renderer

ROLES = Path(__file__).parents[3] / "roles"
SERVICES = ("n8n", "odoo", "chatwoot", "botpress", "metabase", "dokploy")
DIGEST = "sha256:" + "0" * 64
COMPONENTS = ("postgresql", "n8n", "n8n-runners", "odoo", "chatwoot", "botpress", "metabase", "dokploy")
VARIABLES = {
    "smos_zone": "example.com",
    "smos_timezone": "America/Santiago",
    "smos_network": "dokploy-network",
    "smos_admin_email": "admin@example.com",
    "smos_images": {name: f"registry.example.com/{name}:1.2.3@{DIGEST}" for name in COMPONENTS},
}


class Secrets(LookupBase):
    """Every secret is its own name, so that it can be found again."""

    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[str]:
        return [f"SECRET-{term}-'$\"" if "key" in term else f"SECRET-{term}" for term in terms]


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    real = plugins.lookup_loader.get

    def get(name: str, *args: Any, **kwargs: Any) -> Any:
        return Secrets(kwargs.get("loader")) if name == "smartercl.smarteros.secret" else real(name, *args, **kwargs)

    monkeypatch.setattr(plugins.lookup_loader, "get", get)


def stack(service: str, **more: Any) -> stacks.Stack:
    loader = DataLoader()
    renderer = Renderer(Templar(loader, {}), loader, {**VARIABLES, **more}, ROLES)
    return stacks.complete(service, renderer.render(service), stacks.Setting("example.com", "dokploy-network"))


@pytest.mark.parametrize("service", SERVICES)
def test_no_secret_is_in_the_stack_file_or_in_an_environment(service: str) -> None:
    made = stack(service)
    assert "SECRET-" not in json.dumps(made.compose)
    assert "SECRET-" in json.dumps(dict(made.secrets))
    assert made.bootstrap is True


@pytest.mark.parametrize("service", SERVICES)
def test_every_container_is_watched_pinned_and_limited(service: str) -> None:
    made = stack(service)
    for name, each in made.compose["services"].items():
        assert each["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL"), name
        assert each["image"].endswith(DIGEST)
        reserved, limit = made.memory[name]
        assert 0 < reserved <= limit


@pytest.mark.parametrize("service", SERVICES)
def test_a_dollar_sign_is_doubled_since_compose_would_take_it_for_a_variable(service: str) -> None:
    assert not re.search(r"(?<!\$)\$(?!\$)", json.dumps(stack(service).compose).replace("$$", ""))


@pytest.mark.parametrize("service", SERVICES)
def test_the_same_variables_give_the_same_stack(service: str) -> None:
    assert stack(service).config == stack(service).config


def test_all_of_them_fit_the_machine_beside_the_infrastructure() -> None:
    sums = [sum(pair[which] for name in SERVICES for pair in stack(name).memory.values()) for which in (0, 1)]
    assert sums[0] <= 8192 - 600 - 1200  # the system, and PostgreSQL, Redis, Traefik and Portainer with room to spare
    assert sums[1] <= 8192 + 4096 - 600 - 1900


def test_only_chatwoots_web_server_may_run_twice_during_an_update() -> None:
    orders = {
        name: each["deploy"]["update_config"]["order"]
        for service in SERVICES
        for name, each in stack(service).compose["services"].items()
    }
    assert {name for name, order in orders.items() if order == "start-first"} == {"chatwoot"}


def test_nothing_is_published_on_the_machine() -> None:
    for service in SERVICES:
        assert not any("ports" in each for each in stack(service).compose["services"].values())


def test_odoo_keeps_its_manager_shut_and_its_master_password_hashed() -> None:
    (text,) = stack("odoo").secrets.values()
    options = dict(line.split(" = ", 1) for line in text.splitlines() if " = " in line)
    assert (options["list_db"], options["proxy_mode"], options["workers"]) == ("False", "True", "2")
    assert options["dbfilter"] == "^odoo$"
    assert options["limit_memory_soft"] == str(640 * 1024 * 1024)
    assert re.fullmatch(r"\$pbkdf2-sha512\$25000\$[A-Za-z0-9./]{22}\$[A-Za-z0-9./]{86}", options["admin_passwd"])
    assert "SECRET-odoo_master_password" not in text
    labels = stack("odoo").compose["services"]["odoo"]["deploy"]["labels"]
    assert labels["traefik.http.routers.odoo-1.rule"] == "Host(`odoo.example.com`) && (PathPrefix(`/websocket`))"
    assert labels["traefik.http.services.odoo-1.loadbalancer.server.port"] == "8072"


def test_odoo_is_not_started_by_the_entry_point_that_shows_the_password_of_the_database() -> None:
    assert stack("odoo").compose["services"]["odoo"]["entrypoint"] == ["odoo"]


def test_a_further_module_of_odoo_is_a_changed_stack() -> None:
    assert stack("odoo").config != stack("odoo", odoo_modules=["base", "stock"]).config


def test_botpress_shows_the_web_chat_and_nothing_else() -> None:
    labels = stack("botpress").compose["services"]["botpress"]["deploy"]["labels"]
    rules = {key: value for key, value in labels.items() if key.endswith(".rule")}
    assert len(rules) == 1
    (pattern,) = re.findall(r"PathRegexp\(`(.*)`\)", *rules.values())
    for path in ("/api/v1/bots/acme/converse/7/secured", "/api/v1/bots/acme/mod/channel-web/messages"):
        assert re.match(pattern, path)
    for path in ("/api/v2/admin/auth/config", "/api/v1/bots/acme/converse2", "/api/v1/bots/acme/x/converse", "/studio"):
        assert not re.match(pattern, path)
    environment = stack("botpress").compose["services"]["botpress"]["environment"]
    assert environment["BP_CONFIG_CONVERSE_ENABLEUNSECUREDENDPOINT"] == "false"
    assert "botpress.io" not in json.dumps(environment)


def test_n8n_may_have_its_runners_apart() -> None:
    made = stack("n8n", n8n_runners="external")
    assert set(made.compose["services"]) == {"n8n", "n8n-runners"}
    tokens = [value for value in made.secrets.values() if "n8n_runners_token" in value]
    assert len(tokens) == 2  # as a file for the one, as a variable for the other
    assert made.compose["services"]["n8n"]["environment"]["N8N_RUNNERS_MODE"] == "external"


def test_chatwoots_containers_have_the_same_settings_and_the_same_files() -> None:
    services = stack("chatwoot").compose["services"]
    web, worker = services["chatwoot"], services["chatwoot-worker"]
    assert web["environment"] == worker["environment"]
    assert web["volumes"] == worker["volumes"]
    assert web["environment"]["ENABLE_ACCOUNT_SIGNUP"] == "false"
    assert "X-Forwarded-Proto: https" in web["healthcheck"]["test"]
    assert worker["deploy"]["labels"]["traefik.enable"] == "false"


@pytest.mark.parametrize("service", ["chatwoot", "metabase"])
def test_the_password_of_the_mail_server_is_a_secret(service: str) -> None:
    mail = {"host": "smtp.example.com", "port": 587, "user": "u", "password": "hush-hush", "from": "a@example.com"}
    for given in (mail, json.dumps(mail)):
        made = stack(service, **{f"{service}_smtp": given})
        assert "smtp.example.com" in json.dumps(made.compose)
        assert "hush-hush" not in json.dumps(made.compose)
        assert "hush-hush" in json.dumps(dict(made.secrets))
