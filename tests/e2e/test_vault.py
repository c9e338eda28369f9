"""The vault of an environment through `smos` and through the plain `ansible-playbook`; no value is shown anywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.instance import ROOT, TOOLS, Done, Instance, instance

WORD = "the-word-that-opens-the-vault"
LIVE = "postgresql_n8n_password"
STAGING = ("--env", "staging")
# Stands for the real deploy: notes which services it was to visit and which value they got, and fails on demand
DEPLOY = """
- name: Stand in for the deploy
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Note what was deployed
      ansible.builtin.shell: echo "$LINE" >>"$NOTES"
      environment:
        NOTES: "{{ lookup('ansible.builtin.env', 'DEPLOY_NOTES') }}"
        LINE: "{{ deploy_services | join(' ') }} {{ lookup('smartercl.smarteros.secret', 'postgresql_n8n_password') | hash }}"
      changed_when: true
      no_log: true

    - name: Fail on demand
      ansible.builtin.assert:
        that: lookup('ansible.builtin.file', lookup('ansible.builtin.env', 'DEPLOY_NOTES')) | split('\\n') | length
          not in (lookup('ansible.builtin.env', 'DEPLOY_FAILS') | split(',') | map('int') | list)
        fail_msg: the container is not healthy
"""


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Instance]:
    """An instance of `staging` with a vault of its own, a password for it, and a deploy that only notes what it was asked."""
    project = tmp_path / "project"
    project.mkdir()
    for path in ROOT.iterdir():
        if path.name not in ("playbooks", "collections", ".smos", ".git"):
            (project / path.name).symlink_to(path)
    shutil.copytree(ROOT / "playbooks", project / "playbooks")
    (project / "playbooks" / "deploy.yml").write_text(DEPLOY)
    link = project / "collections" / "ansible_collections" / "smartercl" / "smarteros"
    link.parent.mkdir(parents=True)
    link.symlink_to("../../..")
    own = tmp_path / "smos" / "env" / "staging" / ".vault-password"
    own.parent.mkdir(parents=True)
    own.touch(mode=0o600)
    own.write_text(f"{WORD}\n")
    with instance(
        tmp_path / "smos",
        SMOS_PROJECT_DIR=str(project),
        SMOS_VAULT_FILE=str(tmp_path / "smos" / "vault.yml"),
        DEPLOY_NOTES=str(tmp_path / "notes"),
    ) as made:
        yield made


def vault_of(smos: Instance) -> dict[str, Any]:
    """What the vault holds, read by Ansible's own tool."""
    word = smos.home / "env" / "staging" / ".vault-password"
    line = [str(TOOLS / "ansible-vault"), "view", "--vault-password-file", str(word), str(smos.home / "vault.yml")]
    found: dict[str, Any] = yaml.safe_load(subprocess.run(line, check=True, capture_output=True, text=True).stdout)
    return found


def deployed(smos: Instance) -> list[str]:
    """The services of each deploy."""
    notes = Path(smos.environment["DEPLOY_NOTES"])
    return [line.rpartition(" ")[0] for line in notes.read_text().splitlines()] if notes.exists() else []


