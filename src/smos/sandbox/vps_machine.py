"""A container that is a machine: systemd first, then sshd, with room for an engine of its own.

A container lacks what a machine has: cgroups and network settings that may be written to, and name servers that outlive
a flushed firewall.
Its first process sees to that at every start, whoever starts it, and then becomes systemd. What is particular to one
machine (keys, units) is laid into the container before its first start, so that the image stays the same for all.
"""

from __future__ import annotations

import io
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

from smos.sandbox.vps_engine import Engine, VpsError
from smos.sandbox.vps_keys import Keys

SUITE = "cl.smarteros.suite"
ROLE = "cl.smarteros.role"
MOST_NODES = 3
SSH, HTTP, HTTPS, REGISTRY = 22, 80, 443, 5000
_RESOLVERS = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))

FIRST_PROCESS = """\
#!/bin/sh
# Gives the container what a machine has, then becomes its systemd.
while read -r _ place kind _; do
  case "$kind" in
    cgroup | cgroup2) mount -o remount,bind,rw "$place" || true ;;
  esac
done </proc/mounts
# The settings of its network are its own, an engine in it changes them; what is the whole host's (vm, kernel) stays as it is
if mkdir -p /run/proc && mount -t proc proc /run/proc; then
  mount --bind /run/proc/sys/net /proc/sys/net || true
  umount -l /run/proc
fi
# The engine's own name server is a rule of its firewall, which a machine that sets up a firewall loses
if [ -n "${SMOS_RESOLVERS:-}" ]; then
  for address in $SMOS_RESOLVERS; do echo "nameserver $address"; done >/etc/resolv.conf
fi
unset SMOS_RESOLVERS
exec /lib/systemd/systemd "$@"
"""

REGISTRY_SOCKET = """\
[Unit]
Description=The sandbox's image registry

[Socket]
ListenStream=127.0.0.1:5000

[Install]
WantedBy=sockets.target
"""

REGISTRY_PROXY = """\
[Unit]
Description=Way to the sandbox's image registry
Requires=smos-registry.socket
After=smos-registry.socket

[Service]
ExecStart=/usr/lib/systemd/systemd-socket-proxyd --connections-max=512 registry:5000
PrivateTmp=yes
"""

REGISTRY_CONFIG = """\
version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: /var/lib/docker-registry}
  delete: {enabled: true}
http: {addr: ":5000"}
"""

# Hardware and kernel modules are the host's
MASKED = (
    "systemd-modules-load.service",
    "systemd-udevd.service",
    "systemd-udev-trigger.service",
    "console-getty.service",
)


@dataclass(frozen=True)
class Network:
    """Our bridge: the engine's choice of addresses, with fixed ones in it, because a Swarm remembers them."""

    name: str
    prefix: str
    """Of three numbers and a point."""

    def node(self, number: int) -> str:
        """The address of a machine."""
        return f"{self.prefix}{10 + number}"

    @property
    def registry(self) -> str:
        """The address of the registry."""
        return f"{self.prefix}9"

    def hosts(self) -> list[str]:
        """Options that make every container know the others by name."""
        known = {"registry": self.registry, **{f"vps{n}": self.node(n) for n in range(1, MOST_NODES + 1)}}
        return [word for name, address in known.items() for word in ("--add-host", f"{name}:{address}")]


def network(engine: Engine, name: str) -> Network:
    """Have the bridge. Fixed addresses need a subnet by name: the engine is asked for a free one, then given it."""
    attempts = 3
    while name not in engine.ours("network"):
        engine.run("network", "create", *engine.labels(), name)
        subnet = _subnet(engine, name)
        engine.remove(networks=[name])
        try:
            engine.run("network", "create", *engine.labels(), "--subnet", subnet, name)
        except VpsError:
            # Somebody else may have taken it in between
            attempts -= 1
            if not attempts:
                raise
    return Network(name, _subnet(engine, name).rpartition(".")[0] + ".")


