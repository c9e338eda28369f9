"""The frontends of the specs: what is refused, and what becomes of them on their way to Vercel."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import frontends, releases, specs
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.documents import load
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.rules import judge_specs
from unit.specs.samples import SPECS

REGISTRY = "frontends/registry.yml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SPECS, tmp_path / "specs"))


def told(root: Path) -> str:
    return "\n".join(str(mistake) for mistake in judge_specs(root))


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        pytest.param(REGISTRY, "  docs:\n", "  doc:\n", '"doc" is no frontend', id="a name that the catalogue has not"),
        pytest.param(REGISTRY, "smarteros-mkt", "smarteros-dash", "dash has", id="a project that another one has"),
        pytest.param(
            REGISTRY, "{variable: supabase_secret_key}", "{secret: nothing_such}", "nothing_such", id="no secret"
        ),
        pytest.param(
            REGISTRY,
            "{variable: supabase_secret_key}",
            "{public: true}",
            "It has none of them",
            id="no source of a value",
        ),
        pytest.param(
            REGISTRY,
            "{variable: supabase_secret_key}",
            "{secret: n8n_api_key, public: true}",
            "A secret is never public",
            id="a public secret",
        ),
        pytest.param(
            REGISTRY,
            "{variable: supabase_secret_key}",
            "{variable: supabase_secret_key, targets: [development]}",
            "no unreadable variable for development",
            id="an unreadable variable for development",
        ),
        pytest.param(
            "infra/dns.yml",
            "{type: CNAME, name: mkt, target: cname.vercel-dns.com, proxied: false}",
            "{type: A, name: mkt, host: vps, proxied: false}",
            "CNAME in infra/dns.yml",
            id="no record",
        ),
        pytest.param("smos-version.yml", "  store: v0.2.0\n", "", "none for store", id="no ref"),
        pytest.param("smos-version.yml", "  store: v0.2.0\n", "  store: main\n", "does not move", id="a branch"),
        pytest.param("smos-version.yml", "  store: v0.2.0\n", "  shop: v0.2.0\n", '"shop" is unknown', id="a stranger"),
    ],
)
def test_what_is_refused(root: Path, file: str, old: str, new: str, words: str) -> None:
    path = root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert words in told(root)


def test_an_index_of_an_earlier_release_does_not_name_the_file(root: Path) -> None:
    index = root / "index.yml"
    index.write_text(index.read_text().replace("  frontends: ", "  # "))
    assert told(root) == ""


def items(services: list[str], values: dict[str, str], version: str | None = None) -> Any:
    loaded, release = specs.load(SPECS), releases.load(SPECS, version)
    meant, wrong = frontends.chosen(load(SPECS / REGISTRY), release, services)
    assert wrong == []
    return frontends.items(meant, release, loaded, lambda name: values.get(name, ""), lambda name: "")


def test_items_have_the_refs_of_the_release_and_their_values() -> None:
    found, lacking = items(
        [], {name: f"value-of-{name}" for name in ("supabase_url", "supabase_secret_key", "n8n_url")}
    )
    assert lacking == []
    assert [each["ref"] for each in found] == ["v0.2.0"] * 5
    assert [each["domain"] for each in found][:2] == ["app.smarterbot.cl", "dash.smarterbot.cl"]
    kinds = {each["key"]: each["type"] for each in found[0]["environment"]}
    # What is optional and has no value is left out
    assert kinds == {"NEXT_PUBLIC_SUPABASE_URL": "plain", "SUPABASE_SECRET_KEY": "sensitive", "N8N_URL": "plain"}
    assert items(["docs"], {}, "0.1.0")[0][0]["ref"] == "v0.1.0"


def test_all_that_is_lacking_is_told_at_once() -> None:
    _found, lacking = items(["app", "dash"], {"n8n_url": "x"})
    assert [row["why"].split()[0] for row in lacking] == ["NEXT_PUBLIC_SUPABASE_URL", "SUPABASE_SECRET_KEY"] * 2


def test_a_name_that_nobody_knows_and_a_release_without_its_ref_are_told() -> None:
    release = releases.load(SPECS)
    bare = releases.Release("9.0", "x", "released", False, (), {})
    document = load(SPECS / REGISTRY)
    assert "no frontend has this id" in frontends.chosen(document, release, ["nope"])[1][0]["why"]
    assert "names no ref" in frontends.chosen(document, bare, ["docs"])[1][0]["why"]
    assert frontends.chosen(document, bare, []) == ({}, [])
