#!/usr/bin/python
# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Apply ordered SQL files to a Supabase project, each once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: supabase_migrations
short_description: Apply ordered SQL files to a Supabase project or a PostgreSQL database
version_added: 0.1.0
description:
  - Compares the SQL files of a folder with what the database recorded, and applies those that are missing, in order.
  - A file is named V(<4 digits>_<what>.sql), numbers are consecutive from V(0001). Its SHA-256 checksum is recorded in
    C(smarteros.migrations) in the same transaction.
  - A file that was changed, renamed or taken away after it was applied, and a gap, stop the module before anything is done.
  - Each file is one statement with its record, under an advisory lock. A run that dies leaves the database before or after a
    file; two runs at once apply it once.
options:
  folder:
    description: Folder of the files, on the machine that runs the module.
    type: path
    required: true
extends_documentation_fragment:
  - smartercl.smarteros.supabase.sql
  - smartercl.smarteros.bulk
  - smartercl.smarteros.bulk.attributes
author:
  - SmarterCL (@SmarterCL)
"""

EXAMPLES = r"""
- name: Bring the schema to the newest version through the Management API
  smartercl.smarteros.supabase_migrations:
    folder: specs/database
    project: abcdefghijklmnopqrst

- name: The same directly on PostgreSQL
  smartercl.smarteros.supabase_migrations:
    folder: specs/database
    database_url: postgresql://postgres@db.example.com:5432/postgres
"""

RETURN = r"""
applied:
  description: Files that were applied (in check mode would be), in order.
  returned: always
  type: list
  elements: str
  sample: [0005_readers.sql]
changes:
  description: The same as changes, with action, what, before and after.
  returned: success
  type: list
  elements: dict
version:
  description: Number of the newest file that the database has afterwards.
  returned: success
  type: str
  sample: "0005"
results:
  description: Always empty, because migrations belong to no tenant. It lets the module stand among the others.
  returned: success
  type: list
  elements: dict
requests:
  description: Number of requests that were sent.
  returned: success
  type: int
errors:
  description: Why it failed, each with what, where, why and next.
  returned: failure
  type: list
  elements: dict
"""

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils import bulk, supabase_options
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import supabase as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.services import supabase_migrations as service

OPTIONS: dict[str, dict[str, t.Any]] = {
    **supabase_options.SQL,
    "folder": {"type": "path", "required": True},
}


def work(module: bulk.Caller) -> None:
    """Read, plan, apply unless in check mode, report."""
    supabase_options.needs_psycopg(module)
    with bulk.usable(module, "Supabase"):
        files = service.read_folder(module.params["folder"])
        sql = api.sql_of(module.params, bulk.policy_of(module))
    applied: list[str] = []
    try:
        with bulk.usable(module, "Supabase"):
            recorded = service.history(sql)
            todo = service.pending(files, recorded, module.params["folder"])
        if module.check_mode:
            applied = [each.file for each in todo]
        else:
            for each in service.apply(sql, todo):
                applied.append(each.file)  # what was done must be known when the next one fails
    except ApiError as exc:
        done = f" (applied before it: {', '.join(applied)})" if applied else ""
        module.fail_json(msg=f"migrations: {exc.message}{done}", errors=[exc.as_dict("migrations")], applied=applied)
    finally:
        sql.close()
    before = {"migrations": [each.file for each in recorded]}
    module.exit_json(
        changed=bool(applied),
        applied=applied,
        changes=[bulk.Change("create", f"migration {name}").as_dict() for name in applied],
        version=files[-1].version,
        diff={"before": before, "after": {"migrations": [*before["migrations"], *applied]}},
        results=[],
        requests=sql.sent,
    )


def main() -> None:
    """Called as a module; on the controller the action plugin of the same name calls `work` itself."""
    work(bulk.module_for(OPTIONS))


if __name__ == "__main__":
    main()
