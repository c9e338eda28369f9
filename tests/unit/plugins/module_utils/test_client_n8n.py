"""The n8n client against the sandbox's n8n: pages, unknown outcomes, conflicts, keys."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import n8n as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer
from unit.plugins.wire import CUT, LOST, Sent, Wire, once, wired
from unit.sandbox.driver import n8n

KEY = "sandbox-n8n-token"
RUT = "76086428-5"
NAME = f"{RUT} Orders"


def node(name: str = "In", path: str = "some/path", **more: Any) -> dict[str, Any]:
    parameters = {"httpMethod": "POST", "path": path}
    base = {"name": name, "type": api.WEBHOOK, "typeVersion": 2, "position": [0, 0], "parameters": parameters}
    return {**base, "webhookId": api.webhook_id(path), **more}


def body(name: str = NAME, *nodes: dict[str, Any]) -> dict[str, Any]:
    own = [{"id": api.node_id(name, each["name"]), **each} for each in nodes or [node()]]
    return {"name": name, "nodes": own, "connections": {}, "settings": {}}


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    return wired(n8n, monkeypatch)


def client(wire: Wire, key: str = KEY) -> api.N8n:
    made = api.connect({"url": wire.base_url, "api_key": key})
    made._sleep = lambda seconds: None
    return made


def posts(sent: Sent) -> bool:
    return sent.method == "POST"


def test_every_page_of_the_list_is_read(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PAGE", 2)
    for n in range(5):
        client(wire).create(body(f"w{n}"))
        client(wire).create_tag(f"t{n}")
    wire.sent.clear()
    assert {each.name for each in client(wire).workflows()} >= {f"w{n}" for n in range(5)}
    assert set(client(wire).tags()) >= {f"t{n}" for n in range(5)}
    assert len(wire.sent) >= 6


def test_pages_that_lead_in_a_circle_are_an_error(wire: Wire) -> None:
    wire.trouble = lambda sent: (200, {"data": [], "nextCursor": "again"})
    with pytest.raises(ApiError, match="in circles"):
        client(wire).workflows()


def test_a_name_is_found_exactly(wire: Wire) -> None:
    for name in ("Orders", "More Orders", "Orders 2"):
        client(wire).create(body(name))
    assert [each.name for each in client(wire).workflows("Orders")] == ["Orders"]


@pytest.mark.parametrize("trouble", [LOST, CUT])
def test_a_workflow_whose_creation_got_no_answer_exists_once(wire: Wire, trouble: str) -> None:
    wire.trouble = once(posts, trouble)
    made = client(wire).create(body())
    assert [each.id for each in client(wire).workflows(NAME)] == [made.id]


def test_a_workflow_of_somebody_else_with_the_name_is_not_taken_for_ours(wire: Wire) -> None:
    client(wire).create({**body(), "nodes": [node(id="by-hand")]})
    wire.trouble = once(posts, CUT)
    made = client(wire).create(body())
    assert len(client(wire).workflows(NAME)) == 2
    assert made.nodes[0]["id"] == api.node_id(NAME, "In")


@pytest.mark.parametrize("trouble", [None, LOST, CUT])
def test_a_tag_exists_once_whoever_made_it(wire: Wire, trouble: str | None) -> None:
    wire.trouble = once(posts, trouble)
    first = client(wire).create_tag("rut:1-9")
    assert client(wire).create_tag("rut:1-9") == first == client(wire).tags()["rut:1-9"]


def test_what_is_gone_is_as_good_as_deleted(wire: Wire) -> None:
    made = client(wire).create(body())
    tag = client(wire).create_tag("t")
    for _ in range(2):
        client(wire).delete(made)
        client(wire).delete_tag(tag)
    assert client(wire).workflows(NAME) == []


def test_a_workflow_in_use_is_taken_out_of_use_before_it_is_deleted(wire: Wire) -> None:
    made = client(wire).create(body())
    client(wire).switch(made, active=True)
    wire.sent.clear()
    answers = ["Cannot delete a published workflow.", "Workflow is still being unpublished."]
    wire.trouble = lambda sent: (409, {"message": answers.pop(0)}) if sent.method == "DELETE" and answers else None
    client(wire).delete(made)
    assert [sent.path.rsplit("/", 1)[1] for sent in wire.sent] == [made.id, "deactivate", made.id, made.id]
    assert client(wire).workflows(NAME) == []


def test_a_workflow_that_stays_in_use_is_told_as_a_conflict(wire: Wire) -> None:
    made = client(wire).create(body())
    wire.trouble = lambda sent: (409, {"message": "still in use"}) if sent.method == "DELETE" else None
    with pytest.raises(ApiError, match="still in use"):
        client(wire).delete(made)


def test_the_webhook_of_two_workflows_is_a_conflict(wire: Wire) -> None:
    first, second = client(wire).create(body("one")), client(wire).create(body("two"))
    client(wire).switch(first, active=True)
    with pytest.raises(ApiError) as caught:
        client(wire).switch(second, active=True)
    assert caught.value.kind in (errors.CONFLICT, errors.INVALID)


def test_switching_is_repeated_when_nothing_is_known(wire: Wire) -> None:
    made = client(wire).create(body())
    wire.trouble = once(lambda sent: sent.path.endswith("/activate"), (500, {"message": "oops"}))
    client(wire).switch(made, active=True)
    assert client(wire).workflows(NAME)[0].active


def test_the_message_of_an_error_is_told_without_the_key(wire: Wire) -> None:
    error = client(wire).http.error(Answer(400, {}, {"message": f"bad key {KEY}"}), "GET x")
    assert error.message == "bad key *** (HTTP 400)"


def test_hooks_are_those_that_nodes_answer_on() -> None:
    both = node("both", "/a/b/")
    both["parameters"]["httpMethod"] = ["GET", "POST"]
    silent = node("get", "c")
    del silent["parameters"]["httpMethod"]
    other = {**node("set", "d"), "type": "n8n-nodes-base.set"}
    nodes = [both, silent, other, node("off", "e", disabled=True)]
    assert api.hooks(nodes) == {("GET", "a/b"), ("POST", "a/b"), ("GET", "c")}


@pytest.mark.parametrize(
    ("name", "tags", "ident", "expected"),
    [
        (NAME, ["smarteros", f"rut:{RUT}"], "by-hand", True),
        ("renamed", ["smarteros", f"rut:{RUT}", "more"], "by-hand", True),
        (NAME, [], None, True),
        (NAME, ["more"], None, True),
        (NAME, [], "by-hand", False),
        (NAME, [f"rut:{RUT}"], None, False),
        (NAME, ["smarteros", "rut:1-9"], None, False),
        ("copy", [], None, False),
    ],
)
def test_a_workflow_is_ours_by_its_tags_or_before_that_by_its_nodes(
    name: str, tags: list[str], ident: str | None, expected: bool
) -> None:
    row = {"id": "1", "name": name, "tags": [{"name": tag, "id": tag} for tag in tags]}
    nodes = [node(id=ident or api.node_id(name, "In"))]
    assert api.ours(api.workflow_of({**row, "nodes": nodes}), RUT) is expected


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (None, "valid"),
        ((401, {"message": "unauthorized"}), "invalid"),
        ((403, {"message": "Forbidden"}), "insufficient"),
        ((404, {"message": "not found"}), "unreachable"),
        ((500, {}), "unreachable"),
        (CUT, "unreachable"),
    ],
)
def test_what_a_key_is_good_for_is_told_and_never_raised(wire: Wire, answer: Any, state: str) -> None:
    wire.trouble = lambda sent: answer
    verdict = client(wire).check()
    assert verdict["state"] == state
    assert all(sent.method == "GET" for sent in wire.sent)


def test_a_wrong_key_is_invalid_and_not_shown(wire: Wire) -> None:
    verdict = client(wire, key="wrong-key").check()
    assert verdict["state"] == "invalid"
    assert "wrong-key" not in str(verdict)


def test_names_and_webhooks_are_claimed_by_workflows_of_others_only(wire: Wire) -> None:
    ruts = [f"{10000000 + n}-5" for n in range(4)]
    client(wire).create({**body(f"{ruts[0]} Orders"), "nodes": [node(id="by-hand")]})
    holder = client(wire).create(body("By hand", node(path=f"{ruts[1]}/orders")))
    client(wire).switch(holder, active=True)
    client(wire).create(body(f"{ruts[2]} Orders", node(path=f"{ruts[2]}/orders")))
    taken = client(wire).claimed([{"id": rut} for rut in ruts])
    assert set(taken) == {ruts[0], ruts[1]}
    assert f"{ruts[1]}/orders" in taken[ruts[1]]


def test_nothing_is_asked_when_nobody_wishes(wire: Wire) -> None:
    assert (client(wire).claimed([]), wire.sent) == ({}, [])


def key_of(**claims: Any) -> str:
    text = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{text}.{text}.signature"


@pytest.mark.parametrize(
    ("key", "expires"),
    [
        (key_of(iss="n8n", aud="public-api", exp=1893456000), "2030-01-01T00:00:00Z"),
        (key_of(iss="n8n", aud="public-api"), ""),
        (key_of(exp="soon"), ""),
        (key_of(exp=10**30), ""),
        (key_of(exp=True), "1970-01-01T00:00:01Z"),
        ("n8n_api_1234567890", ""),
        ("a.b.c", ""),
        ("..", ""),
        ("a.W10.c", ""),
    ],
)
def test_a_key_that_is_a_web_token_tells_when_it_ends(wire: Wire, key: str, expires: str) -> None:
    wire.trouble = lambda sent: (200, {"data": [], "nextCursor": None})
    verdict = client(wire, key).check()
    assert (verdict["state"], verdict["expires"]) == ("valid", expires)
    assert key not in str(verdict)


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"iss": "n8n", "aud": "public-api", "exp": 1700000000}, "the key ended on 2023-11-14T22:13:20Z"),
        ({"iss": "supabase", "role": "service_role"}, "a token of 'supabase', not a key of n8n"),
        ({"iss": "n8n", "aud": "mcp-server-api"}, "a token of n8n for 'mcp-server-api', not an API key"),
        ({"iss": "n8n", "aud": "public-api"}, "unauthorized"),
    ],
)
def test_why_a_key_is_not_taken_is_told_from_what_it_says_of_itself(
    wire: Wire, claims: dict[str, Any], words: str
) -> None:
    verdict = client(wire, key_of(**claims)).check()
    assert verdict["state"] == "invalid"
    assert words in verdict["message"]


def test_every_scope_that_is_missing_is_named(wire: Wire) -> None:
    wire.trouble = lambda sent: (403, {"message": "Forbidden"})
    assert client(wire).check()["missing_scopes"] == ["workflow:list", "tag:list"]
    wire.trouble = lambda sent: (403, {"message": "Forbidden"}) if sent.path.endswith("/tags") else None
    verdict = client(wire).check()
    assert (verdict["state"], verdict["missing_scopes"]) == ("insufficient", ["tag:list"])


def tagged(wire: Wire, name: str, *tags: str) -> None:
    made = client(wire).create(body(name))
    client(wire).set_tags(made, [client(wire).create_tag(tag) for tag in tags])


@pytest.mark.parametrize("few", [0, 9], ids=["all at once", "one by one"])
def test_usage_counts_what_bears_the_tenants_tag_whoever_made_it(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(api, "FEW", few)
    tagged(wire, NAME, "smarteros", f"rut:{RUT}")
    tagged(wire, "by hand", f"rut:{RUT}")
    tagged(wire, "of another", "rut:1-9")
    client(wire).create(body("of nobody"))
    wire.sent.clear()
    tenants = [{"id": RUT}, {"id": "1-9"}, {"id": "2-7"}]
    assert client(wire).usage(tenants) == {RUT: {"workflows": 2}, "1-9": {"workflows": 1}, "2-7": {"workflows": 0}}
    assert all(sent.method == "GET" for sent in wire.sent)


@pytest.mark.parametrize(
    "answer",
    [{"data": "x"}, {"data": [1]}, {"data": [{}]}, {"data": None}, [], "text", {"data": [{"id": []}]}],
)
def test_a_list_of_another_shape_is_one_clear_error(wire: Wire, answer: Any) -> None:
    wire.trouble = lambda sent: (200, answer)
    with pytest.raises(ApiError, match="expected"):
        client(wire).workflows()


def test_a_workflow_of_another_shape_does_no_harm() -> None:
    row = {"id": 7, "name": None, "nodes": "x", "connections": [], "settings": 1, "tags": ["a", {"id": 1}]}
    made = api.workflow_of(row)
    assert (made.id, list(made.nodes), made.connections, made.tags) == ("7", [], {}, {"None": "1"})
    assert api.hooks([{"type": api.WEBHOOK, "parameters": "x"}]) == {("GET", "")}


@pytest.mark.parametrize("answer", [{}, {"name": "x"}, "text", None])
def test_a_creation_that_gives_no_id_is_one_clear_error(wire: Wire, answer: Any) -> None:
    wire.trouble = lambda sent: (200, answer) if sent.method == "POST" else None
    with pytest.raises(ApiError):
        client(wire).create(body())
    with pytest.raises(ApiError):
        client(wire).create_tag("new")