def create_node(engine: Engine, name: str, number: int, image: str, suite: str, net: Network, keys: Keys) -> None:
    """Make a machine's container and its volume; it does not run yet."""
    # overlayfs does not stack on overlayfs: the inner engine's layers need a volume
    engine.volume(name)
    words = [
        *_common(engine, name, net, net.node(number), role=f"vps{number}", suite=suite),
        *("--hostname", f"vps{number}", "--stop-signal", "SIGRTMIN+3", "--cgroupns=private"),
        # --privileged asks for more than some hosts can give
        *("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"),
        *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
        *("--tmpfs", "/run:exec,mode=755", "--tmpfs", "/run/lock", "--volume", f"{name}:/var/lib/docker"),
        *("--env", "container=docker", "--env", f"SMOS_RESOLVERS={' '.join(resolvers())}"),
        *(word for port in (SSH, HTTP, HTTPS) for word in ("--publish", f"127.0.0.1::{port}")),
    ]
    engine.run("create", *words, image, "/usr/local/sbin/smos-machine", seconds=300)
    _lay_in(engine, name, _node_files(keys), MASKED)


def create_registry(engine: Engine, name: str, image: str, net: Network) -> None:
    """Make the registry's container, beside the machines: a firewall on one of them never cuts it off."""
    engine.volume(name)
    words = [
        *_common(engine, name, net, net.registry, role="registry"),
        *("--init", "--volume", f"{name}:/var/lib/docker-registry", "--publish", f"127.0.0.1::{REGISTRY}"),
    ]
    engine.run("create", *words, image, "docker-registry", "serve", "/etc/smos-registry.yml", seconds=300)
    _lay_in(engine, name, {"etc/smos-registry.yml": (REGISTRY_CONFIG, 0o644)})


def resolvers() -> list[str]:
    """This machine's name servers that a container can reach as well; none where they are on its loopback."""
    for path in _RESOLVERS:
        if path.is_file():
            found = re.findall(r"^nameserver\s+(\S+)", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
            usable = [address for address in found if not address.startswith(("127.", "::1", "fe80"))]
            if usable:
                return usable
    return []


def _common(engine: Engine, name: str, net: Network, address: str, *, role: str, suite: str = "") -> list[str]:
    marks = ["--label", f"{ROLE}={role}", "--label", f"{SUITE}={suite}"]
    return ["--name", name, *engine.labels(), *marks, "--network", net.name, "--ip", address, *net.hosts()]


def _node_files(keys: Keys) -> dict[str, tuple[str, int]]:
    def text(path: Path) -> str:
        return path.read_text(encoding="utf-8")

    units = "etc/systemd/system/smos-registry"
    return {
        "usr/local/sbin/smos-machine": (FIRST_PROCESS, 0o755),
        "root/.ssh/authorized_keys": (text(keys.login.with_suffix(".pub")), 0o600),
        "etc/ssh/ssh_host_ed25519_key": (text(keys.host), 0o600),
        "etc/ssh/ssh_host_ed25519_key.pub": (text(keys.host.with_suffix(".pub")), 0o644),
        f"{units}.socket": (REGISTRY_SOCKET, 0o644),
        f"{units}.service": (REGISTRY_PROXY, 0o644),
    }


def _lay_in(engine: Engine, name: str, files: dict[str, tuple[str, int]], masked: tuple[str, ...] = ()) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        if masked:
            _folder(tar, "root/.ssh", 0o700)
            wanted = "etc/systemd/system/sockets.target.wants"
            _folder(tar, wanted, 0o755)
            _link(tar, f"{wanted}/smos-registry.socket", "../smos-registry.socket")
        for unit in masked:
            _link(tar, f"etc/systemd/system/{unit}", "/dev/null")
        for path, (text, mode) in files.items():
            content = text.encode()
            row = tarfile.TarInfo(path)
            row.size, row.mode = len(content), mode
            tar.addfile(row, io.BytesIO(content))
    engine.run("cp", "-", f"{name}:/", content=archive.getvalue())


def _folder(tar: tarfile.TarFile, path: str, mode: int) -> None:
    row = tarfile.TarInfo(path)
    row.type, row.mode = tarfile.DIRTYPE, mode
    tar.addfile(row)


def _link(tar: tarfile.TarFile, path: str, target: str) -> None:
    row = tarfile.TarInfo(path)
    row.type, row.linkname = tarfile.SYMTYPE, target
    tar.addfile(row)


def _subnet(engine: Engine, name: str) -> str:
    found = engine.inspect("network", name) or {}
    rows = [row["Subnet"] for row in found.get("IPAM", {}).get("Config", []) if ":" not in row["Subnet"]]
    return str(rows[0])
