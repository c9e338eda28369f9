"""What a backup takes along of accounts elsewhere: read through the sandbox's providers by a playbook, as a run does it."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.modules import backup_exports
from support.instance import ACME, ROOT, ZONE, Done, Instance, instance
from support.sandbox_api import TOKEN, ByHand

PRIVATE = "a-value-that-no-log-may-hold"
ACCOUNTS = ["cloudflare", "n8n", "registry", "shopify", "supabase", "vercel"]


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """An instance with one tenant, its specs under version control."""
    with instance(tmp_path_factory.mktemp("exports") / "smos") as made:
        done = made.create(ACME)
        assert done.code == 0, str(done)
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "specs"]):
            git(made, *words)
        yield made


def git(smos: Instance, *words: str) -> str:
    who = ["-c", "user.name=smos", "-c", "user.email=smos@example.com"]
    line = ["git", "-C", str(smos.specs), *who, *words]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()


def exported(smos: Instance, folder: Path, arguments: dict[str, Any] | None = None, **variables: Any) -> dict[str, Any]:
    """The files as text, and the fact; `shown` is all that the run printed."""
    told = folder / "told.json"
    content = "{{ {'files': smos_exports.files, 'fact': ansible_facts.smos_accounts} | to_json }}"
    copy = {"content": content, "dest": str(told), "mode": "0600"}
    play = {
        "hosts": ACME.slug,  # like the first machine of a play, without a VPS; the action needs no connection
        "gather_facts": False,
        "tasks": [
            {"smartercl.smarteros.backup_exports": arguments or {}, "register": "smos_exports", "run_once": True},
            {"ansible.builtin.copy": copy, "no_log": True, "run_once": True},
        ],
    }
    book = folder / "play.yml"
    book.write_text(json.dumps([play]))
    done: Done = smos.play(
        str(book), "-vvv", "-e", json.dumps(variables), ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"), SMOS_RUN="r"
    )
    assert done.code == 0, str(done)
    found = json.loads(told.read_text())
    files = {name: base64.b64decode(text).decode() for name, text in found["files"].items()}
    return {"files": files, "fact": found["fact"], "shown": done.out + done.err}


def test_every_account_gives_its_files(acme: Instance, tmp_path: Path) -> None:
    found = exported(acme, tmp_path)
    fact = found["fact"]
    assert (sorted(fact["taken"]), fact["errors"]) == (ACCOUNTS, []), found["shown"]
    assert fact["files"] == sorted(found["files"])
    assert set(found["files"]) == {
        f"cloudflare-{ZONE}.json",
        "n8n-workflows.json",
        "shopify-stores.json",
        "supabase-rows.json",
        "tenants.json",
        "vercel-smarteros-app.json",
    }
    assert any(note.startswith("supabase: no database address is set") for note in fact["notes"])

    zone = json.loads(found["files"][f"cloudflare-{ZONE}.json"])
    records = ByHand(acme).cloudflare("GET", "dns_records?per_page=5000")
    assert zone["zone"]["name"] == ZONE
    assert sorted(zone["records"], key=lambda each: str(each["id"])) == sorted(
        records, key=lambda each: str(each["id"])
    )
    assert any(each["name"] == f"{ACME.slug}.{ZONE}" for each in records)

    workflows = json.loads(found["files"]["n8n-workflows.json"])
    listed = ByHand(acme).n8n("GET", "workflows?limit=250")["data"]
    assert [each["id"] for each in workflows] == sorted(each["id"] for each in listed)
    assert {each["name"]: each["nodes"] for each in workflows} == {each["name"]: each["nodes"] for each in listed}

    (store,) = json.loads(found["files"]["shopify-stores.json"]).items()
    assert store[0] == f"{ACME.slug}.myshopify.com"
    assert len(store[1]["webhooks"]) == 4
    assert store[1]["metafields"]["rut"]["value"] == ACME.rut

    (tenant,) = json.loads(found["files"]["supabase-rows.json"])["tenants"]
    assert tenant["id"] == ACME.rut

    project = json.loads(found["files"]["vercel-smarteros-app.json"])
    assert project["project"]["name"] == "smarteros-app"
    assert ACME.domain in project["domains"]

    registry = json.loads(found["files"]["tenants.json"])
    assert registry["commit"] == git(acme, "rev-parse", "HEAD")
    assert registry["uncommitted"] == []
    file = f"tenants/registry/{ACME.rut}.yml"
    assert registry["files"][file] == (acme.specs / file).read_text()


def test_the_same_state_gives_the_same_bytes(acme: Instance, tmp_path: Path) -> None:
    assert exported(acme, tmp_path)["files"] == exported(acme, tmp_path)["files"]


def test_values_of_variables_are_taken_along_only_where_they_are_plain(acme: Instance, tmp_path: Path) -> None:
    hand = ByHand(acme)
    for kind in ("plain", "encrypted", "sensitive"):
        body = {"key": f"A_{kind.upper()}", "value": f"{PRIVATE}-{kind}", "type": kind, "target": ["production"]}
        hand.vercel("POST", "v10/projects/smarteros-app/env", body)
    found = exported(acme, tmp_path, {"accounts": ["vercel"]})
    (text,) = found["files"].values()
    rows = {each["key"]: each for each in json.loads(text)["variables"]}
    assert rows["A_PLAIN"]["value"] == f"{PRIVATE}-plain"
    assert "value" not in rows["A_ENCRYPTED"]
    assert "value" not in rows["A_SENSITIVE"]
    assert PRIVATE not in found["shown"]


def test_nothing_of_the_files_nor_a_token_is_shown(acme: Instance, tmp_path: Path) -> None:
    found = exported(acme, tmp_path)
    assert found["fact"]["taken"]
    for account in ("cloudflare", "n8n", "vercel", "shopify", "supabase"):
        assert TOKEN.format(account) not in found["shown"]
        assert TOKEN.format(account) not in json.dumps(found["files"])
    assert "ns.example.com" not in found["shown"]  # stands in the zone


def test_one_that_fails_spares_the_others(acme: Instance, tmp_path: Path) -> None:
    wrong = {"cloudflare_token": PRIVATE, "n8n_url": "http://127.0.0.1:9", "vercel_token": "{{ 1 // 0 }}"}
    found = exported(acme, tmp_path, {"timeout": 2, "limit": 30}, **wrong)
    assert sorted(found["fact"]["taken"]) == [name for name in ACCOUNTS if name not in ("cloudflare", "n8n", "vercel")]
    rows = {each["what"]: each for each in found["fact"]["errors"]}
    assert set(rows) == {"export of cloudflare", "export of n8n", "export of vercel"}
    assert "its variables cannot be read" in rows["export of vercel"]["why"]
    assert all(each["why"] and each["next"] for each in rows.values())
    assert "no connection" in rows["export of n8n"]["why"]
    assert PRIVATE not in json.dumps(found["fact"])


def test_an_account_that_is_not_configured_is_left_out_silently(acme: Instance, tmp_path: Path) -> None:
    empty = {
        "cloudflare_token": "",
        "cloudflare_zone": "",
        "shopify_client_id": "",
        "shopify_client_secret": "",
        "shopify_default_store": "",
        "vercel_token": "",
        "vercel_team": "",
        "vercel_project": "",
        "supabase_secret_key": "",
        "supabase_access_token": "",
        "supabase_project": "",
    }
    found = exported(acme, tmp_path, None, **empty)
    assert (sorted(found["fact"]["taken"]), found["fact"]["errors"]) == (["n8n", "registry"], [])


def test_a_store_that_cannot_be_read_is_told(acme: Instance, tmp_path: Path) -> None:
    found = exported(acme, tmp_path, {"accounts": ["shopify"]}, shopify_client_secret=PRIVATE)
    (error,) = found["fact"]["errors"]
    assert f"{ACME.slug}.myshopify.com" in error["why"]
    assert (found["files"], found["fact"]["taken"]) == ({}, [])


def test_the_choices_are_documented() -> None:
    assert all(name in backup_exports.DOCUMENTATION for name in ACCOUNTS)
