# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How fast the registry is with many tenants: prints a table of what was measured beside what is aimed at.

    python tests/load/registry.py [--tenants 10000]

Everything happens in a temporary folder. Times are wall clock seconds; each row with "process" in it includes the start
of Python. The exit code is 1 when an aim is missed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import yaml

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "src"), str(PROJECT / "collections"), str(PROJECT / "tests")]

from ansible_collections.smartercl.smarteros.plugins.module_utils.registry.store import Registry
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.locks import Locks
from unit.plugins import registry_samples as samples

TARGET_TENANTS = 10_000
SOME = 1_000

INVENTORY = """
import sys, time
from ansible.plugins.loader import init_plugin_loader
init_plugin_loader([{collections!r}])
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible_collections.smartercl.smarteros.plugins.inventory import tenants
took, parse = [], tenants.InventoryModule.parse
def timed(*args, **more):
    began = time.perf_counter()
    parse(*args, **more)
    took.append(time.perf_counter() - began)
tenants.InventoryModule.parse = timed
began = time.perf_counter()
found = InventoryManager(DataLoader(), {inventory!r})
print(time.perf_counter() - began, took[0], len(found.hosts))
"""

LIST = """
from pathlib import Path
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import inventory_cache
print(len(inventory_cache.list_rows(Path({specs!r}), "sandbox")))
"""

LOOKUP = """
import time
from pathlib import Path
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import inventory_cache
names = [f"tenant{{number:05d}}" for number in range({some})]
inventory_cache.load_some(Path({specs!r}), "sandbox", names)
began = time.perf_counter()
found = [entry.merged for entry in inventory_cache.load_some(Path({specs!r}), "sandbox", names).values()]
print(time.perf_counter() - began, len(found))
"""


class Measured(NamedTuple):
    """One row: what, how long (or how many a second), and what is aimed at."""

    what: str
    value: float
    unit: str
    aim: float | None

    @property
    def is_met(self) -> bool:
        """Whether the aim is reached; rows without an aim always are."""
        if self.aim is None:
            return True
        return self.value >= self.aim if self.unit == "/s" else self.value <= self.aim


class Setting:
    """The temporary project that is measured."""

    def __init__(self, place: Path, tenants: int) -> None:
        self.tenants = tenants
        self.specs = samples.make_specs(place, tenants)
        self.state = place / "state"
        self.inventory = place / "inventories" / "sandbox"
        self.inventory.mkdir(parents=True)
        (self.inventory / "tenants.yml").write_text("plugin: smartercl.smarteros.tenants\n")
        self.environment = {
            **os.environ,
            "SMOS_STATE_DIR": str(self.state),
            "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
            "PYTHONPATH": str(PROJECT / "collections"),
        }
        self.environment.pop("SMOS_SPECS_REPO", None)

    @property
    def cache(self) -> Path:
        """The cache that the processes share."""
        return self.state / "cache" / "registry.sqlite"

    def python(self, code: str) -> list[str]:
        """Run code in a new Python, and give the words that it prints."""
        filled = code.format(
            collections=str(PROJECT / "collections"),
            inventory=str(self.inventory),
            specs=str(self.specs),
            some=self.some,
        )
        return self.run("-c", filled).split()

    @property
    def some(self) -> int:
        """How many tenants the measurements of some tenants use."""
        return min(SOME, self.tenants)

    def run(self, *arguments: str) -> str:
        """Run Python with these arguments, and give what it prints."""
        command = [sys.executable, *arguments]
        return subprocess.run(
            command, env=self.environment, cwd=PROJECT, check=True, capture_output=True, text=True
        ).stdout


@contextmanager
def timed() -> Iterator[Callable[[], float]]:
    """Give a function that says how long the block has taken."""
    began = time.perf_counter()
    yield lambda: time.perf_counter() - began


