"""The keys of a sandbox's VPS: one pair for whoever logs in, one that the machine shows, pinned before it first boots."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from smos.sandbox.vps_engine import WITHOUT, VpsError


@dataclass(frozen=True)
class Keys:
    """The files of one state folder."""

    folder: Path

    @property
    def login(self) -> Path:
        """The private key that opens root's account."""
        return self.folder / "key"

    @property
    def host(self) -> Path:
        """The private key of the machine's sshd."""
        return self.folder / "host_key"

    @property
    def known_hosts(self) -> Path:
        """What the machine's key has to be, by the machine's name."""
        return self.folder / "known_hosts"

    def options(self, name: str) -> list[str]:
        """Options of ``ssh`` that reach one machine with these keys and nothing else of the user's."""
        chosen = {
            "UserKnownHostsFile": str(self.known_hosts),
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes",
            "HostKeyAlias": name,  # its port is another one after each start
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
        }
        return [
            "-F",
            "none",
            "-i",
            str(self.login),
            *(word for pair in chosen.items() for word in ("-o", "=".join(pair))),
        ]


def have(folder: Path, names: list[str]) -> Keys:
    """The keys, made if they are not all there. ``names`` are the machines that show the same host key."""
    keys = Keys(folder)
    for path in (keys.login, keys.host):
        if not (path.is_file() and path.with_suffix(".pub").is_file()):
            _make(path)
    public = keys.host.with_suffix(".pub").read_text(encoding="utf-8").split()
    keys.known_hosts.write_text(f"{','.join(names)} {public[0]} {public[1]}\n", encoding="utf-8")
    return keys


def _make(path: Path) -> None:
    for tool in ("ssh", "ssh-keygen"):
        if shutil.which(tool) is None:
            raise VpsError(
                f"a VPS is reached by SSH, and `{tool}` is not installed", f"Debian: openssh-client. {WITHOUT}"
            )
    for old in (path, path.with_suffix(".pub")):
        old.unlink(missing_ok=True)
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "smarteros-sandbox", "-f", str(path)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise VpsError(f"no key could be made: {done.stderr.strip()}", f"See whether {path.parent} can be written to")
