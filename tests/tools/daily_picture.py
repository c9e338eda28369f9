"""Draw the digest as the founder's telephone shows it, from what `smos daily --send` sends in a sandbox, into docs/images.

    python tests/tools/daily_picture.py

Takes half a minute. The shops and their day are made up; the words and the figures are the program's own.
"""

from __future__ import annotations

import sys
import tempfile
import textwrap
from datetime import UTC, date, datetime, time, timedelta
from html import escape
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "images" / "daily.svg"
ZONE = ZoneInfo("America/Santiago")
NAMES = ("Acme Corp", "Pan y Sal", "La Tienda")
WIDE, LINE, SIZE = 46, 19, 13.5  # characters of a line, pixels between two, pixels of a letter
LEFT, TOP, WIDTH = 16, 62, 380  # pixels
_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" width="412" height="{height}" viewBox="0 0 412 {height}" role="img">
<title>The digest of a day, as WhatsApp shows it</title>
<rect width="412" height="{height}" rx="14" fill="#efe7dd"/>
<rect width="412" height="46" rx="14" fill="#075e54"/><rect y="24" width="412" height="22" fill="#075e54"/>
<text x="20" y="29" font-family="sans-serif" font-size="16" font-weight="bold" fill="#ffffff">SmarterOS</text>
<rect x="{left}" y="{top}" width="{width}" height="{bubble}" rx="9" fill="#ffffff"/>
{lines}
<text x="{right}" y="{bottom}" font-family="sans-serif" font-size="11" fill="#8a8a8a" text-anchor="end">08:00</text>
</svg>
"""


def drawn(message: str) -> str:
    """The picture of a message."""
    rows = textwrap.wrap(message, WIDE)
    style = f'font-family="sans-serif" font-size="{SIZE}" fill="#111111"'
    lines = "\n".join(
        f'<text x="{LEFT + 12}" y="{TOP + 24 + LINE * number}" {style}>{escape(row)}</text>'
        for number, row in enumerate(rows)
    )
    bubble = 24 + LINE * len(rows) + 16
    places = {"left": LEFT, "top": TOP, "width": WIDTH, "right": LEFT + WIDTH - 12, "bottom": TOP + bubble - 8}
    return _SVG.format(height=TOP + bubble + 18, bubble=bubble, lines=lines, **places)


def main() -> int:
    """Write the picture."""
    sys.path[:0] = [str(ROOT / folder) for folder in ("tests", "src", "collections")]
    from support.instance import instance

    day = datetime.now(ZONE).date() - timedelta(days=1)
    with tempfile.TemporaryDirectory(prefix="smos-picture-") as folder, instance(Path(folder) / "smos") as smos:
        lived(smos, day)
        done = smos.run("daily", "--date", day.isoformat(), "--send", "--json")
        if done.code:
            sys.stderr.write(f"{done}\n")
            return 1
        sent = smos.run("sandbox", "outbox", "--json").result["messages"]
    text = next(each["text"] for each in sent if "resumen del" in each["text"])
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(
        drawn(" ".join(text.replace(f"{day:%d-%m-%Y}", "22-11-2026").replace(str(day), "2026-11-22").split()))
    )
    return 0


def lived(smos: object, day: date) -> None:
    """Three shops, and what their customers did that day."""
    from support import activity
    from support.instance import Instance, shop

    assert isinstance(smos, Instance)
    noon = datetime.combine(day, time(12), ZONE).astimezone(UTC)
    smos.up()
    shops = [shop(number) for number in range(len(NAMES))]
    for each, name in zip(shops, NAMES, strict=True):
        smos.add_files([each], name=name)
    smos.run("tenant", "apply", "--json")
    state = smos.sandbox / "state.db"
    for each, totals in zip(shops, ((310_000, 590_000), (100_000,), (412_345,)), strict=True):
        activity.orders(state, [(f"{each.slug}.myshopify.com", noon, str(total)) for total in totals])
    activity.sales(state, shops[0].rut, noon, 612_000)
    activity.failures(state, shops[1].rut, noon, 2)
    account = smos.run("tenant", "show", shops[2].rut, "--json").result["tenant"]["services"]["chatwoot"]["ref"][
        "account_id"
    ]
    activity.conversation(state, int(account), noon, 720)


if __name__ == "__main__":
    sys.exit(main())
