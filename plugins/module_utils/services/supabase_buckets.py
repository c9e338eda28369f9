# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Storage buckets, one per purpose and shared by all tenants: what is wished against what there is."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.smartercl.smarteros.plugins.module_utils import reconcile
from ansible_collections.smartercl.smarteros.plugins.module_utils.bulk import Change
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.supabase import Row, Supabase
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError


@dataclass(frozen=True)
class Bucket:
    """A bucket. ``size_limit`` in bytes per file, 0 for the project's own; ``types`` are MIME types, none for any."""

    name: str
    public: bool = False
    size_limit: int = 0
    types: tuple[str, ...] = ()

    def shown(self) -> dict[str, t.Any]:
        """As it is reported."""
        return {"public": self.public, "file_size_limit": self.size_limit, "allowed_mime_types": list(self.types)}

    def wire(self) -> Row:
        """As the storage API takes it."""
        return {
            "public": self.public,
            "file_size_limit": self.size_limit or None,
            "allowed_mime_types": list(self.types) or None,
        }


def bucket_of(row: t.Mapping[str, t.Any]) -> Bucket:
    """A bucket of the API in our words."""
    limit, types = row.get("file_size_limit"), row.get("allowed_mime_types")
    return Bucket(
        str(row.get("id")),
        row.get("public") is True,
        limit if isinstance(limit, int) else 0,
        tuple(sorted(str(each) for each in types)) if isinstance(types, list) else (),
    )


def plan(wishes: t.Sequence[Bucket], rows: t.Mapping[str, Row]) -> reconcile.Plan[Bucket]:
    """What is to be made or changed. Buckets that nobody wishes are never touched. Pure."""
    actual = {name: bucket_of(row) for name, row in rows.items()}
    return reconcile.plan({wish.name: wish for wish in wishes}, actual)


def changes(todo: reconcile.Plan[Bucket]) -> list[Change]:
    """The differences as they are reported."""
    made = [Change("create", f"bucket {name}", None, each.shown()) for name, each in todo.create.items()]
    return made + [
        Change("update", f"bucket {name}", was.shown(), now.shown()) for name, (was, now) in todo.update.items()
    ]


def apply(client: Supabase, todo: reconcile.Plan[Bucket], concurrency: int) -> None:
    """Carry out the plan. Raises the first ApiError when everything was tried."""
    work = {name: _creating(client, each) for name, each in todo.create.items()}
    work.update({name: _updating(client, now) for name, (_was, now) in todo.update.items()})
    for answer in reconcile.run_all(work, concurrency).values():
        if isinstance(answer, ApiError):
            raise answer


def _creating(client: Supabase, bucket: Bucket) -> t.Callable[[], None]:
    return lambda: client.create_bucket(bucket.name, bucket.wire())


def _updating(client: Supabase, bucket: Bucket) -> t.Callable[[], None]:
    return lambda: client.update_bucket(bucket.name, bucket.wire())
