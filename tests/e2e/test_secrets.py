"""Planted tokens are found nowhere: not in output, records, logs or files, nor in any process's arguments."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sqlite3
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.derive import secret
from smos.sandbox import server
from support import processes, strict
from support.instance import ACME, Done, Instance, instance, shop

WORDS = ("tenant_rut", "tenant_name", "tenant_domain")

STORE = f"{ACME.slug}.myshopify.com"
KEPT_BY_CHATWOOT = ("WHATSAPP_TOKEN_ACME", "WHATSAPP_APP_SECRET_ACME")  # the tenant's inbox is connected with them
NUMBER = {
    "phone_number": "+56922222222",
    "phone_number_id": "100000000000002",
    "business_account_id": "100000000000001",
}


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[tuple[Instance, dict[str, str]]]:
    """An instance whose providers have tokens that nobody else has, and these tokens by their variable's name."""
    tokens = {f"SMOS_SANDBOX_{name.upper()}_TOKEN": f"plant-{name}-{secrets.token_hex(12)}" for name in server.BASES}
    with instance(tmp_path / "smos", **tokens) as made:
        made.up()
        yield made, tokens


def of_staging(smos: Instance, tokens: dict[str, str]) -> dict[str, str]:
    """Write the files of `staging`: the sandbox's tokens under their real names. Gives the further secrets in them."""
    further = {
        name: f"plant-{secrets.token_hex(16)}"
        for name in ("SMOS_MASTER_SECRET", "SHOPIFY_TOKEN_OTHER", "WHATSAPP_TOKEN_OTHER", "WHATSAPP_APP_SECRET_ACME")
    }
    further["WHATSAPP_TOKEN_ACME"] = f"sandbox-whatsapp-{secrets.token_hex(16)}"  # a form that the sandbox takes

    def token(name: str) -> str:
        return tokens[f"SMOS_SANDBOX_{name.upper()}_TOKEN"]

    real = {
        **{name: value for values in strict.OPTIONAL.values() for name, value in values.items()},
        "CLOUDFLARE_ZONE": strict.VARIABLES["CLOUDFLARE_ZONE"],
        "CLOUDFLARE_API_TOKEN": token("cloudflare"),
        "ODOO_API_KEY": token("odoo"),
        "CHATWOOT_PLATFORM_TOKEN": token("chatwoot"),
        "N8N_API_KEY": token("n8n"),
        "SUPABASE_SECRET_KEY": token("supabase"),
        "SUPABASE_ACCESS_TOKEN": token("supabase"),
        "METABASE_API_KEY": token("metabase"),
        "BOTPRESS_PASSWORD": token("botpress"),
        "VERCEL_TOKEN": token("vercel"),
        "SHOPIFY_CLIENT_SECRET": token("shopify"),
        "SHOPIFY_TOKEN_ACME": token("shopify"),
        "WHATSAPP_TOKEN": token("whatsapp"),
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": (smos.sandbox / "smtp_port").read_text().strip(),
        "SMTP_USER": "smarteros",
        "SMTP_PASSWORD": token("smtp"),
        "SMTP_TLS": "none",
        **further,
    }
    assert {name for values in (strict.VARIABLES, *strict.OPTIONAL.values()) for name in values} <= real.keys()
    folder = smos.home / "env" / "staging"
    folder.mkdir(parents=True)
    (folder / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in real.items()))
    (folder / ".env").chmod(0o600)
    return further


class Watch:
    """Looks at the arguments of all processes below this one while something runs, and at the run's own folder."""

    def __init__(self, folder: Path, tokens: Mapping[str, str]) -> None:
        self.seen: set[str] = set()
        self.written: Counter[str] = Counter()
        self._folder = folder
        self._tokens = tokens
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    @property
    def left_lying(self) -> list[str]:
        """Files with a secret that were there for longer than the moment in which ansible-runner is stopped writing it."""
        return sorted(name for name, times in self.written.items() if times > 1)

    def _look(self) -> None:
        looks = 0
        while not self._end.wait(0.02):
            for pid in processes.below(os.getpid()):
                self.seen.update(processes.arguments(pid))
            if looks % 25 == 0:
                self._look_into_files()
            looks += 1

    def _look_into_files(self) -> None:
        for path in self._folder.rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file() and path.stat().st_size < 1_000_000:
                    content = path.read_bytes()
                    self.written[str(path)] += any(token.encode() in content for token in self._tokens.values())

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._end.set()
            self._thread.join()


