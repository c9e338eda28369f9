# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Ask image registries which digest a tag stands for (OCI distribution API). Reads only, and no image is pulled."""

from __future__ import annotations

import hashlib
import os
import re
import time
import typing as t
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

try:
    import requests
except ImportError:  # told when it is needed, by name
    requests = None  # type: ignore[assignment]  # stands for "not installed"

HUB = "registry-1.docker.io"
MIRROR = "SMOS_REGISTRY_MIRROR"
"""Variable of the environment: the registry that is asked in place of Docker's own."""
ACCEPTED = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_LOOPBACK = re.compile(r"(?:localhost|127\.[0-9.]+|\[::1\])(?::[0-9]+)?\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")
_CHALLENGE = re.compile(r'([a-z]+)="([^"]*)"')
_TIMES = 3
_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_AT_ONCE = 6
_LARGEST = 4 * 1024 * 1024  # bytes of a manifest; the specification allows as many


class RegistryError(Exception):
    """A registry did not tell; the message says why, ``following`` what to do."""

    def __init__(self, why: str, following: str) -> None:
        super().__init__(why)
        self.following = following


@dataclass(frozen=True)
class Name:
    """An image's name, taken apart."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def of(cls, image: str, mirror: str = "") -> Name:
        """``n8nio/n8n:2.41.1``, ``redis:7.2``, ``ghcr.io/x/y:1``, ``127.0.0.1:5000/x:1``."""
        rest, _colon, tag = image.partition("@")[0].rpartition(":")
        first, slash, path = rest.partition("/")
        if slash and ("." in first or ":" in first or first == "localhost"):
            return cls(first, path, tag)
        return cls(mirror or HUB, rest if slash else f"library/{rest}", tag)

    @property
    def address(self) -> str:
        """Where its manifest is."""
        base = self.registry if "://" in self.registry else f"{self._scheme}://{self.registry}"
        return f"{base.rstrip('/')}/v2/{self.repository}/manifests/{self.tag}"

    @property
    def _scheme(self) -> str:
        """A registry on this machine has no certificate."""
        return "http" if _LOOPBACK.match(self.registry) else "https"


def digests(images: Mapping[str, str], timeout_s: float = 20.0) -> dict[str, str | RegistryError]:
    """The digest of each image by name, or why there is none; all are asked at the same time."""
    if requests is None:
        raise RegistryError("the Python library requests is missing", "Install what requirements.lock names")
    mirror = os.environ.get(MIRROR, "")

    def asked(image: str) -> str | RegistryError:
        try:
            return _Asker(timeout_s).digest(Name.of(image, mirror))
        except RegistryError as error:
            return error

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip(images, pool.map(asked, images.values()), strict=True))


class _Asker:
    """Asks one registry about one image; gets itself an anonymous token where the registry wants one."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._session = requests.Session()
        self._session.headers["Accept"] = ACCEPTED

    def digest(self, name: Name) -> str:
        answer = self._send("HEAD", name.address)
        if answer.status_code == 401:
            self._take_token(answer.headers.get("WWW-Authenticate", ""), name)
            answer = self._send("HEAD", name.address)
        if answer.status_code == 405 or (answer.ok and "Docker-Content-Digest" not in answer.headers):
            answer = self._send("GET", name.address)  # a registry that tells it only with the manifest, or not at all
        if not answer.ok:
            raise _refused(name, answer.status_code)
        told = answer.headers.get("Docker-Content-Digest") or _digest_of(answer.content)
        if not _DIGEST.match(told):
            raise RegistryError(f"{name.registry} answers with no digest that we know", "Look at it by hand")
        return str(told)

    def _send(self, method: str, address: str, **more: t.Any) -> t.Any:
        for attempt in range(_TIMES):
            try:
                answer = self._session.request(method, address, timeout=self._timeout_s, **more)
            except requests.RequestException as error:
                if attempt + 1 == _TIMES:
                    why = f"{address.partition('/v2/')[0]} cannot be reached: {type(error).__name__}"
                    raise RegistryError(why, "Check the network, then run the same command again") from None
                time.sleep(_PAUSE_S)
                continue
            if answer.status_code < 500 and answer.status_code != 429:
                break
            time.sleep(_pause(answer, attempt) if attempt + 1 < _TIMES else 0)
        if len(answer.content) > _LARGEST:
            raise RegistryError(f"{address} answers with too much", "Look at it by hand")
        return answer

    def _take_token(self, challenge: str, name: Name) -> None:
        """The registry's way to hand out tokens (RFC 6750): it says where to ask, and for what."""
        words = dict(_CHALLENGE.findall(challenge))
        realm = words.pop("realm", "")
        if not challenge.lower().startswith("bearer") or not realm.startswith(("https://", "http://127.0.0.1")):
            raise RegistryError(
                f"{name.registry} wants a sign-in that we do not have", f"Set {MIRROR}, or write the digest by hand"
            )
        asked = {"service": words.get("service", ""), "scope": f"repository:{name.repository}:pull"}
        answer = self._send("GET", realm, params=asked)
        body = _json(answer)
        token = body.get("token") or body.get("access_token")
        if not answer.ok or not token:
            raise RegistryError(f"{name.registry} gives no token for {name.repository}", "Is it a public image?")
        self._session.headers["Authorization"] = f"Bearer {token}"


def _json(answer: t.Any) -> dict[str, t.Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}" if content else ""


def _pause(answer: t.Any, attempt: int) -> float:
    told = answer.headers.get("Retry-After", "")
    return min(float(told) if told.isdigit() else _PAUSE_S * 2**attempt, _LONGEST_PAUSE_S)


def _refused(name: Name, status: int) -> RegistryError:
    image = f"{name.repository}:{name.tag}"
    if status == 404:
        return RegistryError(
            f"{name.registry} has no {image}", "Correct the image or its tag in specs/smos-version.yml"
        )
    if status in (401, 403):
        return RegistryError(f"{name.registry} does not let us see {image}", "Is it a public image?")
    if status == 429:
        return RegistryError(f"{name.registry} lets us ask no more for now", "Wait, then run the same command again")
    return RegistryError(f"{name.registry} answers {status} for {image}", "Run the same command again later")
