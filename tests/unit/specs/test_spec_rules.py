# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.rules import judge_specs
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import SpecError, Specs, load
from unit.specs.conftest import Edit
from unit.specs.samples import SERVICES, SPECS

CATALOGUE = "services/registry.yml"
REGISTRY = "tenants/registry.yml"
VERSIONS = "smos-version.yml"
SECRETS = "secrets.yml"

# what it is, file, text, its replacement, line that holds it, key, words of the rule
ROWS = [
    ("an unknown key", "index.yml", "format: 1", "fromat: 1", "fromat", "fromat", "Only keys"),
    ("a path that leaves the folder", "index.yml", "smos-version.yml", "../smos-version.yml", "../smos", "files.versions", "relative"),
    ("a named file that is not there", "index.yml", "infra/dns.yml", "infra/none.yml", "", "", "must exist"),
    ("a folder in another place", "index.yml", "workflows: workflows", "workflows: flows", "workflows: flows", "files.workflows", "One of"),
    ("a key given twice", CATALOGUE, "    kind: saas\n", "    kind: saas\n    kind: saas\n", "", "kind", "once"),
    ("a dependency that is no service", CATALOGUE, "depends_on: [postgresql, redis]", "depends_on: [postgresql, rediz]",
     "rediz", "services.n8n.depends_on[1]", "exists"),
    ("a circle of dependencies", CATALOGUE, "    port: 6379", "    port: 6379\n    depends_on: [n8n]", "depends_on: [n8n]",
     "services.redis.depends_on", "no circle"),
    ("a service that needs itself", CATALOGUE, "    port: 6379", "    port: 6379\n    depends_on: [redis]",
     "depends_on: [redis]", "services.redis.depends_on", "no circle"),
    ("a port of the machine taken twice", CATALOGUE, "    port: 9000", "    port: 9000\n    publish: [80]",
     "    publish: [80]\n", "services.portainer.publish[0]", "one service"),
    ("a database that is public", CATALOGUE, "    port: 5432", "    port: 5432\n    publish: [5432]", "publish: [5432]",
     "services.postgresql.publish[0]", "no port"),
    ("the port of SSH taken", CATALOGUE, "publish: [80, 443]", "publish: [80, 443, 22]", "publish: [80", "services.traefik.publish",
     "one service"),
    ("a host name taken twice", CATALOGUE, "    host: portainer", "    host: traefik", "    host: traefik\n    health: {path: /api/status}",
     "services.portainer.host", "one service"),
    ("a host name that a tenant could take", CATALOGUE, "    host: portainer", "    host: harbour", "host: harbour",
     "services.portainer.host", "reserved"),
    ("entries without a role", CATALOGUE, "    role: n8n\n", "", "    entries: [main, tenant]\n    provisioning: 50",
     "services.n8n.entries", "role"),
    ("no place in the order of provisioning", CATALOGUE, "    provisioning: 50\n", "", "  n8n:", "services.n8n", "place"),
    ("a deployment of what is not there", CATALOGUE, "order: [postgresql", "order: [mysql, postgresql", "mysql",
     "deployment.order[0]", "exists"),
    ("a deployment before its dependency", CATALOGUE, "[postgresql, redis, socket-proxy, traefik, n8n",
     "[n8n, postgresql, redis, socket-proxy, traefik", "order:", "deployment.order[0]", "after"),
    ("an unknown kind", CATALOGUE, "kind: saas", "kind: sass", "sass", "services.supabase.kind", "One of"),
    ("a port that is no port", CATALOGUE, "port: 5678", "port: 70000", "70000", "services.n8n.port", ""),
    ("a version that became a number", CATALOGUE, 'version: "16"', "version: 16", "version: 16", "services.postgresql.version", "text"),
    ("versions that differ", VERSIONS, "    version: 17.0-20260723", "    version: 18.0-20260723", "18.0",
     "components.odoo.version", "same"),
    ("a component that is no service", VERSIONS, "  odoo:\n", "  oddo:\n", "  oddo:", "components.oddo", "exists"),
    ("a component of no service", VERSIONS, "    service: n8n", "    service: n9n", "n9n", "components.n8n-runners.service", "exists"),
    ("an advisory on what is no part", VERSIONS, "- component: botpress\n        id: EOL", "- component: n9n\n        id: EOL", "n9n",
     "history[0].advisories[13].component", "exists"),
    ("an advisory without its id", VERSIONS, "id: GHSA-w3gm-rc4p-9rhj", "id: the worst", "the worst",
     "history[0].advisories[10].id", "CVE or GHSA"),
    ("an upgrade of what is no part", VERSIONS, "upgrades:\n  - component: n8n", "upgrades:\n  - component: n9n", "component: n9n",
     "upgrades[0].component", "exists"),
    ("a range that is none", VERSIONS, "from: <2.0", "from: before 2", "before 2", "upgrades[1].from", "range of versions"),
    ("a release that is there twice", VERSIONS, 'history:\n  - version: "0.1.0"', 'history:\n  - version: "0.2.0"', "",
     "history[0].version", "once"),
    ("an image without a tag", VERSIONS, "image: redis:7.2.11", "image: redis", "image: redis\n", "components.redis.image", "name:tag"),
    ("a secret of no service", SECRETS, "{service: redis,", "{service: rediz,", "rediz", "secrets.redis_password.service", "exists"),
    ("a secret for no service", SECRETS, "used_by: [odoo]", "used_by: [oddo]", "oddo", "secrets.postgresql_odoo_password.used_by[0]",
     "exists"),
    ("a generated secret that is short", SECRETS, "kind: symbols\n    length: 32", "kind: symbols\n    length: 16", "length: 16",
     "secrets.chatwoot_admin_password.length", "128 bits"),
    ("a password longer than n8n takes", SECRETS, "kind: password\n    length: 40", "kind: password\n    length: 80", "length: 80",
     "secrets.dokploy_postgres_password.length", "services take"),
    ("a secret without length", SECRETS, "    kind: hex\n    length: 64\n", "    kind: hex\n", "n8n_encryption_key:",
     "secrets.n8n_encryption_key", "128 bits"),
    ("a token that we are to rotate", SECRETS, "    kind: made\n    rotation: documented", "    kind: made\n    rotation: live", "",
     "secrets.dokploy_api_key.rotation", "Only generated"),
    ("a refusal without a way out", SECRETS, "    rotation: never\n    why: Salt", "    rotation: never\n    # why: Salt", "",
     "secrets.chatwoot_record_salt.why", "needed"),
    ("a rotation by hand that is not described", SECRETS, "rotation: restart, why: Odoo's", "rotation: never, why: Odoo's",
     "odoo_master_password:", "secrets.odoo_master_password", "what a person does"),
    ("a database without its password", SECRETS, "  postgresql_odoo_password:", "  postgresql_oddo_password:", "",
     "services.odoo.databases[0]", "its password"),
    ("a default plan that is not sold", REGISTRY, "default_plan: starter", "default_plan: gold", "gold", "default_plan", "exists"),
    ("a plan without a flag", REGISTRY, "      priority_support: false\n", "", "features:", "plans.free.features", "every feature"),
    ("a plan without a limit", REGISTRY, "{users: 2, bots: 1,", "{users: 2,", "users: 2", "plans.free.limits.bots", "needed"),
    ("bounds that nothing keeps to", REGISTRY, "name: {min_length: 3, max_length: 64}", "name: {min_length: 9, max_length: 8}",
     "min_length: 9", "naming.name.min_length", "not above"),
    ("bounds that are wider than the form", REGISTRY, "slug: {min_length: 3, max_length: 32}", "slug: {min_length: 3, max_length: 63}",
     "63", "naming.slug.max_length", ""),
    ("a record that a tenant could take", REGISTRY, "  - mkt\n", "", "", "records[11].name", "reserved"),
    ("a zone that differs", "infra/dns.yml", "zone: smarterbot.cl", "zone: example.com", "zone: example.com", "zone", "zone"),
    ("a name with two records", "infra/dns.yml", "name: dash", "name: app", "", "records[10].name", "one record"),
    ("a record to no machine", "infra/dns.yml", 'name: "@", host: vps', 'name: "@", host: vpz', "vpz", "records[0].host", "machine"),
    ("a template without its default", "tenants/template.yml", "  default:\n", "  standard:\n", "", "templates.default", "needed"),
    ("a default template without a region", "tenants/template.yml", "    region: main", "    # region: main", "default:",
     "templates.default.region", "needed"),
    ("a template with an unknown service", "tenants/template.yml", "    industry: services",
     "    services: {sap: {enabled: true}}", "sap", "templates.services.services.sap", "service"),
    ("a template with an unknown flag", "tenants/template.yml", "    industry: services", "    features: {magic: true}", "magic",
     "templates.services.features.magic", "feature flag"),
    ("a default environment that is not there", "environments.yml", "default: sandbox", "default: lab", "lab", "default", "exists"),
    ("an unknown policy", "environments.yml", "rut_policy: strict", "rut_policy: stern", "stern",
     "environments.staging.rut_policy", "One of"),
    ("a backup of no database", CATALOGUE, "databases: {n8n: [", "databases: {n9n: [", "n9n", "services.n8n.backup.databases.n9n",
     "exists"),
    ("a database that is not backed up", CATALOGUE, "      databases: {n8n: [workflow_entity, credentials_entity]}\n", "",
     "databases: [n8n]", "services.n8n.databases[0]", "is backed up"),
    ("a backup without its key", CATALOGUE, "keys: [n8n_encryption_key]", "keys: [n8n_encryption]", "n8n_encryption]",
     "services.n8n.backup.keys[0]", "exists"),
    ("files of no volume", CATALOGUE, "        volume: odoo-data", "        volume: odoo-files", "volume: odoo-files",
     "services.odoo.backup.attachments.volume", "exists"),
    ("patterns for no volume", CATALOGUE, "leave_out: {odoo-data:", "leave_out: {odoo-file:", "odoo-file",
     "services.odoo.backup.leave_out.odoo-file", "exists"),
    ("a server of no service", CATALOGUE, "server: dokploy_dokploy-postgres", "server: dokplay_dokploy-postgres", "dokplay",
     "services.dokploy.backup.server", "exists"),
    ("a remote that is there twice", "infra/backup.yml", "remotes: []",
     "remotes: [{name: far, repository: /a}, {name: far, repository: /b}]", "name: far", "remotes[1].name", "once"),
    ("a remote without its secret", "infra/backup.yml", "remotes: []",
     "remotes: [{name: far, repository: /a, secrets: {AWS_SECRET_ACCESS_KEY: backup_far}}]", "backup_far",
     "remotes[0].secrets.AWS_SECRET_ACCESS_KEY", "exists"),
    ("a secret of the machine that a run is to rotate", SECRETS, "    rotation: documented\n    why: Every backup",
     "    rotation: live\n    why: Every backup", "rotation: live", "secrets.backup_password.rotation", "by a person"),
    ("a time that is a sexagesimal number elsewhere", "infra/backup.yml", '"02:00"', "25:00", "25:00", "daily_at", "time of day"),
    ("quiet hours at no time", "infra/monitoring.yml", 'begin: "22:00"', 'begin: "25:00"', "25:00",
     "alerts.quiet_hours.begin", "time of day"),
    ("quiet hours without end", "infra/monitoring.yml", 'end: "08:00"', 'end: "22:00"', "quiet_hours", "alerts.quiet_hours.end", "another"),
    ("an alert by no channel", "infra/monitoring.yml", "warning: [email, webhook]", "warning: [pigeon]", "pigeon",
     "alerts.channels.warning[0]", "One of"),
    ("an alert to nobody", "infra/monitoring.yml", "contact: deputy", "contact: boss", "boss", "alerts.escalation[0].contact", "One of"),
    ("a silence of one look", "infra/monitoring.yml", "collector_silent_min: 20", "collector_silent_min: 9", "silent_min: 9",
     "alerts.collector_silent_min", "two looks"),
    ("a dashboard on no service", "infra/monitoring.yml", "service: metabase", "service: grafana", "grafana",
     "dashboards.system-health.service", "service"),
    ("a firewall that shuts SSH out", "infra/network.yml", "{port: 22,", "{port: 2222,", "open:", "firewall.open", "SSH"),
    ("two decisions of one number", "decision-tree.yml", "ADR-002", "ADR-001", "", "decisions[1].id", "once"),
]  # a table, easier to compare in rows  # fmt: skip


