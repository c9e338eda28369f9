"""From the inventory's variables to the admin: what the machine installs and sends, with the sandbox's mail and WhatsApp."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import notice
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.config import Config
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.notice_channels import channels
from support.instance import Instance
from support.sandbox_api import TOKEN

TEMPLATE = "smarteros_respaldo_sandbox_approved"
BODY = "Aviso de SmarterOS, ambiente {{1}}: {{2}}. Revisa el estado con smos status."


@pytest.fixture
def config(shared_smos: Instance, tmp_path: Path) -> Config:
    """A machine's configuration as it comes of the sandbox's inventory."""
    url = (shared_smos.sandbox / "url").read_text().strip()
    values: dict[str, Any] = {
        "smos_admin_phone": "+56900000000",
        "smos_admin_email": "admin@smarterbot.cl",
        "smos_notice_template": TEMPLATE,
        "whatsapp_url": f"{url}/whatsapp/v23.0",
        "whatsapp_token": TOKEN.format("whatsapp"),
        "whatsapp_phone_number_id": "100000000000002",
        "smtp_host": "127.0.0.1",
        "smtp_port": (shared_smos.sandbox / "smtp_port").read_text(),
        "smtp_user": "smarteros",
        "smtp_password": TOKEN.format("smtp"),
        "smtp_from": "no-reply@smarterbot.cl",
        "smtp_tls": "none",
    }
    template = {
        "name": TEMPLATE,
        "language": "es",
        "category": "UTILITY",
        "components": [{"type": "BODY", "text": BODY}],
    }
    headers = {"Authorization": f"Bearer {TOKEN.format('whatsapp')}"}
    made = requests.post(
        f"{url}/whatsapp/v23.0/100000000000001/message_templates", json=template, headers=headers, timeout=30
    )
    assert made.status_code in (200, 400), made.text  # 400: a test before made it
    found = channels(values, str(tmp_path))
    for path, text in found.files.items():
        Path(path).write_text(text)
    return Config("sandbox", "/backups", "/nowhere", {}, zone="smarterbot.cl", notices=found.notices)


def outbox(smos: Instance) -> list[dict[str, Any]]:
    done = smos.run("sandbox", "outbox", "--json")
    assert done.code == 0, done
    found: list[dict[str, Any]] = done.result["messages"]
    return found


def test_the_admin_hears_of_it_once_by_mail_and_whatsapp(shared_smos: Instance, config: Config, tmp_path: Path) -> None:
    def job(ok: bool, message: str = "") -> list[str]:
        return notice.tell(config, "copy", ok, message, state_folder=tmp_path / "state")

    assert job(False, "s3 does not answer") == ["email: told that copy failed", "whatsapp: told that copy failed"]
    assert job(False, "s3 does not answer") == []
    assert job(True) == ["email: told that copy works again", "whatsapp: told that copy works again"]
    assert job(True) == []
    texts = [str(each["text"]) for each in outbox(shared_smos)]
    assert len(texts) == 4, texts
    failed = "falló la copia remota del respaldo: s3 does not answer"
    assert BODY.replace("{{1}}", "sandbox").replace("{{2}}", failed) in texts
    assert sum("volvió a funcionar la copia remota del respaldo" in text.lower() for text in texts) == 2
    assert TOKEN.format("whatsapp") not in str(texts)
