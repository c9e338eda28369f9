"""The sandbox's Supabase where the network would be, for the tests of its modules, client and exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import supabase as client_supabase
from ansible_collections.smartercl.smarteros.plugins.modules import (
    supabase_buckets,
    supabase_migrations,
    supabase_readers,
    supabase_rows,
)
from smos.sandbox.supabase_keys import REF
from unit.plugins.wire import Wire, run_module, wired
from unit.sandbox.driver import Driver

TOKEN = "sandbox-supabase-token"
MASTER = "master-secret-of-the-tests"
FOLDER = Path(__file__).resolve().parents[3] / "specs" / "database"
BUCKET = {"name": "tenant-assets", "size_limit_mb": 10, "mime_types": ["image/*"]}


def driver() -> Driver:
    """A project of the sandbox, empty at first."""
    from smos.sandbox.supabase import PROVIDER

    return Driver(PROVIDER, {"apikey": TOKEN, "authorization": f"Bearer {TOKEN}"}, TOKEN)


def rut(n: int) -> str:
    return f"{10000000 + n}-5"


def item(n: int, **more: Any) -> dict[str, Any]:
    """A tenant for `supabase_rows`."""
    row = {"slug": f"t{n}", "name": f"Tenant {n}", "domain": f"t{n}.example.com", "plan": "starter"}
    settings = {"locale": {"currency": "CLP"}, "limits": {"users": None, "bots": 2}}
    services = {"odoo": "enabled", "metabase": "disabled"}
    return {"tenant": rut(n), "row": row, "settings": settings, "services": services, **more}


def with_row(n: int, **columns: Any) -> dict[str, Any]:
    """A tenant with other values in its row."""
    return item(n, row={**item(n)["row"], **columns})


def reader(n: int, **more: Any) -> dict[str, Any]:
    """A tenant for `supabase_readers`."""
    return {"tenant": rut(n), "role": f"tenant_t{n}_reader", **more}


class World:
    """The modules over one project."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wire: Wire = wired(driver, monkeypatch)
        monkeypatch.setattr("smos.sandbox.supabase_sql.CACHE_SECONDS", 0.0)
        monkeypatch.setattr(client_supabase, "CACHE_PAUSES", (0.0, 0.0, 0.0))

    @property
    def data(self) -> dict[str, Any]:
        return {"url": self.wire.base_url, "secret_key": TOKEN}

    @property
    def sql(self) -> dict[str, Any]:
        return {"management_url": self.wire.base_url, "access_token": TOKEN, "project": REF}

    @property
    def connection(self) -> dict[str, str]:
        return {**self.data, "access_token": TOKEN, "project": REF}

    def client(self, **more: str) -> client_supabase.Supabase:
        return client_supabase.connect({**self.connection, **more})

    def migrate(self, check: bool = False, folder: Path = FOLDER, **more: Any) -> dict[str, Any]:
        return run_module(supabase_migrations, check, **{**self.sql, "folder": str(folder), **more})

    def rows(self, *items: dict[str, Any], check: bool = False, **more: Any) -> dict[str, Any]:
        return run_module(supabase_rows, check, **{**self.data, "tenants": list(items), **more})

    def readers(self, *items: dict[str, Any], check: bool = False, **more: Any) -> dict[str, Any]:
        return run_module(
            supabase_readers, check, **{**self.sql, "readers": list(items), "master_secret": MASTER, **more}
        )

    def buckets(self, *items: dict[str, Any], check: bool = False, **more: Any) -> dict[str, Any]:
        return run_module(supabase_buckets, check, **{**self.data, "buckets": list(items), **more})

    def table(self, name: str) -> list[dict[str, Any]]:
        """All rows of a table, past our client."""
        found: list[dict[str, Any]] = self.wire.driver.ok("GET", f"/rest/v1/{name}")
        return found

    def upload(self, path: str, bucket: str = "tenant-assets") -> None:
        """Put a file of some bytes there, as an application does."""
        headers = {"apikey": TOKEN, "content-type": "image/png"}
        self.wire.driver.ok("POST", f"/storage/v1/object/{bucket}/{path}", b"some bytes", headers=headers)
