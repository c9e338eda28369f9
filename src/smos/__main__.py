"""`python -m smos`: what the launcher runs."""

import sys

from smos.cli import main

sys.exit(main())
