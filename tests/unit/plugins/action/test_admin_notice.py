"""What the admin is told, on which ways, and what is told of a way that fails."""

from __future__ import annotations

import pytest

from ansible_collections.smartercl.smarteros.plugins.action import admin_notice
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import notice_text
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.notice_text import News
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.action import Stop
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.notice_channels import Channels

CLOSED = "https://127.0.0.1:9"
SECRET = "planted-secret-of-the-hook"
KNOWN = Channels(
    {"language": "es", "webhook": {"url_file": "/nowhere/url", "token_file": "/nowhere/token"}},
    {"/nowhere/url": f"{CLOSED}/{SECRET}\n", "/nowhere/token": f"{SECRET}\n"},
)
NEWS = News(notice_text.SAID, "notify", "Mantención terminada", 1.0, "production")


def test_the_text_stands_as_it_was_written() -> None:
    assert admin_notice.judged("  Listo: {{ no }} es plantilla 💚\n") == "Listo: {{ no }} es plantilla 💚"
    words = notice_text.words(NEWS, "es")
    assert (words.subject, words.line) == ("SmarterOS production: aviso", "Mantención terminada")
    assert notice_text.words(NEWS, "en").subject == "SmarterOS production: notice"


@pytest.mark.parametrize("text", ["", " \n ", "x" * 901, "bell\a", "zero\u200bwidth"])
def test_a_text_that_nobody_could_read_is_refused(text: str) -> None:
    with pytest.raises(Stop) as refused:
        admin_notice.judged(text)
    assert refused.value.exit_code == 2


def test_only_ways_that_are_there_are_taken() -> None:
    assert admin_notice.chosen(KNOWN, []) == ["webhook"]
    for known, wanted in ((KNOWN, ["email"]), (Channels(), [])):
        with pytest.raises(Stop) as refused:
            admin_notice.chosen(known, wanted)
        assert refused.value.exit_code == 3
        assert "SMOS_ADMIN_EMAIL" in str(refused.value)


def test_a_way_that_fails_says_why_and_no_secret() -> None:
    why = admin_notice.sent("webhook", KNOWN, NEWS)
    assert "127.0.0.1" in why
    assert SECRET not in why
