# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Workflows as files: their form, what is masked, who is ahead, and what a push sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.n8n import RESTING_TAG, Workflow
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Answer
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import workflow_sync_files as files
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import workflow_sync_form as form
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import workflow_sync_plan as plan
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import workflow_sync_push as push
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import workflow_sync_secrets as hidden

NOTHING = hidden.Known({})
SHOPIFY = "shpat_0123456789abcdef0123456789abcdef"
STEM = "report"


def node(name: str = "Ask", **more: Any) -> dict[str, Any]:
    return {"id": f"id-{name}", "name": name, "type": "n8n-nodes-base.httpRequest", "parameters": {}, **more}


def workflow(ident: str = "1", name: str = "Report", nodes: Any = None, **more: Any) -> Workflow:
    rest = {"active": False, "connections": {}, "settings": {}, "tags": {"smarteros": "t1"}, **more}
    return Workflow(ident, name, nodes=[node()] if nodes is None else nodes, **rest)


def shown(found: Workflow, names: dict[str, str] | None = None, known: hidden.Known = NOTHING) -> form.Shown:
    return form.shown(found, names or {}, known)


def document(**more: Any) -> form.Document:
    return form.parsed(json.dumps({**shown(workflow()).document, **more}).encode())


# --- the form ----------------------------------------------------------------------------------------------------------


def test_a_file_has_what_the_workflow_is_and_nothing_that_n8n_makes_anew() -> None:
    nodes = [
        node("B", typeVersion=2.0, position=[0.0, 20], disabled=False, webhookId="w", extra="x"),
        node("A", credentials={"odooApi": {"id": "9", "name": "Odoo"}}, notes=""),
    ]
    found = shown(workflow(nodes=nodes, settings={"timezone": "America/Santiago", "callerPolicy": "any"}))
    assert [each["name"] for each in found.document["nodes"]] == ["A", "B"]
    first, second = found.document["nodes"]
    assert first == {
        "name": "A",
        "type": "n8n-nodes-base.httpRequest",
        "credentials": {"odooApi": {"name": "Odoo"}},
        "parameters": {},
    }
    assert second["position"] == [0, 20]
    assert second["webhookId"] == "w"
    assert "id" not in second
    assert found.document["settings"] == {"timezone": "America/Santiago"}
    text = form.text_of(found.document)
    assert form.sum_of(form.parsed(text.encode())) == found.sum
    assert form.text_of(form.parsed(text.encode())) == text


@pytest.mark.parametrize(
    "other",
    [
        workflow(nodes=[node(position=None, parameters={"options": {}})]),
        workflow("2", nodes=[{**node(), "id": "another"}]),
        workflow(tags={"smarteros": "t9"}, connections={"Ask": {"main": [[]]}}),
        workflow(tags={"smarteros": "t1", RESTING_TAG: "t2"}, active=False, settings={"timezone": None}),
    ],
)
def test_what_n8n_takes_for_the_same_has_the_same_sum(other: Workflow) -> None:
    base = workflow(active=True) if RESTING_TAG in other.tags else workflow()
    assert shown(other).sum == shown(base).sum


def test_other_workflows_are_named_and_found_again() -> None:
    link = {"workflowId": {"__rl": True, "mode": "list", "value": "7", "cachedResultUrl": "/workflow/7"}}
    found = shown(workflow(nodes=[node(parameters=link)], settings={"errorWorkflow": "8"}), {"7": "Part", "8": "Alarm"})
    assert found.document["nodes"][0]["parameters"]["workflowId"]["value"] == "workflow:Part"
    assert "cachedResultUrl" not in found.document["nodes"][0]["parameters"]["workflowId"]
    assert form.others_in(found.document) == {"Part", "Alarm"}
    assert form.with_ids(found.document["settings"], {"Alarm": "80"}) == {"errorWorkflow": "80"}
    with pytest.raises(LookupError):
        form.with_ids(found.document, {"Part": "70"})


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": ""}, "name must"),
        ({"id": "5"}, "only name"),
        ({"active": "yes"}, "active"),
        ({"tags": ["x" * 25]}, "tags"),
        ({"nodes": [node()]}, "no id"),
        ({"settings": {"callerPolicy": "any"}}, "callerPolicy"),
        ({"connections": []}, "objects"),
    ],
)
def test_a_file_that_is_no_workflow_is_refused(change: dict[str, Any], why: str) -> None:
    raw = json.dumps({**shown(workflow()).document, **change}).encode()
    with pytest.raises(form.BadFile, match=why):
        form.parsed(raw)


