"""What holds the repository together: files that say the same thing twice, links, and what git must refuse."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.smartercl.smarteros.plugins.module_utils import tokens
from smos import envfiles

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENTS = ("sandbox", "staging", "production")


def read_yaml(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def requirements(name: str) -> set[str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return {line.replace('"', "'").strip() for line in lines if line.strip() and not line.startswith(("#", "-"))}


def pins(name: str) -> dict[str, str]:
    """Package with marker → version."""
    found = re.findall(r"^([\w.-]+)==([\w.]+)( ; [^\\]+)?", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    return {package + re.sub(r" (and|or) .*", "", marker).strip(): version for package, version, marker in found}


def test_the_plain_clone_resolves_its_own_collection() -> None:
    link = ROOT / "collections/ansible_collections/smartercl/smarteros"
    assert link.is_symlink()
    assert not link.readlink().is_absolute()
    assert link.resolve() == ROOT


def test_the_package_depends_on_exactly_what_the_lock_files_are_made_from() -> None:
    assert {entry.strip() for entry in pyproject()["project"]["dependencies"]} == requirements("requirements.in")


def test_package_and_collection_have_one_version() -> None:
    assert pyproject()["project"]["version"] == read_yaml("galaxy.yml")["version"]


@pytest.mark.parametrize(
    "name", ["requirements.lock", "requirements-dev.lock", "tests/tools/control.lock", "tests/tools/builder.lock"]
)
def test_every_pinned_package_has_hashes_and_no_index_is_named(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[A-Za-z0-9])", text)
    assert all("--hash=sha256:" in entry for entry in entries if "==" in entry)
    assert "://" not in text
    assert "index-url" not in text


def test_tests_run_on_the_versions_that_are_shipped() -> None:
    shipped, tested = pins("requirements.lock"), pins("requirements-dev.lock")
    by_name = {re.split(r"[;\s]", key)[0] for key in tested}
    assert {re.split(r"[;\s]", key)[0] for key in shipped} <= by_name
    assert {key: version for key, version in shipped.items() if tested.get(key, version) != version} == {}


def test_python_3_11_and_newer_ones_each_get_their_ansible_core() -> None:
    cores = {
        marker: version for marker, version in pins("requirements.lock").items() if marker.startswith("ansible-core")
    }
    assert sorted(version.rsplit(".", 1)[0] for version in cores.values()) == ["2.19", "2.21"]


def test_every_module_is_in_an_action_group() -> None:
    groups = read_yaml("meta/runtime.yml")["action_groups"]
    named = {module for group in groups.values() for module in group if isinstance(module, str)}
    # A module without `main` is the documentation of an action; those take no provider options.
    modules = {path.stem for path in (ROOT / "plugins/modules").glob("*.py") if "def main(" in path.read_text()}
    assert modules == named


def test_every_module_that_reaches_a_provider_can_be_a_task_in_this_process() -> None:
    # The bulk modules have an action of their name, or every call would cost a process; single ones have none.
    bulk = {path.stem for path in (ROOT / "plugins/modules").glob("*.py") if "one_per_tenant(" in path.read_text()}
    assert bulk <= {path.stem for path in (ROOT / "plugins/action").glob("*.py")}


def test_the_index_names_every_folder_of_the_specs() -> None:
    files = read_yaml("specs/index.yml")["files"]
    named = {
        Path(each).parts[0]
        for value in files.values()
        for each in (value.values() if isinstance(value, dict) else [value])
    }
    folders = {path.name for path in (ROOT / "specs").iterdir() if path.is_dir()}
    assert folders - named == {"schemas"}


def documents() -> list[Path]:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [ROOT / name for name in sorted(filter(None, names)) if (ROOT / name).is_file()]


def anchors(path: Path) -> set[str]:
    """The anchors that renderers of Markdown give the headings of a file."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_of_a_document_leads_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^()\s]+)\)", re.sub(r"`[^`\n]*`", "", text)) if "://" not in link]
    lost = []
    for link in links:
        name, _hash, anchor = link.partition("#")
        target = (path.parent / name) if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(link)
    assert lost == []


def test_what_only_a_checkout_needs_stays_out_of_the_built_collection() -> None:
    ignored = set(read_yaml("galaxy.yml")["build_ignore"])
    assert {"collections", "inventories", "specs", "src", "system", "tests", ".smos", "smos"} <= ignored


