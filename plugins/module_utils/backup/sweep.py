# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What runs that died have left: snapshots without a manifest, which no backup is made of, and their sessions on servers.

Only under the lock of the machine: a backup that is being taken looks just the same.
"""

from __future__ import annotations

import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import manifest
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.catalogue import Listing
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.postgresql import PostgresError, Server
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import Repository
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import EngineError


def sweep(repository: Repository, there: Listing) -> list[str]:
    """Forget what belongs to no backup; gives the ids that these would have had. Raises ResticError.

    Snapshots whose id is none of ours stay, whatever they are. The data goes when the repository is pruned next.
    """
    gone = {backup: group for backup, group in there.loose.items() if manifest.ID.match(backup)}
    if gone:
        repository.forget([each.id for group in gone.values() for each in group])
    return sorted(gone)


def end_sessions(servers: t.Iterable[Server]) -> int:
    """End what dead runs hold open on these servers; one that does not answer is its services' failure, later."""
    ended = 0
    for each in servers:
        try:
            ended += each.end_leftovers()
        except (PostgresError, EngineError):
            continue
    return ended
