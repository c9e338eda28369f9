"""The sandbox's VPS: a machine with systemd, reached by SSH as a rented one would be, on this machine's Docker Engine.

``<state>/sandbox/vps/`` holds its keys and ``machines.json``, which says how it is reached. Beside the machines stands an
image registry: ``127.0.0.1:5000`` inside each of them, a loopback port outside.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from smos.sandbox import vps_image, vps_keys, vps_machine
from smos.sandbox.vps_engine import Engine, VpsError, published

__all__ = ["Machine", "VpsError", "down", "known", "status", "up"]

SUITE = "bookworm"
BOOT_SECONDS = 90.0
STOP_SECONDS = 30
NAMES = [f"vps{number}" for number in range(1, vps_machine.MOST_NODES + 1)]


@dataclass(frozen=True)
class Machine:
    """One machine, and how this one reaches it."""

    name: str
    host: str
    port: int
    key: str
    registry_port: int
    """Images are pushed to this port of the loopback; inside they are pulled from 127.0.0.1:5000."""
    container: str
    suite: str
    address: str
    """Among the machines."""
    http_port: int
    https_port: int


def up(
    state: Path,
    *,
    suite: str | None = None,
    nodes: int | None = None,
    real_images: bool | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> list[Machine]:
    """Have ``nodes`` machines or more run, and return all of them; those that run already stay as they are.

    ``suite`` and ``nodes`` default to what there is, else bookworm and one. ``real_images``: images may be pulled from
    registries, the base of the machine too; the wish is kept. Raises :class:`VpsError`.
    """
    if nodes is not None and not 1 <= nodes <= vps_machine.MOST_NODES:
        raise VpsError(f"{nodes} machines", f"Take 1 to {vps_machine.MOST_NODES}")
    engine = Engine.found(state.resolve())
    folder = _folder(state)
    with _lock(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        real = _wish(folder, real_images)
        return _Site(engine, folder, real, say).up(suite, nodes)


def down(state: Path, *, purge: bool = False) -> dict[str, Any]:
    """Stop the machines; ``purge`` removes them with their data. Returns the names of what was stopped and removed."""
    folder = _folder(state)
    if not folder.is_dir():
        return {"stopped": [], "removed": []}
    try:
        engine = Engine.found(state.resolve())
    except VpsError:
        if purge:
            raise
        return {"stopped": [], "removed": []}  # without an engine none of them runs
    with _lock(folder):
        running = [name for name, row in engine.containers().items() if row["State"]["Running"]]
        if not purge:
            if running:
                engine.run("stop", "--time", str(STOP_SECONDS), *running, seconds=STOP_SECONDS * len(running) + 30)
            return {"stopped": running, "removed": []}
        things = {kind: engine.ours(kind) for kind in ("container", "volume", "network")}
        engine.remove(things["container"], things["volume"], things["network"])
        shutil.rmtree(folder)
        return {"stopped": running, "removed": sorted({name for names in things.values() for name in names})}


def status(state: Path) -> list[dict[str, Any]]:
    """A row for each container: ``name, role, state``, of a machine ``suite, port``, of the registry ``registry_port``.

    ``state`` is the engine's word, ``unknown`` where it does not answer. No rows where no VPS was made.
    """
    if not _folder(state).is_dir():
        return []
    try:
        found = Engine.found(state.resolve()).containers()
    except VpsError:
        return [
            {"name": row.container, "role": row.name, "state": "unknown", "suite": row.suite, "port": 0}
            for row in known(state)
        ]
    return [_row(name, row) for name, row in sorted(found.items())]


def real_images(state: Path) -> bool:
    """Whether the last ``up`` that said something about it allowed images from registries."""
    return _wish(_folder(state), None)


def known(state: Path) -> list[Machine]:
    """The machines as the last ``up`` found them; the engine is not asked."""
    return [Machine(**row) for row in _memory(_folder(state)).get("machines", [])]


# --- inside ----------------------------------------------------------------------------------------------------------


def _folder(state: Path) -> Path:
    return state.resolve() / "sandbox" / "vps"


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    # Beside the folder, which a purge removes while others wait
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _wish(folder: Path, said: bool | None) -> bool:
    path = folder / "real_images"
    if said:
        path.touch()
    elif said is not None:
        path.unlink(missing_ok=True)
    return path.exists()


def _memory(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "machines.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _row(name: str, row: dict[str, Any]) -> dict[str, Any]:
    labels = row["Config"]["Labels"]
    told = {"name": name, "role": labels.get(vps_machine.ROLE, ""), "state": row["State"]["Status"]}
    if told["role"] == "registry":
        return {**told, "registry_port": published(row, vps_machine.REGISTRY)}
    return {**told, "suite": labels.get(vps_machine.SUITE, ""), "port": published(row, vps_machine.SSH)}


class _Site:
    """The machines of one state folder while they are brought up."""

    def __init__(self, engine: Engine, folder: Path, real_images: bool, say: Callable[[str], None]) -> None:
        self.engine, self.folder, self.real_images, self.say = engine, folder, real_images, say
        self.prefix = f"smos-vps-{hashlib.sha256(str(engine.state).encode()).hexdigest()[:8]}"
        self.containers = engine.containers()
        # Id of each container that came up once; another one was left half-made
        self.made: dict[str, str] = _memory(folder).get("made", {})
        self.image: str | None = None

    def up(self, suite: str | None, nodes: int | None) -> list[Machine]:
        """See :func:`up`."""
        present = {number: row for number in range(1, len(NAMES) + 1) if (row := self._whole(self._name(number)))}
        has = next((row["Config"]["Labels"].get(vps_machine.SUITE) for row in present.values()), None)
        if has and suite and suite != has:
            raise VpsError(
                f"the VPS is {has}, not {suite}",
                "Remove it with its data first (smos sandbox down --vps --purge), or use another SMOS_STATE_DIR",
            )
        suite = suite or has or SUITE
        keys = vps_keys.have(self.folder, NAMES)
        net = vps_machine.network(self.engine, self.prefix)
        registry = self._registry(suite, net)
        machines: list[Machine] = []
        for number in range(1, max(nodes or 1, *present, 1) + 1):
            machines.append(self._node(number, suite, net, keys, registry))
            self._remember(machines)
        return machines

    def _name(self, number: int) -> str:
        return f"{self.prefix}-{number}"

    def _whole(self, name: str) -> dict[str, Any] | None:
        row = self.containers.get(name)
        return row if row is not None and self.made.get(name) == row["Id"] else None

    def _have_image(self, suite: str) -> str:
        if self.image is None:
            origin = vps_image.source(suite, real_images=self.real_images)
            self.image = vps_image.have(self.engine, origin, self.say)
        return self.image

    def _registry(self, suite: str, net: vps_machine.Network) -> int:
        """Its port. It holds nothing but its volume: a broken one is made anew without loss."""
        name = f"{self.prefix}-registry"
        if self._whole(name) is None:
            self.engine.remove(containers=[name])
            vps_machine.create_registry(self.engine, name, self._have_image(suite), net)
        row = self._started(name)
        port = published(row, vps_machine.REGISTRY)
        _wait_for_registry(port, lambda: self._logs(name))
        self.made[name] = row["Id"]
        return port

    def _node(self, number: int, suite: str, net: vps_machine.Network, keys: vps_keys.Keys, registry: int) -> Machine:
        name = self._name(number)
        if self._whole(name) is None:
            self.engine.remove(containers=[name], volumes=[name])
            self.say(f"Making the VPS vps{number} ({suite})")
            vps_machine.create_node(self.engine, name, number, self._have_image(suite), suite, net, keys)
        row = self._started(name)
        machine = Machine(
            name=f"vps{number}",
            host="127.0.0.1",
            port=published(row, vps_machine.SSH),
            key=str(keys.login),
            registry_port=registry,
            container=name,
            suite=suite,
            address=net.node(number),
            http_port=published(row, vps_machine.HTTP),
            https_port=published(row, vps_machine.HTTPS),
        )
        self._wait_for_login(machine, keys)
        self.made[name] = row["Id"]
        return machine

    def _started(self, name: str) -> dict[str, Any]:
        """The container's description while it runs; its ports are chosen anew at each start."""
        self.engine.run("start", name)
        row = self.engine.inspect("container", name)
        if row is None or not row["State"]["Running"]:
            raise VpsError(f"{name} ended at once: {self._logs(name)}", "See `docker logs` and `smos sandbox status`")
        return row

    def _wait_for_login(self, machine: Machine, keys: vps_keys.Keys) -> None:
        """Until somebody can log in and systemd has started what there is to start."""
        words = [
            "ssh",
            *keys.options(machine.name),
            "-o",
            "ConnectTimeout=5",
            "-p",
            str(machine.port),
            "root@127.0.0.1",
        ]
        words.append("systemctl is-system-running --wait || true")
        ends = time.monotonic() + BOOT_SECONDS
        said = ""
        while (left := ends - time.monotonic()) > 0:
            try:
                done = subprocess.run(words, capture_output=True, text=True, timeout=left, check=False)
            except subprocess.TimeoutExpired:
                break
            if done.returncode == 0:
                if done.stdout.strip() not in ("running", "degraded"):
                    said = done.stdout.strip()
                    time.sleep(0.2)
                    continue
                return
            said = done.stderr.strip()
            time.sleep(0.2)
        raise VpsError(
            f"nobody can log in to {machine.container} after {BOOT_SECONDS:g} s: {said or self._logs(machine.container)}",
            "Make it anew: smos sandbox down --vps --purge, then smos sandbox up --vps",
        )

    def _logs(self, name: str) -> str:
        done = subprocess.run(["docker", "logs", "--tail", "5", name], capture_output=True, text=True, check=False)
        return (done.stdout + done.stderr).strip() or "it wrote nothing"

    def _remember(self, machines: list[Machine]) -> None:
        text = json.dumps({"machines": [asdict(machine) for machine in machines], "made": self.made}, indent=2)
        part = self.folder / "machines.json.part"
        part.write_text(text + "\n", encoding="utf-8")
        part.replace(self.folder / "machines.json")


def _wait_for_registry(port: int, logs: Callable[[], str]) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    ends = time.monotonic() + BOOT_SECONDS / 3
    while time.monotonic() < ends:
        with contextlib.suppress(OSError), direct.open(f"http://127.0.0.1:{port}/v2/", timeout=5):
            return
        time.sleep(0.1)
    raise VpsError(f"the image registry does not answer: {logs()}", "smos sandbox down --vps --purge, then start again")