@pytest.mark.parametrize(
    ("name", "ignored"),
    [
        ("system/env/local/.env", True),
        ("system/env/production/.env.odoo", True),
        ("system/env/production/.env.odoo.bak", True),
        ("system/env/local/.env.example", False),
        ("system/env/local/.env.odoo.template", False),
        (".smos/runs/x.json", True),
        ("specs/tenants/registry/.locks/x", True),
        ("specs/tenants/registry/.12345678-5.yml.tmp", True),
        ("specs/tenants/registry/12345678-5.yml", False),
        ("specs/tenants/registry/.gitkeep", False),
    ],
)
def test_git_refuses_secrets_state_and_half_written_files_only(name: str, ignored: bool) -> None:
    asked = subprocess.run(["git", "check-ignore", "-q", "--no-index", name], cwd=ROOT)
    assert (asked.returncode == 0) is ignored


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_each_inventory_reads_the_registry_and_names_itself(environment: str) -> None:
    source = read_yaml(f"inventories/{environment}/tenants.yml")
    assert (source["plugin"], source["environment"]) == ("smartercl.smarteros.tenants", environment)
    assert read_yaml(f"inventories/{environment}/group_vars/all/main.yml")["smos_environment"] == environment


def provider_settings(environment: str) -> dict[str, str]:
    read = read_yaml(f"inventories/{environment}/group_vars/all/providers.yml")
    return {key: value for key, value in read.items() if not key.startswith("smos_")}


def test_every_inventory_has_the_same_provider_settings() -> None:
    names = [set(provider_settings(environment)) for environment in ENVIRONMENTS]
    assert names[0] == names[1] == names[2]


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_real_environments_take_every_secret_from_the_environment_or_else_from_the_vault(environment: str) -> None:
    settings = provider_settings(environment)
    secrets = {key: str(value) for key, value in settings.items() if tokens.is_secret(key) and value}
    assert {"cloudflare_token", "odoo_secret", "chatwoot_platform_token", "n8n_api_key"} <= set(secrets)
    from_environment = r"lookup\('(ansible\.builtin\.env|smartercl\.smarteros\.environment)', '[A-Z0-9_]+'\)"
    from_vault = r"lookup\('smartercl\.smarteros\.secret', '[a-z0-9_]+', default=''\)"
    taken = re.compile(rf"\{{\{{ {from_environment}(\s+or {from_vault})? \}}\}}")
    assert {key: value for key, value in secrets.items() if not taken.fullmatch(value)} == {}


def templates() -> dict[str, Path]:
    """The templates of environment files by service."""
    found = (ROOT / "system/env/local").glob(".env.*.template")
    return {path.name.removeprefix(".env.").removesuffix(".template"): path for path in found}


def test_every_variable_that_an_inventory_asks_for_is_explained_in_a_template() -> None:
    settings = (ROOT / "inventories/production/group_vars/all/providers.yml").read_text(encoding="utf-8")
    asked = re.findall(r"'ansible\.builtin\.env', '([A-Z0-9_]+)'", settings)
    explained = "".join(path.read_text() for path in (ROOT / "system/env/local").glob(".env.*"))
    assert [name for name in asked if f"\n{name}=" not in explained] == []


def test_every_service_with_a_connection_has_a_template_and_a_section_about_its_token() -> None:
    sections = re.findall(r"^## (.+)$", (ROOT / "docs/tokens.md").read_text(encoding="utf-8"), re.MULTILINE)
    services = read_yaml("specs/services/registry.yml")["services"]
    named = {name for name, service in services.items() if service.get("connection")} | {"smtp", "smos"}
    assert named <= set(templates())
    assert set(templates()) <= {section.lower() for section in sections}


@pytest.mark.parametrize("service", sorted(templates()))
def test_a_template_is_a_good_environment_file_without_a_value(service: str) -> None:
    content = templates()[service].read_bytes()
    assert {name: value for name, _line, value in envfiles.parsed(content) if value} == {}
    assert f"docs/tokens.md#{service}".encode() in content


def test_no_variable_is_in_two_templates() -> None:
    named = [name for path in templates().values() for name, _line, _value in envfiles.parsed(path.read_bytes())]
    assert sorted(named) == sorted(set(named))
