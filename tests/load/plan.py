# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How fast is a plan? Measures `smos plan` and a `smos deploy all` with nothing to do, over many tenants on the sandbox.

    python tests/load/plan.py                    # 1,000 tenants, a few minutes
    python tests/load/plan.py --smoke            # small: only whether it still works

Times are never asserted: machines differ. It fails when a result is wrong: a plan that misses changes, a second deploy that
changes something. Everything happens in a temporary folder. The sandbox has no machine here; tests/load/deploy.py has one.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "collections"), str(ROOT / "tests")]

from support.instance import Done, Instance, instance, shop

GOALS = {"plan": 15.0, "plan, all to create": 15.0}  # seconds
NO_ENGINE = "tcp://203.0.113.1:2375"  # an address that is refused before anybody is asked


class WrongResult(Exception):
    """A command did not do what it should have done; the message says what."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; 1 when a result is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=1000, help="how many (default 1000)")
    parser.add_argument("--smoke", action="store_true", help="few tenants, for every run of the tests")
    options = parser.parse_args(arguments)
    count = 5 if options.smoke else options.tenants
    figures: dict[str, float] = {}
    try:
        with (
            tempfile.TemporaryDirectory(prefix="smos-load-") as folder,
            instance(Path(folder) / "smos", DOCKER_HOST=NO_ENGINE) as smos,
        ):
            measure(smos, count, figures)
    except WrongResult as wrong:
        print(f"WRONG RESULT: {wrong}", file=sys.stderr)
        return 1
    finally:
        print(f"{count} tenants, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
        for what, seconds in figures.items():
            print(f"{what:<32} {seconds:7.1f} s" + (f"   goal {GOALS[what]:g}" if what in GOALS else ""))
    return 0


def measure(smos: Instance, count: int, figures: dict[str, float]) -> None:
    """From nothing to everything, and then looks at what is as wanted. Raises WrongResult."""
    smos.up()
    smos.add_files([shop(number) for number in range(count)])
    figures["plan, all to create"], plan = timed(smos, "plan")
    tenants = {change["tenant"] for change in plan.result["changes"]} - {None}
    if len(tenants) != count:
        raise WrongResult(f"the plan knows of {len(tenants)} tenants")
    figures["deploy all, all to create"], made = timed(smos, "deploy", "all")
    if set(smos.phases().values()) != {"active"}:
        raise WrongResult(f"not every tenant is active: {made}")
    for what, words in (("plan", ("plan",)), ("plan tenants", ("plan", "tenants")), ("plan dns", ("plan", "dns"))):
        figures[what], again = timed(smos, *words)
        if again.result["changes"]:
            raise WrongResult(f"{what} finds something after a deploy: {again.result['changes'][:3]}")
    figures["deploy all, nothing to do"], second = timed(smos, "deploy", "all")
    if second.document["changed"]:
        raise WrongResult(f"a second deploy changed something: {second}")


def timed(smos: Instance, *words: str) -> tuple[float, Done]:
    """Run a command; gives how long it took, in seconds, and what it said. Raises WrongResult where it fails."""
    began = time.perf_counter()
    done = smos.run(*words, "--json")
    took = time.perf_counter() - began
    if done.code != 0:
        raise WrongResult(f"{' '.join(words)} ended with {done.code}: {done.why}")
    return took, done


if __name__ == "__main__":
    raise SystemExit(main())