def test_the_committed_specs_are_sound(root: Path) -> None:
    assert judge_specs(root) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "marker", "key", "rule"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_a_broken_rule_is_told_by_file_line_and_key(
    root: Path, edit: Edit, file: str, old: str, new: str, marker: str, key: str, rule: str
) -> None:
    path = edit(file, old, new)
    mistakes = judge_specs(root)
    mistake = next((one for one in mistakes if one.key == key), None)
    assert mistake is not None, mistakes
    assert rule in mistake.rule
    if marker:
        text = path.read_text(encoding="utf-8")
        assert (mistake.file, mistake.line) == (f"specs/{file}", text[: text.index(marker)].count("\n") + 1)
    else:
        assert mistake.file.startswith("specs/")
    assert all(mistake.as_error().values())


def test_each_circle_is_told_once(root: Path, edit: Edit) -> None:
    edit(CATALOGUE, "    port: 6379", "    port: 6379\n    depends_on: [n8n]")
    assert [one.message for one in judge_specs(root) if "circle" in one.rule] == ["redis → n8n → redis."]


def test_a_mistake_that_no_run_leans_on_does_not_stop_runs(root: Path, edit: Edit) -> None:
    edit("infra/backup.yml", "keep_days: 7", "keep_days: seven")
    assert load(root).zone == "smarterbot.cl"
    assert [one.key for one in judge_specs(root)] == ["keep_days"]


