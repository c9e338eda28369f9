"""The stack files of the data stores, of the reverse proxy and of Portainer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.smartercl.smarteros.plugins.filter import traefik as filters
from support import stack_files
from support.stack_files import ROOT, SECRET, stack

SERVICES = ("postgresql", "redis", "traefik", "portainer")


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    stack_files.known_secrets(monkeypatch)


def container(service: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = stack(service, **more).compose["services"][service]
    return found


def static(**more: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(stack_files.text("traefik", "traefik.yml.j2", **more))
    return found


def dynamic(**more: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(stack_files.text("traefik", "dynamic.yml.j2", **more))
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_no_secret_is_in_a_stack_file(service: str) -> None:
    made = stack(service, cloudflare_token=f"{SECRET}cloudflare")
    assert SECRET not in json.dumps(made.compose) + json.dumps(dict(made.configs))
    assert made.secrets


@pytest.mark.parametrize("service", SERVICES)
def test_all_state_is_on_the_first_machine_and_only_one_runs(service: str) -> None:
    deploy = container(service)["deploy"]
    assert deploy["placement"] == {"constraints": ["node.role == manager"]}
    assert deploy["update_config"]["order"] == "stop-first"


@pytest.mark.parametrize("service", SERVICES)
def test_the_same_variables_give_the_same_stack(service: str) -> None:
    assert stack(service).config == stack(service).config


@pytest.mark.parametrize("service", SERVICES)
def test_the_roles_options_are_documented(service: str) -> None:
    folder = ROOT / "roles" / service
    defaults = yaml.safe_load((folder / "defaults" / "main.yml").read_text())
    options = yaml.safe_load((folder / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
    assert set(options) == set(defaults)
    for name, option in options.items():
        if "default" in option:
            assert option["default"] == defaults[name], name


def test_only_the_reverse_proxy_is_on_the_machines_ports() -> None:
    assert [service for service in SERVICES if "ports" in container(service)] == ["traefik"]
    ports = [(port["published"], port["protocol"], port["mode"]) for port in container("traefik")["ports"]]
    assert ports == [(80, "tcp", "host"), (443, "tcp", "host"), (443, "udp", "host")]


# --- PostgreSQL


def test_each_service_that_lists_databases_has_an_account() -> None:
    accounts = yaml.safe_load(stack_files.value("postgresql", "postgresql_accounts | to_json"))
    names = {each["name"]: each["databases"] for each in accounts}
    assert names == {name: [name] for name in ("smarteros", "n8n", "odoo", "chatwoot", "botpress", "metabase")}
    assert {each["password"] for each in accounts} == {f"{SECRET}postgresql_{name}_password" for name in names}
    assert all(each["connections"] > 0 for each in accounts)


def test_a_service_more_or_a_new_password_is_a_changed_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    few = ["postgresql", "n8n"]
    configs = {stack("postgresql", smos_wanted=few).config, stack("postgresql", smos_wanted=[*few, "odoo"]).config}
    monkeypatch.setattr(
        stack_files.Secrets, "run", lambda _self, terms, *_args, **_more: [f"new-{name}" for name in terms]
    )
    configs.add(stack("postgresql", smos_wanted=few).config)
    assert len(configs) == 3


def test_a_setting_of_the_installation_wins() -> None:
    command = container("postgresql", postgresql_more_settings={"work_mem": "16MB"})["command"]
    assert "work_mem=16MB" in command
    assert "work_mem=8MB" not in command
    assert container("postgresql")["healthcheck"]["test"][:4] == ["CMD", "pg_isready", "-q", "-h"]


# --- Redis


def test_redis_has_its_password_in_a_file_of_its_own_user_and_loses_no_entry() -> None:
    made = stack("redis")
    conf = next(value for name, value in made.secrets.items() if "redis.conf" in name)
    for line in (
        f'requirepass "{SECRET}redis_password"',
        "appendonly yes",
        "maxmemory 192mb",
        "maxmemory-policy noeviction",
    ):
        assert line in conf.splitlines()
    mounts = made.compose["services"]["redis"]["secrets"]
    assert {(mount["uid"], mount["mode"]) for mount in mounts} == {("999", 0o400)}


# --- Traefik


def test_traefik_is_confined() -> None:
    own = container("traefik")
    assert (own["read_only"], own["cap_drop"], own["cap_add"]) == (True, ["ALL"], ["NET_BIND_SERVICE"])
    assert not [volume for volume in own["volumes"] if "docker.sock" in str(volume)]
    assert static()["entryPoints"]["traefik"]["address"] == "127.0.0.1:8080"
    assert static()["api"]["insecure"] is False


def test_with_a_token_one_certificate_covers_the_zone_and_without_each_name_has_its_own() -> None:
    with_token = static(cloudflare_token="tok")
    assert with_token["entryPoints"]["websecure"]["http"]["tls"] == {
        "certResolver": "letsencrypt",
        "domains": [{"main": "example.com", "sans": ["*.example.com"]}],
    }
    acme = with_token["certificatesResolvers"]["letsencrypt"]["acme"]
    assert acme["dnsChallenge"]["provider"] == "cloudflare"
    assert (
        container("traefik", cloudflare_token="tok")["environment"]["CF_DNS_API_TOKEN_FILE"] == "/run/secrets/dns_token"
    )
    without = static()
    assert without["entryPoints"]["websecure"]["http"]["tls"] == {"certResolver": "letsencrypt"}
    assert without["certificatesResolvers"]["letsencrypt"]["acme"]["httpChallenge"] == {"entryPoint": "web"}


def test_a_stack_names_the_token_that_it_works_with_also_where_it_is_lacking() -> None:
    token = f"{SECRET}cloudflare"
    assert stack("traefik", cloudflare_token=token).tokens == {"cloudflare": token}
    assert stack("traefik", traefik_acme_challenge="dns").tokens == {"cloudflare": ""}
    assert stack("traefik").tokens == {}
    assert stack("traefik", cloudflare_token=token, traefik_acme_challenge="http").tokens == {}
    assert stack("traefik", cloudflare_token=token, traefik_dns_provider="hetzner").tokens == {}
    assert token not in repr(stack("traefik", cloudflare_token=token))


def test_the_issuer_is_that_of_the_specs_and_the_sandbox_asks_nobody() -> None:
    acme = static()["certificatesResolvers"]["letsencrypt"]["acme"]
    assert acme["caServer"] == "https://acme-v02.api.letsencrypt.org/directory"
    staging = static(traefik_issuer="letsencrypt-staging")["certificatesResolvers"]["letsencrypt"]["acme"]
    assert staging["caServer"] == "https://acme-staging-v02.api.letsencrypt.org/directory"
    sandbox = static(smos_environment="sandbox", cloudflare_token="tok")
    assert "certificatesResolvers" not in sandbox
    assert "dns_token" not in json.dumps(stack("traefik", smos_environment="sandbox", cloudflare_token="tok").compose)


def test_clients_are_told_apart_by_what_the_trusted_proxies_say() -> None:
    source = dynamic()["http"]["middlewares"]["rate-limit"]["rateLimit"]["sourceCriterion"]
    assert source == {"ipStrategy": {"depth": 1, "ipv6Subnet": 64}}
    bare = dynamic(traefik_trusted_proxies=[])["http"]["middlewares"]["rate-limit"]["rateLimit"]["sourceCriterion"]
    assert bare == {"ipStrategy": {"ipv6Subnet": 64}}
    assert "forwardedHeaders" not in static(traefik_trusted_proxies=[])["entryPoints"]["websecure"]


def test_pages_for_operators_may_be_closed_to_other_networks() -> None:
    own = dynamic(traefik_admin_networks=["203.0.113.0/24"])["http"]["middlewares"]["operators"]["ipAllowList"]
    assert own == {"sourceRange": ["203.0.113.0/24"], "ipStrategy": {"depth": 1}}


def test_doors_for_nobody_are_those_of_services_that_run() -> None:
    routers = dynamic(smos_wanted=["traefik", "odoo"])["http"]["routers"]
    assert [name for name in routers if "guard" in name] == ["smarteros-guard-odoo"]


def test_plain_containers_have_routes_only_where_dokploy_makes_them() -> None:
    assert "docker" in static(smos_wanted=["traefik", "dokploy"])["providers"]
    assert "docker" not in static(smos_wanted=["traefik"])["providers"]


@pytest.mark.parametrize(
    ("image", "option"),
    [
        ("traefik:v3.7.9@sha256:0", "underscoreHeadersStrategy"),
        ("127.0.0.1:5000/traefik:3.7.12@sha256:0", "aliasHeadersStrategy"),
        ("traefik:v3.10.0", "aliasHeadersStrategy"),
        ("traefik@sha256:0", "aliasHeadersStrategy"),
    ],
)
def test_an_option_that_this_version_does_not_know_is_not_used(image: str, option: str) -> None:
    assert static(smos_images={"traefik": image})["entryPoints"]["websecure"]["http"][option] == "keep"


def test_what_traefik_takes_up_while_it_runs_is_part_of_what_is_compared() -> None:
    assert stack("traefik").config != stack("traefik", traefik_guards={}).config
    assert stack("traefik").configs == stack("traefik", traefik_guards={}).configs


# As `openssl passwd -apr1 -salt` gives them
@pytest.mark.parametrize(
    ("password", "salt", "line"),
    [
        ("hello World 12345678901234567890", "abcdefgh", "$apr1$abcdefgh$Zs/7dCirOOcjzROYY049l/"),
        ("x", "ab", "$apr1$ab$eIePjsejfBGR8ITtu2z0U1"),
    ],
)
def test_the_dashboards_password_is_hashed_as_apache_does(password: str, salt: str, line: str) -> None:
    assert filters.apr1(password, salt) == line


def test_the_same_password_gives_the_same_line_and_another_one_another() -> None:
    assert filters.users("p" * 30) == filters.users("p" * 30)
    assert filters.users("p" * 30) != filters.users("q" * 30)
    assert filters.users("p" * 30, "me").startswith("me:$apr1$")
    for password, login in (("", "admin"), ("secret", "a:b"), ("secret", "")):
        with pytest.raises(Exception, match="without a colon"):
            filters.users(password, login)


# --- Portainer


def test_portainer_has_no_route_before_its_administrator_is_ours() -> None:
    assert stack("portainer").bootstrap is True
    tasks = yaml.safe_load((Path(ROOT) / "roles/portainer/tasks/main.yml").read_text())
    assert tasks[0]["vars"]["stack_routed"] is False
    assert "--admin-password-file=/run/secrets/portainer_admin_password" in container("portainer")["command"]
