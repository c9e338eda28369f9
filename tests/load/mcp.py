# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""How long `smos mcp` takes from its start to the list of tools: prints seconds beside what is aimed at.

    python tests/load/mcp.py [--times 5]

Wall clock, with the start of Python. The client's own imports are not counted. The exit code is 1 when the aim is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "src"), str(PROJECT / "collections"), str(PROJECT / "tests")]

from support.instance import Instance

AIM_S = 0.5
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "load", "version": "1"}}
ASKED = (
    {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO},
    {"jsonrpc": "2.0", "method": "notifications/initialized"},
    {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
)


def listed(instance: Instance) -> float:
    """Seconds until the tools are there."""
    started = time.perf_counter()
    line = [sys.executable, "-P", "-m", "smos", "mcp", "--client", "smarterbot"]
    variables = instance.variables
    with subprocess.Popen(line, cwd=PROJECT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(json.dumps(one) + "\n" for one in ASKED).encode())
        process.stdin.flush()
        for answer in process.stdout:
            if json.loads(answer).get("id") == 2:
                break
        took = time.perf_counter() - started
        process.stdin.close()
        process.stdout.read()
    return took


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How long smos mcp takes until its tools are there.")
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        instance = Instance.make(Path(folder) / "smos")
        best = min(listed(instance) for _each in range(times))
    print(f"tools listed after {best:.2f} s at best of {times} (aim: {AIM_S} s)")
    return 0 if best <= AIM_S else 1


if __name__ == "__main__":
    sys.exit(main())