def control_rows(setting: Setting) -> Iterator[Measured]:
    """What reading the same files with PyYAML alone takes, in one process and without judging or merging."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    with timed() as took:
        for path in sorted((setting.specs / "tenants" / "registry").glob("*.yml")):
            yaml.load(path.read_bytes(), loader)  # the safe loader, by its faster name
        yield Measured("control: PyYAML reads the files", took(), "s", None)


def inventory_rows(setting: Setting) -> Iterator[Measured]:
    """Loading all tenants into Ansible, cold and warm."""
    for state, aim in (("cold", 3.0), ("warm", 1.0)):
        if state == "cold":
            setting.cache.unlink(missing_ok=True)
        whole, plugin, hosts = setting.python(INVENTORY)
        if int(hosts) != setting.tenants:
            raise SystemExit(f"{hosts} hosts instead of {setting.tenants}")
        yield Measured(f"inventory plugin, {state}", float(plugin), "s", aim)
        yield Measured(f"InventoryManager, {state}", float(whole), "s", None)
    with timed() as took:
        setting.run("-m", "ansible", "adhoc", "-i", str(setting.inventory), "tenants", "--list-hosts")
        yield Measured("process: ansible tenants --list-hosts, warm", took(), "s", None)


def reading_rows(setting: Setting) -> Iterator[Measured]:
    """What the command line and a playbook ask for."""
    with timed() as took:
        setting.python(LIST)
        yield Measured("process: list of all tenants, warm", took(), "s", 0.5)
    seconds, _count = setting.python(LOOKUP)
    yield Measured(f"merged tenants of {setting.some:,} names, warm", float(seconds), "s", 0.25)


def writing_rows(setting: Setting) -> Iterator[Measured]:
    """What a run writes."""
    registry = Registry(setting.specs / "tenants" / "registry")
    ruts = [samples.rut(number) for number in range(setting.some)]
    with timed() as took:
        written = registry.update_many([(rut, "sandbox", {"phase": "failed"}) for rut in ruts])
        rate = len(written.changed) / took()
    yield Measured("status written, many at once", rate, "/s", 500)
    with timed() as took:
        for rut in ruts[:100]:
            registry.set_status(rut, "sandbox", {"phase": "active"})
        yield Measured("status written, one by one", len(ruts[:100]) / took(), "/s", None)
    locks = Locks(registry.folder, "sandbox")
    with timed() as took:
        locks.acquire(ruts, "run", "measuring")
        yield Measured(f"{setting.some:,} locks taken", took(), "s", 1.0)
    with timed() as took:
        locks.release("run")
        yield Measured(f"{setting.some:,} locks released", took(), "s", 1.0)
    with timed() as took:
        setting.python(LIST)
        yield Measured(f"process: list after {setting.some:,} changes", took(), "s", None)


def table(rows: list[Measured]) -> str:
    """The rows as text."""
    width = max(len(row.what) for row in rows)
    lines = [f"{'':{width}}  {'measured':>12}  {'aim':>12}"]
    for row in rows:
        figure = f"{row.value:,.0f} /s" if row.unit == "/s" else f"{row.value:.3f} s"
        sign = "≥" if row.unit == "/s" else "≤"
        aim = "" if row.aim is None else f"{sign} {row.aim:g} {row.unit}"
        lines.append(f"{row.what:{width}}  {figure:>12}  {aim:>12}  {'' if row.is_met else 'MISSED'}".rstrip())
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the registry with many tenants.")
    parser.add_argument("--tenants", type=int, default=TARGET_TENANTS)
    count = parser.parse_args().tenants
    with tempfile.TemporaryDirectory(prefix="registry-load-") as place:
        setting = Setting(Path(place), count)
        time.sleep(0.1)
        rows = [*control_rows(setting), *inventory_rows(setting), *reading_rows(setting), *writing_rows(setting)]
    print(
        f"{count:,} tenants, {len(os.sched_getaffinity(0))} processors (load {os.getloadavg()[0]:.1f}), Python {sys.version.split()[0]}"
    )
    print(table(rows))
    return 0 if all(row.is_met for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
