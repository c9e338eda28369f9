"""`smos releases` and `smos pin`, against a registry on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.smartercl.smarteros.plugins.action.release_pin import with_digests
from support.image_registry import DIGEST, Stub, running
from support.instance import ROOT, Instance

VERSIONS = "smos-version.yml"
OLD = f"sha256:{'0' * 64}"


@pytest.fixture
def registry() -> Iterator[Stub]:
    with running() as server:
        yield server


def test_the_releases_are_told_with_what_is_known_against_them(smos: Instance) -> None:
    done = smos.run("releases", "--json")
    assert done.code == 0, done
    current, first = done.result["releases"]
    assert (current["version"], current["current"], current["insecure"]) == ("0.2.0", True, False)
    assert (first["version"], first["current"], first["insecure"]) == ("0.1.0", False, True)
    assert {"component": "dokploy", "id": "GHSA-w3gm-rc4p-9rhj"}.items() <= first["advisories"][10].items()
    shown = smos.run("releases")
    assert "* 0.2.0" in shown.out
    assert "insecure: 14 advisories" in shown.out


def test_writing_digests_changes_nothing_else_in_the_file() -> None:
    text = (ROOT / "specs" / VERSIONS).read_text(encoding="utf-8")
    assert with_digests(text, {}) == text
    once = with_digests(text, {"redis": OLD})
    added = [line for line in once.splitlines() if line not in text.splitlines()]
    assert added == [f"    digest: {OLD}"]
    assert with_digests(once, {"redis": DIGEST}) == once.replace(OLD, DIGEST)


def test_the_tags_of_a_release_are_pinned(smos: Instance, registry: Stub) -> None:
    path = smos.specs / VERSIONS
    before = path.read_text()
    foretold = smos.run("pin", "--check", "--json", SMOS_REGISTRY_MIRROR=registry.name)
    assert foretold.code == 0, foretold
    assert path.read_text() == before
    done = smos.run("pin", "--json", SMOS_REGISTRY_MIRROR=registry.name)
    assert (done.code, done.document["changed"]) == (0, True), done
    assert (
        path.read_text().count(f"    digest: {DIGEST}\n")
        == len(done.result["digests"])
        == len(foretold.result["changes"])
    )
    assert smos.run("validate").code == 0
    again = smos.run("pin", "--json", SMOS_REGISTRY_MIRROR=registry.name)
    assert (again.code, again.document["changed"]) == (0, False), again
    assert smos.run("releases", "--json").result["releases"][0]["unpinned"] == []


def test_what_a_registry_does_not_have_is_told_and_the_others_are_pinned(smos: Instance, registry: Stub) -> None:
    path = smos.specs / VERSIONS
    path.write_text(path.read_text().replace("image: n8nio/n8n:", f"image: {registry.name}/absent:"))
    done = smos.run("pin", "n8n", "redis", "--json", SMOS_REGISTRY_MIRROR=registry.name)
    assert done.code == 1, done
    assert [error["what"] for error in done.document["errors"]] == ["n8n"]
    assert done.result["digests"] == {"redis": DIGEST}
    assert path.read_text().count("    digest:") == 1


def test_a_component_that_is_not_there_is_told_with_those_that_are(smos: Instance) -> None:
    done = smos.run("pin", "n9n", "--json")
    assert done.code == 2, done
    assert "n8n-runners" in done.why


def test_a_registry_that_cannot_be_reached_ends_with_3(smos: Instance) -> None:
    done = smos.run("pin", "redis", "--json", SMOS_REGISTRY_MIRROR="127.0.0.1:1")
    assert done.code == 3, done
    assert "cannot be reached" in done.why
