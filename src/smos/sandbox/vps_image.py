"""The image of a VPS: made once, kept by the engine under a name that says what it was made from.

Where the base comes from: this machine bootstraps it (root, ``debootstrap``), or, only if asked, a registry or the person
names one. The bootstrapped base is kept in a cache folder outside of any state folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from smos.sandbox import vps_recipe
from smos.sandbox.vps_engine import WITHOUT, Engine, VpsError

NAMED = ("SMOS_VPS_IMAGE", "MOLECULE_IMAGE")
READY = "cl.smarteros.vps"  # an image with this label is taken as it is
REPOSITORY = "smos-vps"
LAST_LINES = 8


@dataclass(frozen=True)
class Source:
    """Where a base comes from: an image's name, or, without one, a bootstrap of the suite."""

    suite: str
    image: str | None = None


def cache_dir() -> Path:
    """``SMOS_CACHE_DIR``, else ``smarteros`` in the user's cache folder."""
    named = os.environ.get("SMOS_CACHE_DIR")
    if named:
        return Path(named).expanduser().absolute()
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".cache") / "smarteros"


def source(suite: str, *, real_images: bool) -> Source:
    """What to make the image from; raises :class:`VpsError` where nothing can be had without being asked to."""
    if suite not in vps_recipe.SUITES:
        raise VpsError(f"{suite} is no suite of a VPS", f"Take one of {', '.join(vps_recipe.SUITES)}")
    for name in NAMED:
        if os.environ.get(name):
            return Source(suite, os.environ[name])
    if real_images:
        return Source(suite, vps_recipe.SUITES[suite])
    lacking = "is not root" if os.geteuid() else "has no debootstrap" if not shutil.which("debootstrap") else ""
    if not lacking:
        return Source(suite)
    raise VpsError(
        f"a VPS's image is made with debootstrap, and this user {lacking}",
        "Install it (apt-get install debootstrap) and be root, or say --real-images to have "
        f"{vps_recipe.SUITES[suite]} pulled, or name an image with SMOS_VPS_IMAGE. {WITHOUT}",
    )


def have(engine: Engine, origin: Source, say: Callable[[str], None]) -> str:
    """The name of the finished image, made if it is not there."""
    if origin.image is not None and not engine.has_image(origin.image):
        say(f"Pulling {origin.image}")
        try:
            engine.run("pull", "--quiet", origin.image, seconds=900)
        except VpsError as exc:
            offline = "On a Debian machine, root with debootstrap needs no registry: leave --real-images and SMOS_VPS_IMAGE out"
            raise VpsError(f"{origin.image} cannot be had: {exc}", f"{offline}. {WITHOUT}") from exc
    if origin.image is not None and _is_finished(engine, origin.image):
        return origin.image
    files = vps_recipe.files(origin.suite, bootstrapped=origin.image is None)
    name = f"{REPOSITORY}:{origin.suite}-{_fingerprint(engine, origin, files)}"
    folder = cache_dir() / "vps"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name.partition(':')[2]}.lock").open("a") as lock:
        # A second run waits for the first one's image instead of making its own
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not engine.has_image(name):
            base = origin.image or _bootstrapped(engine, origin.suite, folder, say)
            say(f"Making the image of a VPS from {base}, once; it takes a minute or two")
            _build(name, base, files, folder / f"{name.partition(':')[2]}.log")
    return name


def _is_finished(engine: Engine, image: str) -> bool:
    labels = ((engine.inspect("image", image) or {}).get("Config") or {}).get("Labels") or {}
    return READY in labels


def _fingerprint(engine: Engine, origin: Source, files: dict[str, str]) -> str:
    base = (engine.inspect("image", origin.image) or {}).get("Id", "") if origin.image else "bootstrap"
    parts = [vps_recipe.DOCKERFILE, vps_recipe.RECIPE, str(base)]
    parts += [f"{path}\0{text}" for path, text in sorted(files.items())]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _bootstrapped(engine: Engine, suite: str, folder: Path, say: Callable[[str], None]) -> str:
    """An image with nothing but the smallest set of packages of the suite."""
    name = f"{REPOSITORY}-base:{suite}"
    if engine.has_image(name):
        return name
    kept = folder / f"base-{suite}.tar"
    if not kept.is_file():
        say(f"Bootstrapping {suite}, once; it takes half a minute or more")
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{suite}-") as part:
            root = Path(part) / "root"
            mirror = _mirror(suite)
            _do(["debootstrap", "--variant=minbase", suite, str(root), *mirror], folder / f"base-{suite}.log")
            shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
            _do(["tar", "-C", str(root), "-cf", f"{part}/base.tar", "."], folder / f"base-{suite}.log")
            Path(part, "base.tar").replace(kept)
    engine.run("import", str(kept), name, seconds=300)
    return name


def _mirror(suite: str) -> list[str]:
    """This machine's own, if it has the suite's distribution; else the one that debootstrap knows."""
    found = vps_recipe.sources().get("main", "")
    fits = found.rstrip("/").endswith(f"/{vps_recipe.distribution(suite)}")
    return [found] if fits else []


def _build(name: str, base: str, files: dict[str, str], log: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="smos-vps-") as part:
        context = Path(part)
        (context / "Dockerfile").write_text(vps_recipe.DOCKERFILE, encoding="utf-8")
        (context / "recipe.sh").write_text(vps_recipe.RECIPE, encoding="utf-8")
        (context / "files").mkdir()
        for path, text in files.items():
            place = context / "files" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        words = ["docker", "build", "--tag", name, "--build-arg", f"BASE={base}", "--label", f"{READY}=1", part]
        _do(words, log)


def _do(command: list[str], log: Path) -> None:
    """Run it with its output in a file; raises :class:`VpsError` with the end of that file."""
    with log.open("wb") as output:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False)
    if done.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
        raise VpsError(
            "\n".join([f"{command[0]} {command[1]} failed; {log} ends with:", *lines]),
            f"Repair what it says, then try again. {WITHOUT}",
        )
