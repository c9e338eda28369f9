# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Reading a table of ours that may not be there yet, while other runs make it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.clients.supabase_sql import Sql, read_if_there
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError

QUERY = "select version from smarteros.migrations"
TOLD = ApiError('relation "smarteros.migrations" does not exist', errors.MISSING)


class Database:
    """Refuses the query until it has been asked so often; says whether the table is there as soon as it is."""

    def __init__(self, there_after: int, refusal: ApiError = TOLD) -> None:
        self.asked = 0
        self._there_after, self._refusal = there_after, refusal

    def read(self, query: str) -> list[dict[str, Any]]:
        if query != QUERY:
            return [{"missing": self.asked < self._there_after}]
        self.asked += 1
        if self.asked <= self._there_after:
            raise self._refusal
        return [{"version": "0001"}]


def found(database: Database) -> Any:
    return read_if_there(cast("Sql", database), "smarteros.migrations", QUERY)


def test_a_table_that_is_there_is_read_at_once() -> None:
    database = Database(0)
    assert found(database) == [{"version": "0001"}]
    assert database.asked == 1


def test_a_table_that_is_not_there_has_no_rows() -> None:
    assert found(Database(2)) is None


def test_a_table_that_another_run_makes_in_between_is_read() -> None:
    assert found(Database(1)) == [{"version": "0001"}]


def test_another_refusal_is_told() -> None:
    class Shut(Database):
        def read(self, query: str) -> list[dict[str, Any]]:
            if query == QUERY:
                raise ApiError("permission denied", errors.INVALID)
            return [{"missing": False}]

    with pytest.raises(ApiError, match="permission denied"):
        found(Shut(9))
