"""The sandbox's Botpress: logins, bots, archives, the studio's form and converse as the real server has them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from smos.sandbox.botpress_archive import CONFIG, pack, unpack
from unit.sandbox.driver import Driver, botpress

ADMIN = "/api/v2/admin"
BOTS = f"{ADMIN}/workspace/bots"
LOGIN = f"{ADMIN}/auth/login/basic/default"
FILE = "/data/global/botpress.config.json"
EMAIL = "operator@smarterbot.cl"
TOKEN = "sandbox-botpress-token"
SERVER = {"authorization": f"Bearer {TOKEN}"}
SETTINGS = {"name": "Acme", "description": "smarteros:76086428-5", "defaultLanguage": "es", "languages": ["es"]}


@pytest.fixture
def api() -> Driver:
    driver = botpress()
    answer = driver.ok("POST", LOGIN, {"email": EMAIL, "password": TOKEN}, headers={})
    driver.headers = {"authorization": f"Bearer {answer['payload']['jwt']}", "x-bp-workspace": "default"}
    return driver


def archive(folder: str = "", **settings: Any) -> bytes:
    element = [{"id": "builtin_text-hi", "formData": {"text$es": "Hola"}}]
    flow = {"startNode": "hi", "nodes": [{"name": "hi", "onEnter": ["say #!builtin_text-hi"]}]}
    parts = {
        CONFIG: {**SETTINGS, **settings},
        "flows/main.flow.json": flow,
        "content-elements/builtin_text.json": element,
    }
    return pack({folder + path: json.dumps(part).encode() for path, part in parts.items()})


def sent(api: Driver, raw: bytes, bot: str = "acme", kind: str = "application/tar+gzip", **query: Any) -> Any:
    return api.send("POST", f"{BOTS}/{bot}/import", raw, headers={**api.headers, "content-type": kind}, **query)


def bot(api: Driver, ident: str = "acme") -> Any:
    rows = api.ok("GET", BOTS)["payload"]["bots"]
    return next((row for row in rows if row["id"] == ident), None)


def refused(reply: Any) -> tuple[int, str]:
    return reply.status, reply.body["message"] if isinstance(reply.body, dict) else reply.body


def test_a_login_gives_a_token_for_an_hour_and_a_wrong_one_a_400(api: Driver) -> None:
    payload = api.ok("POST", LOGIN, {"email": EMAIL.upper(), "password": TOKEN}, headers={})["payload"]
    assert payload["exp"] == 3_600_000
    for email, password in ((EMAIL, "wrong"), ("nobody@example.com", TOKEN), (EMAIL, None)):
        reply = api.send("POST", LOGIN, {"email": email, "password": password}, headers={})
        assert (reply.status, reply.body["errorCode"], reply.body["message"]) == (400, "BP_0009", "Invalid credentials")


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({}, 401, "Unauthorized: Authorization header is missing"),
        ({"authorization": "Bearer a.b.c"}, 401, "Unauthorized: Invalid authentication token"),
        ({"authorization": "Basic eDp5"}, 401, 'Unauthorized: Unknown scheme "Basic"'),
        ({"authorization": f"Bearer {TOKEN}"}, 401, "Unauthorized: Invalid authentication token"),
    ],
)
def test_bots_are_for_those_with_a_token(api: Driver, headers: dict[str, str], status: int, message: str) -> None:
    assert refused(api.send("GET", BOTS, headers={"x-bp-workspace": "default", **headers})) == (status, message)


def test_the_workspace_must_be_named(api: Driver) -> None:
    headers = {"authorization": api.headers["authorization"]}
    assert refused(api.send("GET", BOTS, headers=headers)) == (
        400,
        "Invalid operation: Workspace is missing. Set header X-BP-Workspace",
    )


def test_a_token_ends_after_an_hour(api: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    now = time.time()
    monkeypatch.setattr("smos.sandbox.engine.time.time", lambda: now + 3601)
    assert api.send("GET", BOTS).status == 401


def test_a_user_without_the_permission_is_refused_and_told_its_own(api: Driver) -> None:
    answer = api.ok("POST", LOGIN, {"email": EMAIL, "password": "sandbox-botpress-limited"}, headers={})
    headers = {"authorization": f"Bearer {answer['payload']['jwt']}", "x-bp-workspace": "default"}
    assert refused(api.send("GET", BOTS, headers=headers)) == (403, "Forbidden: No permission to view bots")
    assert api.ok("GET", f"{ADMIN}/user/profile", headers=headers)["payload"]["isSuperAdmin"] is False


def test_anybody_may_register_until_somebody_has(api: Driver) -> None:
    body = {"email": "first@example.com", "password": "first-password"}
    path = f"{ADMIN}/auth/register/basic/default"
    assert refused(api.send("POST", path, body, headers={})) == (403, "Registration is disabled")
    api.ok("PUT", FILE, {"users": []}, headers=SERVER)
    assert api.ok("GET", f"{ADMIN}/auth/config", headers={})["payload"]["isFirstUser"] is True
    assert api.send("POST", LOGIN, {"email": EMAIL, "password": TOKEN}, headers={}).status == 400
    assert api.ok("POST", path, body, headers={})["payload"]["jwt"]
    assert api.send("POST", path, body, headers={}).status == 403
    assert api.ok("POST", LOGIN, body, headers={})["payload"]["jwt"]
    assert "first-password" not in "".join(api.engine.state.db.iterdump())


def test_an_import_needs_its_exact_content_type_and_a_free_id(api: Driver) -> None:
    assert refused(sent(api, archive(), kind="application/gzip")) == (400, "Bot should be imported from archive")
    assert sent(api, archive()).body == "OK"
    assert refused(sent(api, archive()))[1].endswith("it already exists, and overwriting is not allowed")
    assert sent(api, archive(), overwrite="true").status == 200


def test_an_imported_bot_has_its_id_behind_its_name_unless_that_is_its_name(api: Driver) -> None:
    sent(api, archive())
    sent(api, archive(name="beta"), bot="beta")
    assert (bot(api)["name"], bot(api, "beta")["name"]) == ("Acme (acme)", "beta")
    assert bot(api)["pipeline_status"]["current_stage"]["promoted_by"] == "system"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"no archive", "[Archive] Error extracting archive: ReadError"),
        (pack({"a.txt": b"x"}), "Invalid operation: The archive doesn't seem to contain a bot"),
        (pack({CONFIG: b"{}", f"b/{CONFIG}": b"{}"}), "Invalid operation: Bots must be imported in separate archives"),
        (pack({CONFIG: b"{"}), 'Error reading configuration file "bot.config.json"'),
    ],
    ids=[
        "no archive",
        "no bot",
        "two bots",
        "broken",
    ],  # an archive holds the time: every process would name it otherwise
)
def test_what_is_no_bot_is_not_imported(api: Driver, raw: bytes, message: str) -> None:
    assert refused(sent(api, raw)) == (400, message.replace("/", "&#x2F;"))
    assert bot(api) is None


def test_overwriting_deletes_what_the_archive_does_not_have(api: Driver) -> None:
    sent(api, archive("folder/"))
    assert set(unpack(api.ok("GET", f"{BOTS}/acme/export"))) == set(unpack(archive()))
    sent(api, pack({CONFIG: json.dumps(SETTINGS).encode()}), overwrite="true")
    assert set(unpack(api.ok("GET", f"{BOTS}/acme/export"))) == {CONFIG}


def test_an_export_can_be_imported_under_another_id(api: Driver) -> None:
    sent(api, pack({CONFIG: json.dumps(SETTINGS).encode(), "flows/x.json": b'"/bots/BOT_ID_PLACEHOLDER/a"'}))
    sent(api, api.ok("GET", f"{BOTS}/acme/export"), bot="beta")
    again = unpack(api.ok("GET", f"{BOTS}/beta/export"))
    assert again["flows/x.json"] == b'"/bots/BOT_ID_PLACEHOLDER/a"'
    assert bot(api, "beta")["name"] == "Acme (acme) (beta)"


def test_the_settings_form_takes_its_own_fields_only(api: Driver) -> None:
    sent(api, archive())
    path = "/api/v1/studio/acme/config"
    bodies: tuple[dict[str, Any], ...] = (
        {"converse": {}},
        {"name": "x" * 51},
        {"defaultLanguage": "es_CL"},
        {"disabled": "yes"},
    )
    for body in bodies:
        assert api.send("POST", path, body).status == 400
    assert refused(api.send("POST", path, {"languages": ["es", "en"]}))[1].endswith("on community edition.")
    assert refused(api.send("POST", path, {"languages": ["en"]}))[0] == 400
    api.ok("POST", path, {"disabled": True, "defaultLanguage": "es", "languages": ["es"]})
    assert bot(api)["disabled"] is True
    assert api.ok("GET", path)["disabled"] is True


def test_settings_without_a_language_spoil_the_texts(api: Driver) -> None:
    sent(api, archive())
    api.ok("POST", "/api/v1/studio/acme/config", {"disabled": True})
    element = json.loads(unpack(api.ok("GET", f"{BOTS}/acme/export"))["content-elements/builtin_text.json"])[0]
    assert "text$None" in element["formData"]


def test_converse_is_closed_until_bot_and_server_both_open_it(api: Driver) -> None:
    sent(api, archive())
    path, body = "/api/v1/bots/acme/converse/u1", {"type": "text", "text": "hola"}
    assert refused(api.send("POST", path, body, headers={})) == (
        403,
        "Unauthenticated Converse API is disabled for all bots",
    )
    api.ok("PUT", FILE, {"converse": {"enableUnsecuredEndpoint": True}}, headers=SERVER)
    assert api.ok("POST", path, body, headers={})["responses"][0]["text"] == "Hola"
    assert api.send("POST", path, {}, headers={}).status == 400
    sent(api, archive(converse={"enableUnsecuredEndpoint": False}), overwrite="true")
    assert api.send("POST", path, body, headers={}).status == 403
    assert api.send("POST", path + "/secured", body, headers={}).status == 401
    assert api.ok("POST", path + "/secured", body)["responses"]


def test_a_suspended_bot_and_one_that_is_not_there_do_not_talk(api: Driver) -> None:
    sent(api, archive(disabled=True))
    for name in ("acme", "nobody"):
        assert api.send("POST", f"/api/v1/bots/{name}/converse/u/secured", {"text": "hola"}).status == 404


def test_a_bot_is_deleted_with_its_files_and_only_once(api: Driver) -> None:
    sent(api, archive())
    assert api.ok("GET", f"{BOTS}/acme/exists") is True
    api.ok("POST", f"{BOTS}/acme/delete", {})
    assert api.ok("GET", f"{BOTS}/acme/exists") is False
    assert "doesn't exist" in refused(api.send("POST", f"{BOTS}/acme/delete", {}))[1]


def test_a_bot_is_made_by_hand_from_a_template_of_the_server(api: Driver) -> None:
    body = {
        "id": "beta",
        "name": "Beta",
        "defaultLanguage": "es",
        "template": {"id": "empty-bot", "moduleId": "builtin"},
    }
    assert api.ok("POST", BOTS, body)["payload"] == {"botId": "beta"}
    assert api.send("POST", BOTS, body).status == 409
    assert api.send("POST", BOTS, {**body, "id": "x"}).status == 400


def test_health_needs_no_token_and_says_that_a_part_is_down(api: Driver) -> None:
    assert api.ok("GET", "/status", headers={})["nlu"] == "down"
    assert api.send("GET", "/version", headers={}).body == "12.31.10"
