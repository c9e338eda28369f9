"""Which channels come of the inventory's variables, and that no secret stands in the machine's configuration."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import notice_ways
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.notice_channels import VARIABLES, Channels, channels

ALL: dict[str, Any] = {
    "smos_admin_phone": "+56900000000",
    "smos_admin_email": "admin@example.com",
    "smos_notice_webhook": "https://chat.example.com/hooks/secret-path",
    "smos_notice_webhook_token": "secret-hook-token",
    "whatsapp_url": "https://graph.facebook.com/v23.0",
    "whatsapp_token": "secret-meta-token",
    "whatsapp_phone_number_id": "1000",
    "smtp_host": "smtp.example.com",
    "smtp_port": 587,
    "smtp_user": "smarteros",
    "smtp_password": "secret with spaces",
    "smtp_from": "no-reply@example.com",
    "smtp_tls": "starttls",
}


def test_everything_set_gives_all_channels_and_a_file_for_each_secret() -> None:
    found = channels(ALL, "/etc/x")
    assert found.notices == {
        "webhook": {"url_file": "/etc/x/notice-webhook-url", "token_file": "/etc/x/notice-webhook-token"},
        "email": {
            "host": "smtp.example.com",
            "port": 587,
            "tls": "starttls",
            "user": "smarteros",
            "password_file": "/etc/x/notice-email-password",
            "from": "no-reply@example.com",
            "to": "admin@example.com",
        },
        "whatsapp": {
            "url": "https://graph.facebook.com/v23.0",
            "phone_number_id": "1000",
            "token_file": "/etc/x/notice-whatsapp-token",
            "to": "+56900000000",
            "template": "smarteros_respaldo",
            "language": "es",
        },
    }
    assert found.files == {
        "/etc/x/notice-webhook-url": "https://chat.example.com/hooks/secret-path\n",
        "/etc/x/notice-webhook-token": "secret-hook-token\n",
        "/etc/x/notice-email-password": "secret with spaces\n",
        "/etc/x/notice-whatsapp-token": "secret-meta-token\n",
    }
    assert set(ALL) <= set(VARIABLES)


def test_no_secret_is_in_the_section_nor_in_what_is_shown() -> None:
    found = channels(ALL)
    assert "secret" not in json.dumps(found.notices)
    assert "secret" not in repr(found)
    assert all(path.startswith("/etc/smarteros/backup/notice-") for path in found.files)


@pytest.mark.parametrize(
    ("without", "left"),
    [
        (["smos_notice_webhook"], {"email", "whatsapp"}),
        (["smos_admin_email"], {"webhook", "whatsapp"}),
        (["smtp_host"], {"webhook", "whatsapp"}),
        (["smos_admin_phone"], {"webhook", "email"}),
        (["whatsapp_token"], {"webhook", "email"}),
        (list(ALL), set()),
    ],
)
@pytest.mark.parametrize("empty", [None, "", "  ", "absent"])
def test_a_channel_that_lacks_something_is_left_out(without: list[str], left: set[str], empty: Any) -> None:
    values = {key: value for key, value in ALL.items() if key not in without}
    if empty != "absent":
        values.update(dict.fromkeys(without, empty))
    assert set(channels(values).notices) == left


def test_nothing_set_gives_nothing() -> None:
    assert channels({}) == Channels({}, {})


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("smtp_port", "smtp", "smtp_port is not a port"),
        ("smtp_port", 70000, "smtp_port is not a port"),
        ("smtp_tls", "maybe", "smtp_tls is none of"),
        ("smos_notice_webhook", "http://example.com", "smos_notice_webhook does not begin with https://"),
        ("whatsapp_token", "two\nlines", "the token for notices by whatsapp has a line break"),
    ],
)
def test_a_value_that_cannot_be_right_is_refused_by_its_name(name: str, value: Any, why: str) -> None:
    with pytest.raises(ApiError) as told:
        channels({**ALL, name: value})
    assert why in told.value.message


def test_mail_without_a_login_needs_no_file() -> None:
    found = channels({**ALL, "smtp_user": "", "smtp_port": ""})
    assert "password_file" not in found.notices["email"]
    assert found.notices["email"]["port"] == 0


def test_what_comes_of_it_is_what_the_machine_understands(tmp_path: Any) -> None:
    found = channels({**ALL, "smos_notice_language": "en", "smos_notice_template": "other"}, str(tmp_path))
    for path, text in found.files.items():
        (tmp_path / path).write_text(text)
    assert found.notices.pop("language") == "en"
    ways = {name: notice_ways.way_of(name, settings) for name, settings in found.notices.items()}
    assert ways["webhook"] == notice_ways.Webhook(ALL["smos_notice_webhook"], ALL["smos_notice_webhook_token"])
    whatsapp = ways["whatsapp"]
    assert isinstance(whatsapp, notice_ways.WhatsApp)
    assert (whatsapp.token, whatsapp.template, whatsapp.language) == (ALL["whatsapp_token"], "other", "en")
    email = ways["email"]
    assert isinstance(email, notice_ways.Mail)
    assert email.server.password == ALL["smtp_password"]