def test_marks_of_a_merge_are_told() -> None:
    with pytest.raises(form.BadFile, match=r"line 2.*merge"):
        form.parsed(b'{\n<<<<<<< HEAD\n"name": "a"}')


def test_files_get_plain_and_free_names() -> None:
    assert form.stem_for("Órdenes: año 2026!", ()) == "ordenes-ano-2026"
    assert form.stem_for("Report", {"report", "report-2"}) == "report-3"
    assert form.stem_for("…", ()) == "workflow"


# --- secrets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "places"),
    [
        ({"password": "hunter22"}, ["password"]),
        ({"headers": [{"name": "X-Api-Key", "value": "abc"}]}, ["headers.0.value"]),
        ({"jsonHeaders": '{"Authorization": "Bearer abcdefghijklmnop"}'}, ["jsonHeaders"]),
        ({"jsCode": f"const t = '{SHOPIFY}';\nreturn t"}, ["jsCode"]),
        ({"jsCode": "const password = 'hunter2222'"}, ["jsCode"]),
        ({"url": "https://ana:hunter22@example.com/x"}, ["url"]),
        ({"body": "the-value-of-the-vault in a text"}, ["body"]),
    ],
)
def test_what_looks_like_a_secret_is_masked(parameters: dict[str, Any], places: list[str]) -> None:
    known = hidden.Known({"odoo_password": "the-value-of-the-vault"})
    clean, found = hidden.masked(parameters, known)
    assert found == places
    text = json.dumps(clean)
    assert not any(word in text for word in ("hunter2", SHOPIFY, "abcdefghijkl", "the-value-of", '"abc"'))
    assert hidden.filled(clean, parameters, known) == parameters
    assert hidden.masked(clean, known) == (clean, [])


@pytest.mark.parametrize(
    "parameters",
    [
        {"password": "={{ $json.password }}"},
        {"nodeCredentialType": "shopifyApi", "authentication": "predefinedCredentialType"},
        {"accessTokenUrl": "https://example.com/token", "tokenField": "id"},
        {"headers": [{"name": "Authorization", "value": "={{ $json.head }}"}]},
        {"name": "note", "value": "the token is in the vault"},
    ],
)
def test_what_only_speaks_of_a_secret_stays(parameters: dict[str, Any]) -> None:
    assert hidden.masked(parameters, NOTHING) == (parameters, [])


def test_an_edited_text_is_never_filled_with_another_ones_secret() -> None:
    with pytest.raises(LookupError, match=r"headers\.password"):
        hidden.filled({"headers": {"password": "***"}}, {"headers": {}}, NOTHING)
    with pytest.raises(LookupError, match="jsCode"):
        hidden.filled({"jsCode": "f('***', 2)"}, {"jsCode": f"f('{SHOPIFY}', 1)"}, NOTHING)


def test_a_scan_tells_lines_and_names() -> None:
    begin = "-----BEGIN {}PRIVATE KEY-----"  # in two parts, so that this file is not taken for one
    key = f"{begin.format('OPENSSH ')}\nb3BlbnNzaC1rZXktdjEAAAAAfirst\nshort\n-----END"
    known = hidden.Known({"deploy_key": key, "short": "abc", "path": "/etc/passwd", "number": "1234567890"})
    text = f"a\n{SHOPIFY}\n/etc/passwd abc 1234567890\nkey: b3BlbnNzaC1rZXktdjEAAAAAfirst\n{begin.format('')}"
    assert hidden.scan(text, known) == [
        (2, "a token of Shopify"),
        (4, "the value of deploy_key"),
        (5, "a private key"),
    ]


# --- who is ahead ------------------------------------------------------------------------------------------------------

A, B, C = (document(active=False), document(active=True), document(tags=["other"]))
SUM = form.sum_of(A)


