"""What all images stand on: the smallest Debian with Python, made once from the distribution's own bootstrap, and packages
of the distribution that single images add.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from smos.sandbox import vps_recipe
from smos.sandbox.images.layers import Layer, Writer, lock, made, merged
from smos.sandbox.images.wheels import ImagesError

SUITE = "bookworm"
INSTALLED = ("python3", "busybox-static", "ca-certificates", "locales")
# Packages with all that they need beyond the base
GROUPS = {
    "curl": ("curl",),
    "postgresql": (
        "libxml2",
        "libossp-uuid16",
        "libldap-2.5-0",
        "libgssapi-krb5-2",
        "libssl3",
        "libreadline8",
        "libxslt1.1",
    ),
    "redis": ("redis-server",),
    "wget": ("wget",),  # Debian's busybox dies of `wget -T`, which Alpine's can
}
LOCALE = "en_US"
# What no service reads, and what an engine puts there itself
LEFT_OUT = (
    *("dev", "proc", "sys", "tmp", "run", "var/log", "var/cache", "var/lib/apt/lists", "boot", "media", "mnt", "srv"),
    *("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/i18n", "usr/share/lintian"),
    *("usr/share/bug", "etc/resolv.conf", "etc/hostname", "etc/hosts", "etc/apt", "usr/lib/python3.11/test"),
)
EMPTY = {"dev": 0o755, "proc": 0o555, "sys": 0o555, "tmp": 0o1777, "run": 0o755, "var/log": 0o755, "var/cache": 0o755}
FETCHED = "var/cache/smarteros"
LAST_LINES = 5


@dataclass(frozen=True)
class Base:
    """The finished base. ``folder`` also holds the packages, by group, and its lists of users and groups."""

    layer: Layer
    folder: Path

    def users(self) -> tuple[str, str]:
        """Its /etc/passwd and /etc/group."""
        passwd, group = (self.folder / name for name in ("passwd", "group"))
        return passwd.read_text(encoding="utf-8"), group.read_text(encoding="utf-8")

    def packages(self, group: str) -> Iterator[tarfile.TarFile]:
        """The content of each package of a group."""
        for path in sorted((self.folder / group).glob("*.deb")):
            reading = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(path)], stdout=subprocess.PIPE)
            with reading, tarfile.open(fileobj=reading.stdout, mode="r|") as tar:
                yield tar

    def add(self, writer: Writer, group: str) -> None:
        """Put the packages of a group into a layer. Their own scripts do not run: nothing here needs them."""
        for tar in self.packages(group):
            writer.archive(tar, _wanted)


def made_from() -> str:
    """What a base depends on."""
    return repr((SUITE, INSTALLED, sorted(GROUPS.items()), LOCALE, LEFT_OUT))


def base(cache: Path, bootstrapped: Path, say: Callable[[str], None]) -> Base:
    """The base, from the cache if it was made before. ``bootstrapped`` is a tar of the bare suite, used where it exists.

    Raises ImagesError.
    """
    key = hashlib.sha256(made_from().encode()).hexdigest()[:12]
    folder = cache / f"base-{SUITE}-{key}"
    cache.mkdir(parents=True, exist_ok=True)
    with lock(folder.with_name(f"{folder.name}.base")):
        if not (folder / "root.tar").is_file():
            _able()
            say("Making the base of the service images, once; it takes half a minute or more")
            with tempfile.TemporaryDirectory(dir=cache, prefix=".base-") as part:
                _make(Path(part), bootstrapped, folder)
    return Base(made(cache, "base", folder.name, lambda writer: _copy(folder / "root.tar", writer)), folder)


def _able() -> None:
    lacking = [name for name in ("debootstrap", "dpkg-deb") if not shutil.which(name)]
    if os.geteuid() or lacking:
        why = f"{' and '.join(lacking)} is missing" if lacking else "this user is not root"
        raise ImagesError(
            f"the base of the service images is made with debootstrap, and {why}",
            "Install it (apt-get install debootstrap) and be root, or use --real-images",
        )


def _make(part: Path, bootstrapped: Path, final: Path) -> None:
    root = part / "root"
    if bootstrapped.is_file():
        root.mkdir()
        _do(["tar", "--numeric-owner", "-C", str(root), "-xpf", str(bootstrapped)])
    else:
        mirror = vps_recipe.sources().get("main", "")
        fits = mirror.rstrip("/").endswith(f"/{vps_recipe.distribution(SUITE)}")
        _do(["debootstrap", "--variant=minbase", SUITE, str(root), *([mirror] if fits else [])])
    _install(root)
    kept = part / "kept"
    kept.mkdir()
    for name in GROUPS:
        (kept / name).mkdir()
        for package in (root / FETCHED / name).glob("*.deb"):
            shutil.move(package, kept / name / package.name)
    for name in ("passwd", "group"):
        shutil.copy(root / "etc" / name, kept / name)
    out = [word for name in LEFT_OUT for word in ("--exclude", f"./{name}")]
    _do(["tar", "--numeric-owner", "--sort=name", "-C", str(root), *out, "-cf", str(kept / "root.tar"), "."])
    shutil.rmtree(final, ignore_errors=True)
    kept.rename(final)


def _install(root: Path) -> None:
    """Packages into the root, and others beside it, by its own apt over this machine's way to its packages."""
    for name, text in vps_recipe.files(SUITE, bootstrapped=True).items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    for name in ("resolv.conf", "hosts"):
        shutil.copy(Path("/etc") / name, root / "etc" / name)
    (root / "etc/dpkg/dpkg.cfg.d").mkdir(parents=True, exist_ok=True)
    (root / "etc/dpkg/dpkg.cfg.d/fast").write_text("force-unsafe-io\n", encoding="utf-8")
    (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    inside = ["chroot", str(root), "/usr/bin/env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"]
    get = [*inside, "apt-get", "-q", "-y", "--no-install-recommends"]
    _do([*get, "update"])
    _do([*get, "install", *INSTALLED])
    _do([*inside, "localedef", "-i", LOCALE, "-c", "-f", "UTF-8", f"{LOCALE}.UTF-8"])
    for name, packages in GROUPS.items():
        (root / FETCHED / name / "partial").mkdir(parents=True)
        _do([*get, "install", "--download-only", "-o", f"Dir::Cache::archives=/{FETCHED}/{name}", *packages])
    (root / "usr/sbin/policy-rc.d").unlink()


def _copy(source: Path, writer: Writer) -> None:
    with tarfile.open(source) as tar:
        writer.archive(tar)
    for name, mode in EMPTY.items():
        writer.folder(name, mode)


def _wanted(name: str) -> str | None:
    name = merged(name)
    return None if any(name == out or name.startswith(f"{out}/") for out in LEFT_OUT) else name


def _do(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        last = " | ".join((done.stderr or done.stdout).strip().splitlines()[-LAST_LINES:])
        raise ImagesError(f"{' '.join(command[:2])} failed: {last}", "Repair what it says, then try again")