def test_loading_tells_every_mistake_at_once(root: Path, edit: Edit) -> None:
    edit(CATALOGUE, "port: 5678", "port: 0")
    edit(REGISTRY, "default_plan: starter", "default_plan: 5")
    with pytest.raises(SpecError) as refused:
        load(root)
    assert sorted(one.key for one in refused.value.mistakes) == ["default_plan", "services.n8n.port"]
    assert "specs/services/registry.yml:" in str(refused.value)


def test_a_folder_without_specs_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"index\.yml"):
        load(tmp_path)
    assert judge_specs(tmp_path)


def test_tenants_are_judged_with_the_rest(root: Path) -> None:
    folder = root / "tenants" / "registry"
    (folder / "12345678-5.yml").write_text(
        "spec:\n  rut: 12345678-5\n  name: Acme Corp\n  plan: gold\n", encoding="utf-8"
    )
    (folder / "76086428-5.yml").write_text("spec: [\n", encoding="utf-8")
    found = {(one.file.rpartition("/")[2], one.line, one.key) for one in judge_specs(root)}
    assert found == {
        ("76086428-5.yml", 2, ""),
        ("12345678-5.yml", 4, "spec.plan"),
        ("12345678-5.yml", 1, "spec.slug"),
        ("12345678-5.yml", 1, "spec.domain"),
    }


