"""Have a conversation with `smos panel` in a sandbox, and write it into docs/panel.md.

    python tests/tools/panel_talk.py

Takes half a minute. tests/e2e/test_panel.py has the same conversation and compares.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "panel.md"
BEGIN, END = "<!-- talk: written by tests/tools/panel_talk.py -->\n```text\n", "\n```\n<!-- end of the talk -->"


def written(page: str) -> str:
    """The conversation that the page shows."""
    return page.partition(BEGIN)[2].partition(END)[0]


def main() -> int:
    """Write the page."""
    sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "src", "collections")]
    from support import panel
    from support.instance import ACME, instance

    with tempfile.TemporaryDirectory(prefix="smos-talk-") as folder, instance(Path(folder) / "smos") as smos:
        done = smos.create(ACME)
        if done.code:
            sys.stderr.write(f"{done}\n")
            return 1
        with panel.serving(smos) as there:
            talk = panel.talk(there)
    page = PAGE.read_text(encoding="utf-8")
    block = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    PAGE.write_text(block.sub(lambda _old: f"{BEGIN}{talk}{END}", page), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
