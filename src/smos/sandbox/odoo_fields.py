# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What a model of the sandbox's Odoo is made of: fields, and the columns that every table has.

A field is a real column (or a relation table for many2many), so that a search domain becomes one indexed query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SQL_TYPES = {"boolean": "INTEGER", "integer": "INTEGER", "many2one": "INTEGER"}


@dataclass(frozen=True)
class Field:
    """One field. ``kind`` is Odoo's type, or ``password`` (kept as a hash, never read back).

    ``relation`` is the other model of a many2one, many2many or one2many; ``link`` = (table, own column, other column)
    of a many2many; ``inverse`` the field of the other model that a one2many mirrors; ``choices`` limits a selection.
    """

    kind: str
    label: str
    relation: str = ""
    required: bool = False
    readonly: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    link: tuple[str, str, str] | None = None
    inverse: str = ""

    @property
    def stored(self) -> bool:
        """Whether the value is a column of the model's own table."""
        return self.kind not in ("many2many", "one2many")


@dataclass(frozen=True)
class Model:
    """One model: ``order`` is its default order, ``group`` who may change it, ``unique`` field → refusal."""

    name: str
    label: str
    fields: Mapping[str, Field]
    order: str = "id"
    group: str = "Administration/Settings"
    unique: Mapping[str, str] = field(default_factory=dict)
    indexes: tuple[str, ...] = ()
    name_field: str = "name"

    @property
    def table(self) -> str:
        return "odoo_" + self.name.replace(".", "_")

    @property
    def archives(self) -> bool:
        """Whether records can be archived (and are then hidden from searches)."""
        return "active" in self.fields


def char(label: str, **more: Any) -> Field:
    """A text of one line."""
    return Field("char", label, **more)


def m2o(label: str, relation: str, **more: Any) -> Field:
    """A link to a record of another model."""
    return Field("many2one", label, relation=relation, **more)


ACTIVE = Field("boolean", "Active", default=True)
MAGIC = {
    "id": Field("integer", "ID", readonly=True),
    "create_date": Field("datetime", "Created on", readonly=True),
    "write_date": Field("datetime", "Last Updated on", readonly=True),
    "create_uid": m2o("Created by", "res.users", readonly=True),
    "write_uid": m2o("Last Updated by", "res.users", readonly=True),
}
