"""What a VPS's image consists of, and how this machine's way to its packages gets into it.

The base is a bare distribution. On it goes what a provider's fresh VPS has: systemd, sshd, Python, the usual tools. Packages
that a deploy installs are fetched, not installed: a first deploy then takes seconds instead of minutes of download.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

# Suite → the image that a registry calls so, for machines that cannot bootstrap one
SUITES = {"bookworm": "debian:bookworm", "trixie": "debian:trixie", "noble": "ubuntu:24.04"}

INSTALLED = (
    "systemd systemd-sysv dbus libpam-systemd openssh-server openssh-client python3 python3-apt sudo ca-certificates "
    "iproute2 iptables nftables procps kmod less cron logrotate gnupg curl tzdata e2fsprogs passwd docker-registry"
)
# Which of them there are depends on the suite
FETCHED = (
    "docker.io docker-cli chrony fail2ban python3-systemd unattended-upgrades auditd ufw rsync restic age needrestart"
)

DOCKERFILE = """\
ARG BASE
FROM ${BASE}
COPY recipe.sh /tmp/recipe/
COPY files /tmp/recipe/files
RUN sh /tmp/recipe/recipe.sh && rm -rf /tmp/recipe
"""

RECIPE = f"""\
set -eu
export DEBIAN_FRONTEND=noninteractive
cp -r /tmp/recipe/files/. /
rm -f /etc/apt/apt.conf.d/docker-clean /etc/apt/apt.conf.d/docker-gzip-indexes
# Nothing starts while it is installed; nobody's data is lost if the machine fails during it
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
mkdir -p /etc/dpkg/dpkg.cfg.d
echo force-unsafe-io >/etc/dpkg/dpkg.cfg.d/sandbox
apt-get update -q
apt-get dist-upgrade -y -q
apt-get install -y -q --no-install-recommends {INSTALLED}
update-ca-certificates
apt-get clean
later=''
for name in {FETCHED}; do
  if apt-cache show "$name" >/dev/null 2>&1; then later="$later $name"; fi
done
# One by one: that two of them exclude each other is no matter for a download
for name in $later; do
  apt-get install -y -q --download-only --no-install-recommends "$name"
done
systemctl disable docker-registry.service
# Each machine makes or is given its own
rm -f /etc/ssh/ssh_host_* /usr/sbin/policy-rc.d
: >/etc/machine-id
"""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_BUNDLES = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_USUAL_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_KNOWN = Path("/usr/share/ca-certificates")
_APT = Path("/etc/apt")
_WAY = re.compile(r"^Acquire::(?:https?::|Retries|Check-|ForceIPv|Languages).*;$", re.MULTILINE)


def files(suite: str, *, bootstrapped: bool) -> dict[str, str]:
    """What the image is given so that apt works in it as it does here: sources, settings, certificates.

    A base from elsewhere keeps its own sources: it may be another distribution.
    """
    given = {f"usr/local/share/ca-certificates/machine-{n}.crt": text for n, text in enumerate(own_certificates(), 1)}
    bundle = _bundle()
    if bundle is not None:
        given["etc/ssl/certs/ca-certificates.crt"] = bundle
    given["etc/apt/apt.conf.d/90machine"] = _settings()
    found = sources() if bootstrapped else {}
    if found:
        given["etc/apt/sources.list"] = "".join(
            f"deb {found[kind]} {place} {' '.join(components(suite))}\n"
            for kind, place in (("main", suite), ("main", f"{suite}-updates"), ("security", f"{suite}-security"))
            if kind in found
        )
    return given


def distribution(suite: str) -> str:
    """``debian`` or ``ubuntu``."""
    return SUITES[suite].partition(":")[0]


def components(suite: str) -> list[str]:
    """The parts of the archive that hold what is installed."""
    return ["main", "universe"] if distribution(suite) == "ubuntu" else ["main"]


def sources() -> dict[str, str]:
    """Where this machine's apt gets its distribution from: ``main`` and ``security``, as far as it says so."""
    found: dict[str, str] = {}
    for address, suite in _listed():
        kind = "security" if suite.endswith(("-security", "/updates")) else "main"
        if kind == "security" or re.fullmatch(r"[a-z]+(-updates)?", suite):
            found.setdefault(kind, address)
    return found


def own_certificates() -> list[str]:
    """Certificates that this machine trusts and its distribution does not bring: those of a proxy, for example."""
    bundle = _bundle() or ""
    brought: set[str] = set()
    for path in _KNOWN.rglob("*.crt"):
        brought |= {_bare(text) for text in _CERTIFICATE.findall(path.read_text(encoding="utf-8", errors="replace"))}
    if not brought:  # no Debian: nothing to compare with, and all of them would be too many
        return []
    return [text + "\n" for text in _CERTIFICATE.findall(bundle) if _bare(text) not in brought]


def _bare(text: str) -> str:
    return "".join(text.split())


def _bundle() -> str | None:
    named = [Path(os.environ[name]) for name in _BUNDLES if os.environ.get(name)]
    for path in (*named, _USUAL_BUNDLE):
        if path.is_file():
            return path.read_text(encoding="utf-8", errors="replace")
    return None


def _settings() -> str:
    """Proxies and the like of this machine's apt; the shell's proxies where apt has none of its own."""
    text = ""
    if shutil.which("apt-config"):
        done = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False)
        text = "".join(f"{line}\n" for line in _WAY.findall(done.stdout))
    for scheme in ("http", "https"):
        proxy = os.environ.get(f"{scheme}_proxy") or os.environ.get(f"{scheme.upper()}_PROXY")
        if proxy and f"Acquire::{scheme}::Proxy" not in text:
            text += f'Acquire::{scheme}::Proxy "{proxy}";\n'
    return text


def _listed() -> list[tuple[str, str]]:
    """Address and suite of every enabled source of this machine's own distribution, in both notations."""
    rows: list[tuple[str, str]] = []
    for path in [_APT / "sources.list", *sorted((_APT / "sources.list.d").glob("*.list"))]:
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            rows += re.findall(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", text, re.MULTILINE)
    for path in sorted((_APT / "sources.list.d").glob("*.sources")):
        for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8", errors="replace")):
            fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", block, re.MULTILINE))
            if "deb" in fields.get("Types", "").split() and fields.get("Enabled", "yes") != "no":
                addresses, suites = fields.get("URIs", "").split(), fields.get("Suites", "").split()
                rows += [(address, suite) for address in addresses for suite in suites]
    # A third party's archive has another path or suite
    return [row for row in rows if re.search(r"/(debian|ubuntu)(-security)?/?$", row[0])]