def test_services_of_tenants_come_in_provisioning_order(specs: Specs) -> None:
    found = {service["id"]: service for service in specs.tenant_services()}
    assert list(found) == list(SERVICES)
    assert found["odoo"]["connection"] == ["odoo_url", "odoo_database", "odoo_login", "odoo_secret"]
    needed = {name for name, service in found.items() if not service.get("optional")}
    assert needed == {"odoo", "chatwoot", "n8n", "cloudflare"}


def test_services_with_the_same_place_work_at_the_same_time(specs: Specs) -> None:
    assert specs.waves(["cloudflare", "n8n", "odoo", "chatwoot"]) == [["odoo", "chatwoot"], ["n8n"], ["cloudflare"]]
    assert specs.waves([]) == []
    waves = specs.waves(reversed(SERVICES))
    assert [set(wave) for wave in waves] == [
        {"supabase"},
        {"metabase", "odoo", "chatwoot", "botpress", "vercel"},
        {"n8n"},
        {"cloudflare", "shopify"},
        {"whatsapp"},
    ]


def test_environments_have_their_policy(specs: Specs) -> None:
    policies = {env: specs.rut_policy(env) for env in ("sandbox", "development", "staging", "production", "unheard-of")}
    assert policies == {"sandbox": "warn", "development": "warn"} | dict.fromkeys(
        ("staging", "production", "unheard-of"), "strict"
    )


def test_limits_are_those_of_the_plans(specs: Specs) -> None:
    assert specs.limits["free"] == {"users": 2, "bots": 1, "workflows": 5, "storage_gb": 1}
    assert specs.limits["enterprise"] == {"users": None, "bots": None, "workflows": None, "storage_gb": 100}


def test_examples_use_documentation_addresses_only() -> None:
    text = (SPECS / "infra" / "vps.yml").read_text(encoding="utf-8")
    assert "203.0.113." in text
    assert "2001:db8:" in text
