# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Messages go out once, whatever happens in between, and never fail a tenant that can work without them."""

from __future__ import annotations

import json
import typing as t
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.whatsapp import Messengers
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import messages, messages_texts
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.messages import Person, Setting, Wish
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.messages_outbox import Outbox
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.whatsapp import FakeMail, FakeWhatsApp, refusal
from ansible_collections.smartercl.smarteros.tests.unit.plugins.fakes.wire import Killed

TEXTS = messages_texts.load(Path(__file__).parents[4] / "specs" / "messages")
NOW = datetime(2026, 11, 22, 15, 30, tzinfo=UTC)
MADE = "2026-11-22T15:26:43Z"
ANA = Person("Ana Pérez", "ana@example.com", "+56900000001")
BEA = Person("Bea", "bea@example.com")
ADMIN = Person("", "admin@example.com", "")


def wish(tenant: str = "76086428-5", owner: Person = ANA, **more: t.Any) -> Wish:
    name = {"76086428-5": "Acme", "12345678-5": "Beta"}.get(tenant, f"Tenant {tenant}")
    domain = f"{name.lower()}.example.com"
    return Wish(tenant, name, name.lower(), domain, f"https://{domain}", owner, created_at=MADE, **more)


class World:
    """Both providers and the outbox; every run is a new process over the same file."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "outbox" / "staging.jsonl"
        self.whatsapp, self.mail = FakeWhatsApp(), FakeMail()
        self.setting: dict[str, t.Any] = {"ways": frozenset({"whatsapp", "email"}), "admin": ADMIN, "now": NOW}

    def run(self, *wishes: Wish, check: bool = False, **more: t.Any) -> list[bulk.Result]:
        outbox = Outbox(self.file)
        setting = Setting(TEXTS, "staging", **{**self.setting, **more})
        client = self.whatsapp.client() if "whatsapp" in setting.ways else None
        messengers = Messengers(client, self.mail if "email" in setting.ways else None)
        written = messages.by_tenant(outbox.read())
        plans = [messages.plan(each, written.get(each.tenant, ()), setting) for each in wishes]
        if check:
            return [messages.predicted(each) for each in plans]
        post = messages.Post(messengers, outbox, setting)
        try:
            return post.carry_out(plans, concurrency=1)
        finally:
            outbox.close()

    @property
    def notes(self) -> list[str]:
        return [mail.body for mail in self.mail.mails if mail.to == ADMIN.email]

    @property
    def to_owners(self) -> list[str]:
        mails = [f"mail {mail.to}" for mail in self.mail.mails if mail.to != ADMIN.email]
        return [*(f"whatsapp {each['to']}" for each in self.whatsapp.messages), *mails]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def whats(result: bulk.Result) -> list[str]:
    return [change.what for change in result.changes]


def test_an_owner_with_a_number_is_welcomed_by_whatsapp_another_by_mail(world: World) -> None:
    acme, beta = world.run(wish(), wish("12345678-5", BEA))
    assert world.to_owners == ["whatsapp 56900000001", "mail bea@example.com"]
    sent = world.whatsapp.messages[0]["template"]
    assert (sent["name"], sent["language"]["code"]) == ("smarteros_bienvenida", "es")
    assert [each["text"] for each in sent["components"][0]["parameters"]] == [
        "Ana Pérez",
        "Acme",
        "https://acme.example.com",
    ]
    assert (acme.state, acme.message, beta.state, beta.message) == ("ready", "", "ready", "")
    assert {key: acme.ref["welcome"][key] for key in ("state", "channel", "id", "occasion")} == {
        "state": "accepted",
        "channel": "whatsapp",
        "id": "wamid.1",
        "occasion": MADE,
    }


def test_the_admin_gets_one_note_about_all_of_them(world: World) -> None:
    world.run(wish(), wish("12345678-5", BEA))
    (note,) = world.notes
    assert "nuevas: 2" in note
    assert "- Acme (acme, acme.example.com): nuevas" in note
    assert "- Beta (beta, beta.example.com): nuevas" in note


def test_a_note_by_whatsapp_names_the_first_five_on_one_line(world: World) -> None:
    many = [wish(f"{number}-1", BEA) for number in range(1, 9)]
    world.run(*many, admin=Person("", "", "+56900000009"))
    (note,) = world.whatsapp.messages
    values = [each["text"] for each in note["template"]["components"][0]["parameters"]]
    assert values[:2] == ["staging", "nuevas: 8"]
    assert values[2].endswith("Tenant 5-1, y 3 más")
    assert "\n" not in "".join(values)


def test_check_mode_foretells_the_run_and_sends_nothing(world: World) -> None:
    tenants = (wish(), wish("12345678-5", BEA))
    foretold = world.run(*tenants, check=True)
    assert (world.to_owners, world.notes, world.file.exists()) == ([], [], False)
    done = world.run(*tenants)
    assert [each.as_dict()["changes"] for each in foretold] == [each.as_dict()["changes"] for each in done]


def test_a_second_run_sends_nothing_and_reports_the_same_ref(world: World) -> None:
    first = world.run(wish())
    again = world.run(wish())
    assert (len(world.to_owners), len(world.notes), whats(again[0])) == (1, 1, [])
    assert again[0].ref == first[0].ref


def test_the_status_is_enough_when_the_outbox_is_lost(world: World) -> None:
    (first,) = world.run(wish())
    world.file.unlink()
    (again,) = world.run(wish(known=first.ref))
    assert (len(world.to_owners), len(world.notes), whats(again), again.ref) == (1, 1, [], first.ref)


def test_a_tenant_that_was_purged_and_made_anew_is_welcomed_again(world: World) -> None:
    world.run(wish())
    world.run(replace(wish(), created_at="2026-11-22T15:29:00Z"))
    assert len(world.to_owners) == 2


@pytest.mark.parametrize("moment", ["die_before", "die_after"])
def test_a_process_that_dies_around_a_message_never_sends_it_twice(world: World, moment: str) -> None:
    setattr(world.mail, moment, "bea@example.com")
    with pytest.raises(Killed):
        world.run(wish("12345678-5", BEA))
    setattr(world.mail, moment, "")
    sent = len(world.to_owners)
    (result,) = world.run(wish("12345678-5", BEA))
    assert len(world.to_owners) == sent
    assert (result.state, result.ref["welcome"]["state"]) == ("ready", "sending")
    assert "may have been sent and is not sent again" in result.message
    assert len(world.notes) == 1  # the admin hears of it all the same
    (again,) = world.run(wish("12345678-5", BEA))
    assert (again.message, len(world.notes)) == (result.message, 1)


def test_what_may_have_been_sent_is_sent_again_on_demand(world: World) -> None:
    world.mail.die_before = "bea@example.com"
    with pytest.raises(Killed):
        world.run(wish("12345678-5", BEA))
    world.mail.die_before = ""
    (result,) = world.run(wish("12345678-5", BEA), repeat_unanswered=True)
    assert (world.to_owners, result.ref["welcome"]["state"]) == (["mail bea@example.com"], "accepted")


def test_dying_before_the_note_leaves_the_note_to_the_next_run(world: World) -> None:
    world.mail.die_before = ADMIN.email
    with pytest.raises(Killed):
        world.run(wish())
    world.mail.die_before = ""
    world.file.write_text("".join(line for line in world.file.read_text().splitlines(True) if "note:" not in line))
    (result,) = world.run(wish())
    assert (len(world.to_owners), len(world.notes)) == (1, 1)
    assert whats(result) == ["note to the admin about the welcome of Acme (76086428-5)"]


def test_a_lost_answer_of_whatsapp_is_not_repeated_and_not_replaced_by_mail(world: World) -> None:
    world.whatsapp.lose = lambda request: request.method == "POST"
    (result,) = world.run(wish())
    assert (world.to_owners, result.state) == (["whatsapp 56900000001"], "ready")
    assert "may have been sent" in result.message
    world.whatsapp.lose = lambda _request: False
    world.run(wish())
    assert world.to_owners == ["whatsapp 56900000001"]


def test_what_whatsapp_surely_refuses_goes_by_mail(world: World) -> None:
    world.whatsapp.answers["56900000001"] = refusal(400, 131026, "Message undeliverable")
    (result,) = world.run(wish())
    assert world.to_owners == ["mail ana@example.com"]
    assert result.ref["welcome"]["channel"] == "email"
    assert "went by mail" in result.message
    assert "131026" in result.message
    (again,) = world.run(wish())
    assert (again.message, len(world.to_owners)) == (result.message, 1)


def test_a_refused_recipient_is_tried_again_only_when_the_address_changes(world: World) -> None:
    gone = Person("Bea", "bea@bounce.example")
    world.mail.troubles["bea@bounce.example"] = ApiError("550 no such user", errors.INVALID, code="recipient")
    (result,) = world.run(wish("12345678-5", gone))
    assert (result.state, result.error) == ("ready", None)
    assert result.message.startswith("welcome not delivered: mail: 550")
    (again,) = world.run(wish("12345678-5", gone), check=True)
    assert whats(again) == []
    (moved,) = world.run(wish("12345678-5", BEA))
    assert (world.to_owners, moved.message) == (["mail bea@example.com"], "")


def test_what_was_put_off_is_tried_again(world: World) -> None:
    world.mail.troubles["bea@example.com"] = ApiError("451 greylisted", errors.THROTTLED)
    (first,) = world.run(wish("12345678-5", BEA))
    assert "not sent yet" in first.message
    world.mail.troubles.clear()
    (second,) = world.run(wish("12345678-5", BEA))
    assert (world.to_owners, second.message, len(world.notes)) == (["mail bea@example.com"], "", 1)


def test_a_token_that_may_not_send_fails_the_tenants(world: World) -> None:
    world.whatsapp.refuse = lambda request: refusal(403, 10) if request.method == "POST" else None
    (result,) = world.run(wish())
    assert (result.state, world.to_owners) == ("failed", [])
    assert result.error is not None
    assert "permission" in result.error["why"]


def test_an_owner_whom_no_way_leads_to_is_told_of(world: World) -> None:
    (result,) = world.run(wish("12345678-5", BEA), ways=frozenset({"whatsapp"}))
    assert (result.state, whats(result)) == ("ready", [])
    assert "owner.phone" in result.message


def test_coming_and_going_is_told_once_each_time(world: World) -> None:
    first, second = "2026-11-22T15:27:00Z", "2026-11-22T15:29:00Z"
    away: dict[str, t.Any] = {"wish": "suspended", "state": "suspended"}
    world.run(wish())
    for since in (first, second):
        (gone,) = world.run(wish(since=since, **away))
        assert (gone.state, len(gone.changes)) == ("suspended", 2)
        assert world.run(wish(since=since, **away))[0].changes == []
        (back,) = world.run(wish())
        assert whats(back)[0] == "message of return to the owner of Acme (76086428-5)"
        assert world.run(wish())[0].changes == []
    names = [each["template"]["name"] for each in world.whatsapp.messages]
    assert names == ["smarteros_bienvenida", *["smarteros_suspension", "smarteros_reactivacion"] * 2]


def test_nobody_is_written_to_when_a_run_is_undone_or_the_service_is_off(world: World) -> None:
    (undone,) = world.run(wish(wish="", state="absent"))
    (off,) = world.run(wish(wish="", state="suspended"))
    assert (undone.state, off.state, world.to_owners, world.notes) == ("absent", "suspended", [], [])


def test_a_tenant_of_long_ago_is_not_welcomed(world: World) -> None:
    (result,) = world.run(replace(wish(), created_at="2025-01-01T00:00:00Z"))
    assert (world.to_owners, whats(result)) == ([], [])
    assert "more than 30 days late" in result.message


def test_without_an_admin_there_is_no_note_also_not_later(world: World) -> None:
    world.run(wish(), admin=Person())
    world.run(wish())
    assert world.notes == []


def test_the_outbox_names_nobody(world: World) -> None:
    world.run(wish(), wish("12345678-5", BEA))
    text = world.file.read_text()
    assert not [secret for secret in ("ana@", "bea@", "56900000001", "Ana") if secret in text]
    assert world.file.stat().st_mode & 0o777 == 0o600


def test_a_torn_line_is_not_the_end_of_the_outbox(world: World) -> None:
    world.run(wish())
    with world.file.open("a") as handle:
        handle.write('{"tenant": "12345678-5", "kind": "wel')
    world.run(wish("12345678-5", BEA))
    assert len(Outbox(world.file).read()) == 4
    lines = world.file.read_text().splitlines()
    assert sum(1 for line in lines if line.endswith("}") and json.loads(line)) == len(lines) - 1


def test_an_outbox_that_cannot_be_written_sends_nothing(world: World) -> None:
    world.file.parent.mkdir()
    world.file.mkdir()
    with pytest.raises(ApiError, match="cannot be read"):
        world.run(wish())
    assert world.to_owners == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("{owner}→{nobody}", "is none of"),
        ("languages→tongues", "has no languages"),
        ("subject→object", "email.subject: must be a text"),
        ("{{3}}→{{4}}", "the body has 4 places"),
        (": →:\t", "is not YAML"),
    ],
)
def test_a_mistake_in_a_message_is_told_with_its_file(tmp_path: Path, change: str, why: str) -> None:
    source = Path(__file__).parents[4] / "specs" / "messages"
    for path in source.glob("*.yml"):
        (tmp_path / path.name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    before, _arrow, after = change.partition("→")
    broken = tmp_path / "welcome.yml"
    broken.write_text(broken.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    with pytest.raises(ApiError, match=why) as caught:
        messages_texts.load(tmp_path)
    assert "welcome.yml" in caught.value.message


def test_a_name_with_braces_is_only_a_name(world: World) -> None:
    world.run(wish("12345678-5", replace(BEA, name="{url} {{ 1 }}\nBcc: x@example.com")))
    (mail,) = [mail for mail in world.mail.mails if mail.to == BEA.email]
    assert "Hola {url} {{ 1 }}" in mail.body