def remote(content: form.Document | None, ident: str = "1") -> list[form.Shown]:
    if content is None:
        return []
    return [form.Shown(workflow(ident, str(content["name"])), content, form.sum_of(content), [])]


@pytest.mark.parametrize(
    ("file", "there", "base", "state"),
    [
        (A, A, SUM, plan.SAME),
        (A, A, None, plan.SAME),
        (B, B, SUM, plan.SAME),
        (A, B, SUM, plan.N8N_AHEAD),
        (B, A, SUM, plan.FILE_AHEAD),
        (B, C, SUM, plan.CONFLICT),
        (A, B, None, plan.CONFLICT),
        (A, None, None, plan.FILE_AHEAD),
        (A, None, SUM, plan.N8N_GONE),
        (B, None, SUM, plan.N8N_GONE),
        (None, A, SUM, plan.FILE_GONE),
        (None, B, SUM, plan.CONFLICT),
    ],
)
def test_who_is_ahead(file: Any, there: Any, base: str | None, state: str) -> None:
    known = {STEM: plan.Step("1", base)} if base else {}
    (pair,) = plan.compare({STEM: file} if file else {}, remote(there), known)
    assert pair.state == state
    assert bool(pair.why) == (state == plan.CONFLICT)


@pytest.mark.parametrize(
    ("file", "side", "state"),
    [
        (B, plan.N8N, plan.N8N_AHEAD),
        (B, plan.FILE, plan.FILE_AHEAD),
        (None, plan.N8N, plan.N8N_AHEAD),
        (None, plan.FILE, plan.FILE_GONE),
    ],
)
def test_a_persons_decision_ends_a_conflict(file: Any, side: str, state: str) -> None:
    base = {STEM: plan.Step("1", SUM)}
    pairs = plan.compare({STEM: file} if file else {}, remote(C), base, {STEM: side})
    assert [pair.state for pair in pairs] == [state]
    if side == plan.FILE:  # without a push too: from now on the file counts as the newer one
        after = plan.known_after(pairs, {}, {STEM: side})
        (again,) = plan.compare({STEM: file} if file else {}, remote(C), after)
        assert again.state == state


def test_a_workflow_is_known_by_its_id_and_else_by_its_name() -> None:
    renamed = document(name="Renamed")
    (pair,) = plan.compare({STEM: A}, remote(renamed), {STEM: plan.Step("1", SUM)})
    assert (pair.state, pair.name) == (plan.N8N_AHEAD, "Report")
    (pair,) = plan.compare({STEM: A}, remote(A, "made-again"), {STEM: plan.Step("1", SUM)})
    assert pair.state == plan.SAME
    pairs = plan.compare({}, [*remote(A, "1"), *remote(A, "2")], {})
    assert [(each.stem, each.state) for each in pairs] == [("report", plan.N8N_AHEAD), ("report-2", plan.N8N_AHEAD)]
    (pair,) = plan.compare({STEM: B}, [*remote(A, "1"), *remote(A, "2")], {})
    assert (pair.state, "more than one" in pair.why) == (plan.CONFLICT, True)
    assert plan.compare({}, remote(document(nodes=[])), {}) == []


def test_what_was_in_step_is_written_by_environment() -> None:
    states = {"production": {"b": plan.Step("2", "s"), "a": plan.Step("1", "t")}, "sandbox": {}}
    text = plan.state_text(states)
    assert plan.read_state(text) == {"production": states["production"]}
    assert plan.state_text(plan.read_state(text)) == text
    assert plan.read_state("") == {}
    for bad in ("[]", '{"format": 9}', '{"format": 1, "environments": {"x": {"a": {}}}}', "<<<<<<< HEAD"):
        with pytest.raises(ValueError, match=r"format|entry|Expecting"):
            plan.read_state(bad)


# --- pushing -----------------------------------------------------------------------------------------------------------