def made_secrets(smos: Instance, tokens: Mapping[str, str]) -> dict[str, str]:
    """Secrets that came up on the way: what providers gave, and what is derived from the master secret."""
    with sqlite3.connect(f"file:{smos.sandbox / 'state.db'}?mode=ro", uri=True) as db:
        users = db.execute("SELECT email, access_token FROM chatwoot_user").fetchall()
        granted = db.execute("SELECT shop, token FROM shopify_tokens").fetchall()
        signing = db.execute("SELECT json_extract(value, '$') FROM botpress_settings WHERE key = 'key'").fetchone()[0]
    db.close()
    assert len(users) >= 3
    assert granted
    masters = {"staging": tokens["SMOS_MASTER_SECRET"], "sandbox": "sandbox-master-secret-that-protects-nothing"}
    return {
        **{f"the token of {email}": token for email, token in users},
        **{f"the token of {shop}": token for shop, token in granted},
        **{f"the reader's password in {env}": secret(master, "reader", ACME.rut) for env, master in masters.items()},
        "Botpress's key": signing,
    }


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file by its name, and what is packed in it."""
    yield str(path), path.read_bytes()
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            for member in archive:
                packed = archive.extractfile(member)
                if packed is not None:
                    yield f"{path}:{member.name}", packed.read()


def holders(smos: Instance, tokens: dict[str, str]) -> list[str]:
    """The files of the instance that hold a secret; those that were written to hold them are left out."""
    found = []
    for path in sorted(smos.home.rglob("*")):
        if path.is_file() and path.parent.parent != smos.home / "env":
            for name, content in contents(path):
                shown = name.removeprefix(f"{smos.home}/")
                found += [f"{shown}: {each}" for each, token in tokens.items() if token.encode() in content]
    return found


def spilt(done: Done, tokens: dict[str, str]) -> list[str]:
    """The secrets that a command printed."""
    return [name for name, token in tokens.items() if token in done.out + done.err]


def test_planted_tokens_are_found_nowhere(planted: tuple[Instance, dict[str, str]]) -> None:
    smos, given = planted
    tokens = {**given, **of_staging(smos, given)}
    smos.add_files([ACME], environments=["staging"], shopify={"store": STORE}, whatsapp=NUMBER)
    there = strict.options(smos.up())
    watch = Watch(smos.state / "running", tokens)
    with watch.running():
        loud = smos.run("tenant", "apply", ACME.slug, "-vvvv", "--diff", *there)
        assert loud.code == 0, loud
        assert "smartercl.smarteros" in loud.out + loud.err, "it was not loud"
        again = smos.run("tenant", "apply", ACME.slug, "-vvvv", "--diff", "--json", *there)
        assert again.code == 0, again
        tenant = smos.run("tenant", "show", ACME.slug, "--json", *there).result["tenant"]
        assert {row["state"] for row in tenant["services"].values()} == {"ready"}
        plain = smos.playbook("-vvvv", "--diff", "-e", json.dumps(dict(zip(WORDS, shop(1).words, strict=True))))
        assert plain.code == 0, plain
        exported = smos.run("tenant", "export", ACME.slug, "-vvvv", "--json", *there)
        assert exported.code == 0, exported
        tested = smos.run("test", "all", "-vvvv", "--json", *there)
        assert tested.code == 0, tested
        suspended = smos.run("tenant", "suspend", ACME.slug, "-vvvv", "--diff", *there)
        assert suspended.code == 0, suspended
        server.fault(smos.sandbox, kind="500", times="always", operation="*create*")
        failed = smos.run("create", "tenant", *shop(2).words, "-vvvv", "--diff")
        assert failed.code == 1, failed
        server.fault(smos.sandbox, kind="status", status=401, times="always")
        refused = smos.run("create", "tenant", *shop(3).words, "-vvvv")
        assert refused.code == 3, refused
    every = {**tokens, **made_secrets(smos, tokens)}
    for done in (loud, again, plain, exported, tested, suspended, failed, refused):
        assert spilt(done, every) == [], done.args
    for args in (["history", "--json"], ["history", loud_run(smos), "--json"], ["sandbox", "requests", "--json"]):
        shown = smos.run(*args)
        assert shown.code == 0, shown
        assert spilt(shown, every) == []
    assert spilt(smos.run("sandbox", "outbox", "--json"), every) == []
    in_arguments = [name for name, token in every.items() if any(token in word for word in watch.seen)]
    assert in_arguments == []
    assert any("ansible-playbook" in word for word in watch.seen), "it was not watched"
    assert watch.written, "the run's folder was not watched"
    assert watch.left_lying == []

    smos.down()
    # The emulated providers have to know what they gave and were given for a tenant, so their memory holds that. The
    # tokens of their operators they do not keep.
    assert [row for row in holders(smos, every) if not row.startswith("state/sandbox/state.db")] == []
    kept = {name: token for name, token in tokens.items() if name not in KEPT_BY_CHATWOOT}
    assert [row for row in holders(smos, kept) if row.startswith("state/sandbox/")] == []
    archives = list((smos.state / "exports" / "staging").rglob("*.tar.gz"))
    assert archives, "there was no archive to look into"


def loud_run(smos: Instance) -> str:
    """The id of the newest run."""
    run: str = smos.run("history", "--json").result["runs"][-1]["run"]
    return run


def test_a_token_given_as_a_variable_is_in_no_record_and_no_argument(smos: Instance) -> None:
    smos.up()
    token = f"plant-{secrets.token_hex(12)}"
    watch = Watch(smos.state / "running", {"it": token})
    with watch.running():
        done = smos.run("create", "tenant", *ACME.words, "-vvvv", "-e", f"odoo_secret={token}", "--json")
    assert done.code == 3, done
    assert spilt(done, {"it": token}) == []
    assert holders(smos, {"it": token}) == []
    children = {word for word in watch.seen if token in word and "odoo_secret=" not in word}
    assert children == set(), "only the command's own arguments, which its user typed, may hold it"
