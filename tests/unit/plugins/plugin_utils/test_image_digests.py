"""Asking registries for digests: names, tokens, refusals, against a stub that speaks the distribution API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import image_digests
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.image_digests import Name, RegistryError, digests
from support.image_registry import DIGEST, Stub, running


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    """A stub of a registry on this machine, without pauses between attempts."""
    monkeypatch.setattr(image_digests, "_PAUSE_S", 0.0)
    monkeypatch.delenv(image_digests.MIRROR, raising=False)
    with running() as server:
        yield server


@pytest.mark.parametrize(
    ("image", "address"),
    [
        ("n8nio/n8n:2.41.1", "https://registry-1.docker.io/v2/n8nio/n8n/manifests/2.41.1"),
        ("redis:7.2.11", "https://registry-1.docker.io/v2/library/redis/manifests/7.2.11"),
        ("ghcr.io/a/b/c:1", "https://ghcr.io/v2/a/b/c/manifests/1"),
        ("localhost/x:1", "http://localhost/v2/x/manifests/1"),
        ("127.0.0.1:5000/x:1@sha256:abc", "http://127.0.0.1:5000/v2/x/manifests/1"),
        ("registry.example.com:5000/x:1", "https://registry.example.com:5000/v2/x/manifests/1"),
    ],
)
def test_a_name_leads_to_its_registry(image: str, address: str) -> None:
    assert Name.of(image).address == address


def test_a_mirror_stands_for_dockers_own_registry_only() -> None:
    assert Name.of("redis:7", "mirror.example.com").address == "https://mirror.example.com/v2/library/redis/manifests/7"
    assert Name.of("redis:7", "http://10.0.0.1:5000/").address == "http://10.0.0.1:5000/v2/library/redis/manifests/7"
    assert Name.of("ghcr.io/a/b:1", "mirror.example.com").registry == "ghcr.io"


def test_the_digest_comes_without_the_manifest(registry: Stub) -> None:
    assert digests({"a": f"{registry.name}/open:1"}) == {"a": DIGEST}
    assert registry.asked == [("HEAD", "/v2/open/manifests/1", "")]


def test_a_registry_that_wants_a_token_gets_one(registry: Stub) -> None:
    assert digests({"a": f"{registry.name}/private:1"}) == {"a": DIGEST}
    assert [row[2] for row in registry.asked] == ["", "Bearer a-token"]


def test_a_registry_that_tells_none_is_asked_for_the_manifest(registry: Stub) -> None:
    assert digests({"a": f"{registry.name}/silent:1"}) == {"a": DIGEST}


def test_one_that_is_busy_is_asked_again(registry: Stub) -> None:
    assert digests({"a": f"{registry.name}/busy:1"}) == {"a": DIGEST}


@pytest.mark.parametrize(
    ("kind", "why"),
    [("absent", "has no absent:1"), ("basic", "sign-in"), ("broken", "answers 503"), ("odd", "no digest that we know")],
)
def test_what_it_does_not_tell_is_an_error_of_that_image_alone(registry: Stub, kind: str, why: str) -> None:
    found = digests({"bad": f"{registry.name}/{kind}:1", "good": f"{registry.name}/open:1"})
    assert found["good"] == DIGEST
    assert isinstance(found["bad"], RegistryError)
    assert why in str(found["bad"])
    assert found["bad"].following


def test_one_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_digests, "_PAUSE_S", 0.0)
    found = digests({"a": "127.0.0.1:1/x:1"}, timeout_s=1.0)["a"]
    assert isinstance(found, RegistryError)
    assert "cannot be reached: ConnectionError" in str(found)