class FakeN8n:
    """Keeps what it is told; ``fail`` names calls that are refused."""

    def __init__(self, fail: tuple[str, ...] = ()) -> None:
        self.calls: list[tuple[str, Any]] = []
        self._fail = fail

    def _note(self, what: str, data: Any) -> None:
        if what in self._fail:
            raise ApiError("no", errors.CONFLICT, 409)
        self.calls.append((what, data))

    def tags(self) -> dict[str, str]:
        return {"smarteros": "t1"}

    def create_tag(self, name: str) -> str:
        self._note("tag", name)
        return f"new-{name}"

    def create(self, body: dict[str, Any]) -> Workflow:
        self._note("create", body)
        return workflow(f"made-{body['name']}", body["name"], body["nodes"], tags={})

    def update(self, found: Workflow, body: dict[str, Any]) -> None:
        self._note("update", (found.id, body))

    def set_tags(self, found: Workflow, ids: Any) -> None:
        self._note("tags", (found.id, list(ids)))

    def switch(self, found: Workflow, active: bool) -> None:
        self._note("switch", (found.id, active))


def pushed(client: FakeN8n, *pairs: plan.Pair, **ids: str) -> push.Pushed:
    return push.push(client, pairs, ids, NOTHING)  # type: ignore[arg-type]  # as far as it is used


def test_a_push_keeps_ids_credentials_secrets_and_the_tag_of_a_resting_tenant() -> None:
    kept = {"httpBasicAuth": {"id": "17", "name": "Shop"}}
    was = workflow(
        nodes=[node(credentials=kept, parameters={"password": "hunter22"})], tags={"smarteros": "t1", RESTING_TAG: "t2"}
    )
    here = form.parsed(form.text_of(shown(was).document | {"tags": ["smarteros", "new"]}).encode())
    client = FakeN8n()
    pair = plan.Pair(STEM, plan.FILE_AHEAD, here, shown(was))
    assert push.refusals([pair], {STEM: "f"}, NOTHING) == {}
    client.http = _NoCredentials()  # type: ignore[attr-defined]  # a double of ours
    done = pushed(client, pair)
    assert (done.errors, done.whole) == ([], {STEM})
    (_update, (ident, body)), tag, (_tags, (_same, tags)) = client.calls
    assert ident == "1"
    assert body["nodes"] == [{**was.nodes[0], "position": [0, 0]}]
    assert (tag, tags) == (("tag", "new"), ["new-new", "t1", "t2"])


class _NoCredentials:
    """n8n 1.x: it lists no credentials."""

    class Pages:
        def turn(self, _cursor: str | None) -> None:
            return None

    def pages(self, _path: str) -> Pages:
        return self.Pages()

    def request(self, *_words: str, **_more: Any) -> Any:
        raise ApiError("not found", errors.MISSING, 404)


def test_a_credential_that_n8n_has_not_is_told_and_the_file_is_not_in_step() -> None:
    here = document(nodes=[{**document()["nodes"][0], "credentials": {"odooApi": {"name": "Odoo"}}}])
    client = FakeN8n()
    client.http = _NoCredentials()  # type: ignore[attr-defined]  # a double of ours
    done = pushed(client, plan.Pair(STEM, plan.FILE_AHEAD, here))
    assert (done.whole, done.ids) == (set(), {STEM: "made-Report"})
    assert "'Odoo'" in done.errors[0]["why"]
    assert "credentials" not in client.calls[0][1]["nodes"][0]


class _Listed(_NoCredentials):
    """n8n 2.x: it lists credentials in pages."""

    def request(self, *_words: str, **more: Any) -> Any:
        first = {"data": [{"id": "5", "type": "odooApi", "name": "Odoo"}], "nextCursor": "next"}
        second = {"data": [{"id": str(n), "type": "odooApi", "name": "Twice"} for n in (6, 7)], "nextCursor": None}
        return Answer(200, {}, second if more["params"].get("cursor") else first)


@pytest.mark.parametrize(("name", "ident"), [("Odoo", "5"), ("Twice", None), ("Nobody's", None)])
def test_a_credential_is_found_by_type_and_name_where_only_one_has_it(name: str, ident: str | None) -> None:
    here = document(nodes=[{**document()["nodes"][0], "credentials": {"odooApi": {"name": name}}}])
    client = FakeN8n()
    client.http = _Listed()  # type: ignore[attr-defined]  # a double of ours
    done = pushed(client, plan.Pair(STEM, plan.FILE_AHEAD, here))
    made = client.calls[0][1]["nodes"][0].get("credentials")
    assert made == ({"odooApi": {"id": ident, "name": name}} if ident else None)
    assert bool(done.errors) == (ident is None)


