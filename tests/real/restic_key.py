"""A repository that opens at once: the same master key in a key file whose password is stretched next to nothing.

restic stretches a password for half a second at each command, and tests give hundreds of them. The key file itself says
how much (scrypt's N, r and p); restic takes any. The format: restic's design document, "Keys, Encryption and MAC".
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

LEAST = {"N": 2, "r": 1, "p": 1}
NONCE, TAG = 16, 16  # bytes
SCRYPT_BYTES = 1 << 28  # what OpenSSL may take; restic's own choice needs 64 MiB


def make_cheap(repository: Path, password: str) -> None:
    """Seal the only key of a repository on disk anew."""
    (path,) = (repository / "keys").iterdir()
    told = json.loads(path.read_bytes())
    master = _Seal.of(told, password).opened(base64.b64decode(told["data"]))
    told.update(LEAST)
    told["data"] = base64.b64encode(_Seal.of(told, password).sealed(master)).decode()
    content = json.dumps(told).encode()
    (path.parent / hashlib.sha256(content).hexdigest()).write_bytes(content)  # restic names a file by what is in it
    path.unlink()


@dataclass(frozen=True)
class _Seal:
    """AES-256 in counter mode, and Poly1305-AES over what comes out."""

    encryption: bytes
    mac: bytes
    mac_r: bytes

    @classmethod
    def of(cls, told: dict[str, object], password: str) -> _Seal:
        """The one that a password is stretched to."""
        salt, cost = base64.b64decode(str(told["salt"])), {name.lower(): int(str(told[name])) for name in LEAST}
        found = hashlib.scrypt(password.encode(), salt=salt, maxmem=SCRYPT_BYTES, dklen=64, **cost)
        return cls(found[:32], found[32:48], found[48:])

    def opened(self, data: bytes) -> bytes:
        nonce, text, tag = data[:NONCE], data[NONCE:-TAG], data[-TAG:]
        Poly1305.verify_tag(self._once(nonce), text, tag)
        return self._counted(nonce, text)

    def sealed(self, text: bytes) -> bytes:
        nonce = os.urandom(NONCE)
        hidden = self._counted(nonce, text)
        return nonce + hidden + Poly1305.generate_tag(self._once(nonce), hidden)

    def _counted(self, nonce: bytes, text: bytes) -> bytes:
        worker = Cipher(algorithms.AES(self.encryption), modes.CTR(nonce)).encryptor()
        return worker.update(text) + worker.finalize()

    def _once(self, nonce: bytes) -> bytes:
        """Poly1305's key for this nonce: AES is used on one block alone."""
        block = Cipher(algorithms.AES(self.mac), modes.ECB()).encryptor()
        return self.mac_r + block.update(nonce)
