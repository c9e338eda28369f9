"""Pushing to an image registry by its HTTP interface: no engine has to hold an image only to pass it on.

Source: Docker Registry HTTP API V2, image manifest V2 schema 2.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlsplit

from smos.sandbox.images.layers import Layer

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
EPOCH = "1970-01-01T00:00:00Z"  # the time does not belong to the content
TIMEOUT_S = 120.0
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class RegistryError(Exception):
    """The registry cannot be reached or refused."""


class Image:
    """An image that can be pushed: its configuration, its layers, and the manifest that names both."""

    def __init__(self, config: Mapping[str, Any], layers: Sequence[Layer]) -> None:
        self.layers = layers
        machine = ARCHITECTURES.get(platform.machine(), platform.machine())
        self.config = _packed(
            {
                "architecture": machine,
                "os": "linux",
                "created": EPOCH,
                "config": dict(config),
                "rootfs": {"type": "layers", "diff_ids": [layer.diff for layer in layers]},
                "history": [{"created": EPOCH, "created_by": "smos.sandbox.images"} for _ in layers],
            }
        )
        self.manifest = _packed(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": CONFIG, "size": len(self.config), "digest": digest(self.config)},
                "layers": [{"mediaType": LAYER, "size": layer.size, "digest": layer.digest} for layer in layers],
            }
        )
        self.digest = digest(self.manifest)


class Registry:
    """A registry on this machine's loopback."""

    def __init__(self, port: int) -> None:
        self._port = port

    def has(self, name: str, tag: str, wanted: str) -> bool:
        """Whether the tag stands for that digest already. Raises RegistryError."""
        status, headers = self._ask("HEAD", f"/v2/{name}/manifests/{tag}", headers={"Accept": MANIFEST})
        return status == http.client.OK and headers.get("docker-content-digest") == wanted

    def push(self, name: str, tag: str, image: Image, others: Sequence[str] = ()) -> None:
        """Have the image under that tag; layers that one of the ``others`` has are not sent again. Raises RegistryError."""
        for layer in image.layers:
            if not self._has_blob(name, layer.digest) and not self._mounted(name, layer.digest, others):
                with Path(layer.file).open("rb") as content:
                    self._upload(name, layer.digest, content, layer.size)
        if not self._has_blob(name, digest(image.config)):
            self._upload(name, digest(image.config), image.config, len(image.config))
        path = f"/v2/{name}/manifests/{tag}"
        status, _ = self._ask("PUT", path, image.manifest, {"Content-Type": MANIFEST})
        self._good(status, f"the manifest of {name}:{tag}")

    def _has_blob(self, name: str, wanted: str) -> bool:
        return self._ask("HEAD", f"/v2/{name}/blobs/{wanted}")[0] == http.client.OK

    def _mounted(self, name: str, wanted: str, others: Sequence[str]) -> bool:
        """Whether it could be had from another image of the same registry."""
        for other in others:
            if self._has_blob(other, wanted):
                path = f"/v2/{name}/blobs/uploads/?mount={quote(wanted)}&from={other}"
                return self._ask("POST", path)[0] == http.client.CREATED
        return False

    def _upload(self, name: str, wanted: str, content: bytes | IO[bytes], size: int) -> None:
        status, headers = self._ask("POST", f"/v2/{name}/blobs/uploads/")
        self._good(status, f"an upload for {name}")
        place = urlsplit(headers["location"])
        path = f"{place.path}?{place.query}&digest={quote(wanted)}"
        given = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        status, _ = self._ask("PUT", path, content, given)
        self._good(status, f"a layer of {name}")

    def _good(self, status: int, what: str) -> None:
        if status not in (http.client.OK, http.client.CREATED, http.client.ACCEPTED):
            raise RegistryError(f"the registry on 127.0.0.1:{self._port} did not take {what}: HTTP {status}")

    def _ask(
        self, method: str, path: str, body: bytes | IO[bytes] | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT_S, blocksize=1 << 18)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            answer.read()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}
        except (OSError, http.client.HTTPException) as exc:
            raise RegistryError(f"no registry answers on 127.0.0.1:{self._port}: {exc}") from exc
        finally:
            connection.close()


def digest(content: bytes) -> str:
    """How a registry names content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _packed(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