def test_workflows_that_refer_to_each_other_are_made_and_then_told_their_ids() -> None:
    one = document(name="One", settings={"errorWorkflow": "workflow:Two"}, tags=[])
    two = document(name="Two", settings={"errorWorkflow": "workflow:One"}, tags=[], active=True)
    client = FakeN8n()
    done = pushed(client, plan.Pair("one", plan.FILE_AHEAD, one), plan.Pair("two", plan.FILE_AHEAD, two))
    assert done.whole == {"one", "two"}
    kinds = [what for what, _data in client.calls]
    assert kinds == ["create", "create", "update", "update", "switch"]
    settings = {data[0]: data[1]["settings"]["errorWorkflow"] for what, data in client.calls if what == "update"}
    assert settings == {"made-One": "made-Two", "made-Two": "made-One"}


def test_a_failure_spares_the_others_and_says_what_is_there() -> None:
    one, two = document(name="One", active=True), document(name="Two", settings={"errorWorkflow": "workflow:Nobody"})
    three = document(name="Three")
    client = FakeN8n(fail=("switch",))
    pairs = [plan.Pair(each["name"].lower(), plan.FILE_AHEAD, each) for each in (one, two, three)]
    done = pushed(client, *pairs)
    assert (done.whole, set(done.ids)) == ({"three"}, {"one", "three"})
    assert {row["what"]: row["why"] for row in done.errors} == {
        "workflow One": "its content is there, and it cannot be activated: no",
        "workflow Two": "it refers to the workflow 'Nobody', which n8n has not",
    }


@pytest.mark.parametrize(
    ("file", "there", "why"),
    [
        (document(tags=[]), workflow(tags={}), "mark"),
        (document(tags=[]), workflow(), ""),
        (document(), workflow(tags={}), ""),
        (document(tags=[]), None, ""),
        (document(nodes=[]), None, "no nodes"),
        (document(nodes=[{**document()["nodes"][0], "parameters": {"password": "***"}}]), None, "node Ask: password"),
    ],
)
def test_only_what_bears_our_mark_is_overwritten(file: form.Document, there: Workflow | None, why: str) -> None:
    pair = plan.Pair(STEM, plan.FILE_AHEAD, file, shown(there) if there else None)
    found = push.refusals([pair], {STEM: "f"}, NOTHING)
    assert bool(found) == bool(why)
    assert not why or why in found[STEM]["why"]


# --- commits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pairs", "pushing", "expected"),
    [
        ([], False, "chore(workflows): what is in step with n8n of production"),
        ([("a", None, A)], False, "feat(workflows): add a from n8n of production"),
        ([("a", None, A), ("b", A, B)], False, "feat(workflows): add a and update b from n8n of production"),
        ([(f"w{n}", A, B) for n in range(4)], False, "chore(workflows): update 4 workflows from n8n of production"),
        (
            [("a" * 70, None, A), ("b" * 70, A, B)],
            False,
            "feat(workflows): add 1 workflow and update 1 workflow from n8n of production",
        ),
        ([("a", A, None)], True, "chore(workflows): push a to n8n of production"),
    ],
)
def test_what_a_commit_says(pairs: list[tuple[str, Any, Any]], pushing: bool, expected: str) -> None:
    rows = [plan.Pair(stem, "", file, next(iter(remote(there)), None)) for stem, file, there in pairs]
    assert files.message(rows, pushing, "production") == expected


def test_all_bad_files_are_told_at_once(tmp_path: Path) -> None:
    folder = files.Folder(tmp_path)
    for name in ("good", "bad", "Worse name"):
        folder.write(folder.file(name), form.text_of(A) if name != "bad" else "{")
    with pytest.raises(files.Stop) as caught:
        folder.read()
    assert caught.value.exit_code == 2
    assert [Path(row["where"]).stem for row in caught.value.errors] == ["Worse name", "bad"]
