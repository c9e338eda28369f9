# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""``python -m smos.specs schemas [--check] [--folder DIR]``: write the JSON Schemas, or say which are out of date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from smos.specs import schemas

FOLDER = Path(__file__).resolve().parents[3] / "specs" / "schemas"


def main(arguments: list[str] | None = None) -> int:
    """Give 0 when the files are as the models say (or were written), 1 when ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m smos.specs", description="Work on the definition of the specs.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("schemas", help="write specs/schemas/*.json from the models")
    command.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    command.add_argument("--folder", type=Path, default=FOLDER, help="folder of the schemas (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.check:
        different = schemas.stale(options.folder)
        for path in different:
            sys.stderr.write(f"{path} differs from the models: run python -m smos.specs schemas\n")
        return 1 if different else 0
    for path in schemas.write(options.folder):
        sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
