"""How fast is the digest of a day? Measures `smos daily` over many tenants against the sandbox.

    python tests/load/daily.py                 # 1,000 tenants, 50 ms latency, some minutes
    python tests/load/daily.py --smoke         # small: only whether it still works

Times are never asserted: machines differ. It fails when a figure is wrong. Everything happens in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "collections"), str(ROOT / "tests")]

from smos.sandbox import server
from support import activity
from support.instance import Instance, instance, shop

GOAL_S = 30


class WrongResult(Exception):
    """A figure is not what it should be; the message says which."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--latency", type=float, default=50.0, help="milliseconds that each answer takes (default 50)")
    parser.add_argument("--smoke", "--quick", action="store_true", help="small sizes, for every run of the tests")
    options = parser.parse_args(arguments)
    if options.smoke:
        options.tenants, options.latency = 8, 10.0
    try:
        with tempfile.TemporaryDirectory(prefix="smos-load-") as folder, instance(Path(folder) / "daily") as smos:
            lines = measured(smos, options.tenants, options.latency)
    except WrongResult as wrong:
        print(f"WRONG RESULT: {wrong}", file=sys.stderr)
        return 1
    print(f"\ndaily, {os.cpu_count()} cores, Python {sys.version.split()[0]}\n" + "\n".join(lines))
    return 0


def measured(smos: Instance, tenants: int, latency_ms: float) -> list[str]:
    """Make the tenants, give each an order, and tell of that day three times."""
    smos.up()
    shops = [shop(number) for number in range(tenants)]
    smos.add_files(shops)
    made = smos.run("tenant", "apply", "--json")
    if made.code != 0:
        raise WrongResult(f"the tenants could not be made: {made.why[:400]}")
    zone = ZoneInfo("America/Santiago")
    day = datetime.now(zone).date() - timedelta(days=1)
    noon = datetime.combine(day, clock(12), zone).astimezone(UTC)
    activity.orders(smos.sandbox / "state.db", [(f"{each.slug}.myshopify.com", noon, "1990") for each in shops])
    server.settings(smos.sandbox, latency_ms=latency_ms)
    walls, requests = [], 0
    for _turn in range(3 if tenants > 100 else 1):
        last, begun = smos.seen(), time.perf_counter()
        done = smos.run("daily", "--date", day.isoformat(), "--json")
        walls.append(time.perf_counter() - begun)
        requests = server.requests(smos.sandbox, since=last, limit=0)["matching"]
        if done.code != 0:
            raise WrongResult(done.why or done.err[-400:])
        totals = done.result["digest"]["totals"]
        expected = {"orders": tenants, "totals": {"CLP": str(1990 * tenants)}, "tenants": tenants, "unknown": 0}
        if totals["shopify"] != expected or any(each["unknown"] for each in totals.values()):
            raise WrongResult(f"totals: {totals}")
    told = ", ".join(f"{wall:.1f} s" for wall in walls)
    goal = f"goal for 1,000 tenants and 50 ms: {GOAL_S} s"
    return [f"digest of {tenants} tenants, {latency_ms:g} ms latency: {told} ({goal}), {requests} requests"]


if __name__ == "__main__":
    sys.exit(main())