def plain(smos: Instance, book: str, *args: str, **environment: str) -> Done:
    """Run the plain `ansible-playbook` on a playbook of the instance's project, or on one by its path."""
    line = [
        "ansible-playbook",
        "-i",
        "inventories/staging",
        book if Path(book).is_absolute() else f"playbooks/{book}",
        *args,
    ]
    ended = subprocess.run(
        line,
        cwd=smos.environment["SMOS_PROJECT_DIR"],
        env={**smos.variables, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
    )
    return Done((book, *args), ended.returncode, ended.stdout, ended.stderr)


def spilt(smos: Instance, *done: Done) -> list[str]:
    """Names of secrets whose value is in an output, or in a file other than the vault's password."""
    holders = "".join(each.out + each.err for each in done)
    files = [path for path in smos.home.rglob("*") if path.is_file() and path.name != ".vault-password"]
    holders += "".join(path.read_bytes().decode(errors="replace") for path in files)
    values = {name: value for name, value in vault_of(smos).items() if isinstance(value, str)}
    return [name for name, value in {**values, "the password": WORD}.items() if value in holders]


def made(smos: Instance) -> Instance:
    done = smos.run("secrets", "init", "--json", *STAGING)
    assert done.code == 0, done
    return smos


def test_secrets_are_made_once_and_judged_and_shown_nowhere(staging: Instance) -> None:
    foretold = staging.run("secrets", "init", "--check", "--json", *STAGING)
    assert foretold.code == 0, foretold
    assert not (staging.home / "vault.yml").exists()
    first = staging.run("secrets", "init", "-vvvv", "--diff", *STAGING)
    assert first.code == 0, first
    before = (staging.home / "vault.yml").read_bytes()
    second = staging.run("secrets", "init", "--json", *STAGING)
    assert (second.code, second.document["changed"]) == (0, False), second
    assert (staging.home / "vault.yml").read_bytes() == before
    values = vault_of(staging)
    assert [row["what"] for row in foretold.result["changes"]] == [
        f"secret {name}" for name in second_made(second, values)
    ]
    checked = staging.run("secrets", "check", "-vvvv", "--json", *STAGING)
    assert checked.code == 0, checked
    assert {row["state"] for row in checked.result["rows"]} == {"ok", "unmade"}
    by_hand = plain(staging, "secrets.yml", "-vvvv")
    assert by_hand.code == 0, by_hand
    history = staging.run("history", "--json", *STAGING)
    assert spilt(staging, foretold, first, second, checked, by_hand, history) == []


def second_made(done: Done, values: dict[str, Any]) -> list[str]:
    """The names that are in the vault, in the order of the catalogue."""
    return [row["name"] for row in done.result["rows"] if row["name"] in values]


def test_a_vault_that_cannot_be_opened_ends_with_3_and_names_the_places(staging: Instance) -> None:
    made(staging)
    own = staging.home / "env" / "staging" / ".vault-password"
    own.write_text("another word\n")
    wrong = staging.run("secrets", "check", "--json", *STAGING)
    assert wrong.code == 3, wrong
    assert "none of the passwords" in wrong.why
    own.unlink()
    for args in (["secrets", "check"], ["secrets", "init"], ["secrets", "rotate", LIVE]):
        done = staging.run(*args, "--json", *STAGING)
        assert done.code == 3, done
        for place in ("vault.yml", "--vault-password-file", "SMOS_VAULT_PASSWORD_FILE", "SMOS_VAULT_KEYRING", str(own)):
            assert place in done.why
    assert deployed(staging) == []


def test_a_missing_or_weak_secret_fails_the_check(staging: Instance) -> None:
    done = staging.run("secrets", "check", "--json", *STAGING)
    assert (done.code, len(done.document["errors"])) == (3, 1), done
    assert done.document["errors"][0]["next"] == "smos secrets init"
    made(staging)
    weak = staging.run("secrets", "set", "n8n_owner_password", "--json", *STAGING)
    assert weak.code == 2, weak  # nothing came on stdin
    value = staging.home / "value.yml"
    value.write_text("secrets_job: set\nsecret_name: redis_password\nsecret_value: Tr0ub4dor-and-three-more\n")
    assert plain(staging, "secrets.yml", "-e", f"@{value}").code == 0
    value.unlink()
    assert vault_of(staging)["redis_password"] == "Tr0ub4dor-and-three-more"


def test_a_rotation_deploys_those_who_use_it_and_forgets_the_old_value(staging: Instance) -> None:
    before = vault_of(made(staging))
    done = staging.run("secrets", "rotate", LIVE, "-vvvv", "--diff", *STAGING)
    assert done.code == 0, done
    after = vault_of(staging)
    assert after[LIVE] != before[LIVE]
    assert {name for name in before if before[name] != after[name]} == {LIVE, "_meta"}
    assert "_previous" not in after
    assert deployed(staging) == ["postgresql n8n"]
    assert spilt(staging, done) == []
    assert before[LIVE] not in done.out + done.err


def test_a_rotation_whose_deploy_fails_brings_the_old_value_back(staging: Instance) -> None:
    before = vault_of(made(staging))
    done = staging.run("secrets", "rotate", LIVE, "--json", *STAGING, DEPLOY_FAILS="1")
    assert done.code == 1, done
    assert vault_of(staging) == before
    assert deployed(staging) == ["postgresql n8n"] * 2
    hashes = [line.rpartition(" ")[2] for line in Path(staging.environment["DEPLOY_NOTES"]).read_text().splitlines()]
    assert len(set(hashes)) == 2, "first the new value, then the old one"
    assert "the container is not healthy" in done.why
    assert "the old value is back in the vault and runs again" in done.why
    again = staging.run("secrets", "rotate", LIVE, "--json", *STAGING)
    assert again.code == 0, again


def test_where_nothing_can_be_deployed_the_vault_has_the_old_value_and_says_what_to_do(staging: Instance) -> None:
    before = vault_of(made(staging))
    done = staging.run("secrets", "rotate", LIVE, "--json", *STAGING, DEPLOY_FAILS="1,2")
    assert done.code == 1, done
    assert vault_of(staging)[LIVE] == before[LIVE]
    assert "smos deploy backend --service postgresql --service n8n" in done.why


def test_a_rotation_of_plain_ansible_that_died_is_told_and_goes_on(staging: Instance) -> None:
    before = vault_of(made(staging))
    died = plain(staging, "rotate_secret.yml", "-e", f"secret_name={LIVE}", DEPLOY_FAILS="1")
    assert died.code == 2, died
    half = vault_of(staging)
    assert half["_previous"] == {LIVE: before[LIVE]}
    told = staging.run("secrets", "check", "--json", *STAGING)
    assert told.code == 3, told
    assert f"smos secrets rotate {LIVE}" in told.why
    other = staging.run("secrets", "rotate", "redis_password", "--json", *STAGING)
    assert other.code == 4, other
    ended = plain(staging, "rotate_secret.yml", "-e", f"secret_name={LIVE}")
    assert ended.code == 0, ended
    after = vault_of(staging)
    assert (after[LIVE], "_previous" in after) == (half[LIVE], False)


@pytest.mark.parametrize(("name", "code"), [("n8n_encryption_key", 4), ("chatwoot_record_salt", 4), ("nonsense", 2)])
def test_what_must_not_be_rotated_is_refused_before_anything_else(staging: Instance, name: str, code: int) -> None:
    done = staging.run("secrets", "rotate", name, "--json", *STAGING)
    assert done.code == code, done
    assert deployed(staging) == []


def test_a_rotation_is_foretold_without_a_deploy(staging: Instance) -> None:
    before = (made(staging).home / "vault.yml").read_bytes()
    done = staging.run("secrets", "rotate", LIVE, "--check", "--json", *STAGING)
    assert done.code == 0, done
    assert [row["what"] for row in done.result["changes"]] == [f"secret {LIVE}"]
    assert (staging.home / "vault.yml").read_bytes() == before
    assert deployed(staging) == []


KEEPS = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - smartercl.smarteros.secret_keep:
        secrets: {n8n_api_key: "{{ lookup('ansible.builtin.env', 'MADE') }}", odoo_api_key: ""}
      register: kept
    - ansible.builtin.debug:
        msg: "{{ {'changed': kept.changed, 'kept': kept.kept} | to_json }}"
"""


def test_what_a_service_made_is_kept_once(staging: Instance) -> None:
    made(staging)
    book = staging.home / "keeps.yml"
    book.write_text(KEEPS)
    made_by_n8n = "n8n_api_0123456789abcdef"

    def kept(*args: str, value: str = made_by_n8n) -> str:
        done = plain(staging, str(book), "-vvvv", *args, MADE=value)
        assert done.code == 0, done
        assert made_by_n8n not in done.out + done.err
        return done.out

    changed, same = json.dumps({"changed": True, "kept": ["n8n_api_key"]}), json.dumps({"changed": False, "kept": []})
    assert changed in kept("--check")
    assert "n8n_api_key" not in vault_of(staging)
    assert changed in kept()
    assert vault_of(staging)["n8n_api_key"] == made_by_n8n
    assert same in kept()
    assert same in kept(value="")
    book.write_text(KEEPS.replace("n8n_api_key", "n8n_encryption_key"))
    refused = plain(staging, str(book), MADE="x" * 40)
    assert refused.code == 2
    assert "not made by a service" in refused.out


def test_the_sandbox_has_a_vault_of_its_own_without_any_setting(smos: Instance) -> None:
    done = smos.run("secrets", "init", "--json")
    assert done.code == 0, done
    assert done.result["file"] == str(smos.sandbox / "vault.yml")
    assert (smos.sandbox / "vault.yml").stat().st_mode & 0o777 == 0o600
    smos.up()
    by_hand = smos.play("secrets.yml")
    assert by_hand.code == 0, by_hand


@pytest.mark.parametrize("env", ["staging", "production"])
def test_a_vault_in_the_inventory_is_no_part_of_the_inventory(env: str, tmp_path: Path) -> None:
    folder = tmp_path / "inventories" / env
    shutil.copytree(ROOT / "inventories" / env, folder)
    variables = {"SMOS_PROJECT_DIR": str(ROOT), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "HOME": str(tmp_path)}
    variables |= {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "SMOS_STATE_DIR": str(tmp_path / "state")}
    variables["SMOS_SPECS_REPO"] = str(ROOT / "specs")

    def looked() -> str:
        line = [str(TOOLS / "ansible-inventory"), "-i", str(folder), "--list"]
        done = subprocess.run(line, env=variables, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    without = looked()
    assert f"{folder}/.vault.yml" in ansible_says(folder, variables)
    (folder / ".vault.yml").write_text("$ANSIBLE_VAULT;1.1;AES256\n38343236\n")
    assert looked() == without


def ansible_says(folder: Path, variables: dict[str, str]) -> str:
    """Where the inventory says that the vault is."""
    line = [str(TOOLS / "ansible"), "vps1", "-i", str(folder), "-m", "debug", "-a", "var=smos_vault_file"]
    return subprocess.run(line, env=variables, cwd=ROOT, capture_output=True, text=True, check=False).stdout
