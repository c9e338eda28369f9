"""Making the images and putting them into the registry beside the VPS.

An image is the shared base and a few small layers; its reference follows from its content. So what the registry has already
is known by asking, and nothing is made or sent twice.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from smos.sandbox import vps_image
from smos.sandbox.images import base, real, registry
from smos.sandbox.images.catalogue import COMPONENTS, Component
from smos.sandbox.images.layers import Layer, Writer
from smos.sandbox.images.real import Say, Workshop
from smos.sandbox.images.wheels import POSTGRESQL, TRAEFIK, ImagesError

__all__ = ["ImagesError", "build", "kept"]

INSIDE = "127.0.0.1:5000"  # the registry, as the machines reach it
ALWAYS_REAL = ("postgresql", "redis", "traefik")
ON_WISH = ("n8n",)
DEFAULT_N8N = "1.64.3"
REAL, STAND_IN = "real", "stand-in"
UNHEALTHY = "-unhealthy"  # at the end of a stand-in's version: one whose health checks fail
KIND_LABEL = "cl.smarteros.image"
PRODUCT_LABEL = "cl.smarteros.stand-in"
HERE = Path(__file__).parent
PACKAGE = "usr/lib/python3/dist-packages/standin"
RECORD = "var/lib/standin"
MACHINE = "x86_64"
AT_ONCE = 2
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")

_MAKERS: Mapping[str, Callable[[Workshop], list[Layer]]] = {
    "postgresql": real.postgresql,
    "dokploy-postgres": real.postgresql,
    "redis": real.redis,
    "traefik": real.traefik,
}


@dataclass(frozen=True)
class Made:
    """A finished image."""

    component: str
    version: str
    kind: str
    note: str
    image: registry.Image

    @property
    def ref(self) -> str:
        """What the machines pull."""
        return f"{INSIDE}/{self.component}:{self.version}@{self.image.digest}"


def build(
    state: Path,
    registry_port: int,
    *,
    real: Collection[str] = ALWAYS_REAL,
    versions: Mapping[str, str] | None = None,
    say: Say = lambda _text: None,
) -> dict[str, str]:
    """Have all images in the registry, and give the reference of each component.

    ``real`` may add ``n8n`` or ``n8n@VERSION``; PostgreSQL, Redis and Traefik are real in any case. ``versions`` are what the
    stand-ins stand for, by component; one that ends with ``-unhealthy`` fails its health checks. What was made is written to
    ``<state>/sandbox/images.json``. Raises ImagesError.
    """
    if platform.machine() != MACHINE:
        raise ImagesError(
            f"the service images are made for {MACHINE}, and this machine is {platform.machine()}", "Use --real-images"
        )
    wishes = _wishes(real)
    cache = vps_image.cache_dir() / "images"
    made_base = base.base(cache, vps_image.cache_dir() / "vps" / f"base-{base.SUITE}.tar", say)
    shop = Workshop(cache, made_base, say)
    chosen = {name: _version(name, versions or {}) for name in COMPONENTS}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        images = list(pool.map(lambda name: _made(shop, name, chosen[name], wishes), COMPONENTS))
    _push(registry.Registry(registry_port), images, say)
    _write(state, images)
    return {image.component: image.ref for image in images}


def kept(state: Path) -> dict[str, dict[str, str]]:
    """What the last build of this state folder wrote: ref, kind, version and note by component; empty where none was."""
    try:
        found: dict[str, dict[str, str]] = json.loads(_file(state).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def _wishes(real: Collection[str]) -> dict[str, str]:
    """The version of each component that may be real and shall be."""
    wishes = {}
    for wish in real:
        name, _at, version = wish.partition("@")
        if name in ON_WISH:
            wishes[name] = version or DEFAULT_N8N
        elif name not in _MAKERS:
            can = ", ".join([*ALWAYS_REAL, *ON_WISH])
            raise ImagesError(f"no package registry has a real {name}", f"These can be real: {can}")
    return wishes


def _version(name: str, versions: Mapping[str, str]) -> str:
    version = versions.get(name) or COMPONENTS[name].version
    if not _TAG.fullmatch(version):
        raise ImagesError(f"{name}: {version!r} is no version that an image's tag can bear", "Take another one")
    return version


def _made(shop: Workshop, name: str, version: str, wishes: Mapping[str, str]) -> Made:
    component = COMPONENTS[name]
    if name in _MAKERS:
        layers, kind = _MAKERS[name](shop), REAL
        note = _told(name, COMPONENTS[name].version, version)
        version = COMPONENTS[name].version
    elif name in wishes:
        layers, kind = real.n8n(shop, wishes[name]), REAL
        note, version = _told(name, wishes[name], version), wishes[name]
    else:
        layers, kind = [_standin(shop)], STAND_IN
        note = f"stands in for {name} {version}: its ports, health checks and bootstrap, nothing of the product"
    # What seldom changes comes first
    whole = [shop.base.layer, *(shop.packages(group) for group in component.packages), *layers]
    whole.append(_own(shop, name, component, kind))
    return Made(name, version, kind, note, registry.Image(_config(name, component, version, kind), whole))


def _told(name: str, has: str, wanted: str) -> str:
    source = {
        "postgresql": f"{POSTGRESQL.package} with pgvector",
        "traefik": TRAEFIK.package,
        "redis": base.SUITE,
        "n8n": "npm",
    }
    where = source.get(name, source["postgresql"])
    return f"{name} {has} ({where})" + ("" if has == wanted else f"; the release wants {wanted}")


def _config(name: str, component: Component, version: str, kind: str) -> dict[str, object]:
    config = dict(component.config)
    labels = {KIND_LABEL: kind, "org.opencontainers.image.version": version}
    if kind == STAND_IN:
        env = [f"STANDIN_VERSION={version.removesuffix(UNHEALTHY)}"]
        env += ["STANDIN_UNHEALTHY=1"] if version.endswith(UNHEALTHY) else []
        config["Env"] = [*config["Env"], *env]
        labels[PRODUCT_LABEL] = name
    config["Labels"] = labels
    return config


def _standin(shop: Workshop) -> Layer:
    """The programs of all stand-ins: one layer, since they are small."""

    def write(writer: Writer) -> None:
        writer.folder(PACKAGE)
        for path in sorted((HERE / "standin").glob("*.py")):
            writer.file(f"{PACKAGE}/{path.name}", path.read_bytes())
        writer.folder(RECORD, 0o1777)

    return real.of_files(shop, "standin", write)


def _own(shop: Workshop, name: str, component: Component, kind: str) -> Layer:
    """What is particular to one image: user, folders, entry point, and the names of its programs."""

    def write(writer: Writer) -> None:
        if component.user:
            user, number, home = component.user
            passwd, group = shop.base.users()
            writer.file("etc/passwd", f"{passwd}{user}:x:{number}:{number}::{home}:/bin/sh\n")
            writer.file("etc/group", f"{group}{user}:x:{number}:\n")
        for path, owner in component.folders.items():
            writer.folder(path, 0o755, owner)
        for path, text in component.texts.items():
            writer.file(path, text, 0o755 if text.startswith("#!") else 0o644)
        for path, file in component.files.items():
            writer.file(path, (HERE / "files" / file).read_bytes(), 0o755)
        for path in component.programs if kind == STAND_IN else ():
            writer.file(path, f'#!/bin/sh\nexec python3 -B -m standin.{component.module} "$@"\n', 0o755)
        for tool in component.tools:
            writer.link(f"usr/local/bin/{tool}", "/bin/busybox")

    return real.of_files(shop, name, write)


def _push(where: registry.Registry, images: list[Made], say: Say) -> None:
    try:
        lacking = [each for each in images if not where.has(each.component, each.version, each.image.digest)]
        if lacking:
            say(f"Putting {len(lacking)} service images into the registry beside the VPS")
        # One after the other: a layer that the first one brought is there for the next
        for each in lacking:
            others = [other.component for other in images if other is not each]
            where.push(each.component, each.version, each.image, others)
    except registry.RegistryError as exc:
        raise ImagesError(str(exc), "Start the VPS (smos sandbox up --vps), then try again") from exc


def _write(state: Path, images: list[Made]) -> None:
    rows = {
        each.component: {"ref": each.ref, "kind": each.kind, "version": each.version, "note": each.note}
        for each in images
    }
    place = _file(state)
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_suffix(".part")
    part.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    part.replace(place)


def _file(state: Path) -> Path:
    return state / "sandbox" / "images.json"
