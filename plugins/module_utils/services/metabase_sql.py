# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What the SQL of a question may be: one statement that reads, and that is about nobody in particular. Pure.

It is no guard of the data, which the rights of the connection's role are: it tells mistakes before a run.
"""

from __future__ import annotations

import re

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_PARTS = re.compile(rf"{_COMMENT.pattern}|{_LITERAL.pattern}|{_QUOTED.pattern}", re.DOTALL)
_WRITES = re.compile(
    r"\b(insert|update|delete|merge|truncate|drop|alter|create|grant|revoke|copy|call|do|into)\b", re.IGNORECASE
)
_RUT = re.compile(r"\b\d{1,2}\.?\d{3}\.?\d{3}-[0-9kK]\b")
_OF_ONE = re.compile(
    r"\b(?:tenant|tenant_id|tenant_name|slug|title)\b\s*(?:=|<>|!=|~\S*|(?:not\s+)?(?:i?like|in)\b)[\s(]*'[^']",
    re.IGNORECASE,
)


def mistake(sql: str) -> str:
    """What is wrong with a question's SQL, in words; empty where nothing is."""
    bare = _PARTS.sub(lambda part: " " if part.group().startswith(("--", "/*")) else "''", sql).strip()
    if "{{" in sql or "[[" in sql:
        return "Metabase would ask for a value where {{ or [[ stands"
    if "$$" in bare or ";" in bare.rstrip("; \n"):
        return "sql is one statement, without quoting by dollars"
    if not re.match(r"(select|with)\b", bare, re.IGNORECASE):
        return "sql begins with SELECT or WITH"
    found = _WRITES.search(bare)
    if found:
        return f"sql only reads; it has {found.group().upper()}"
    if _RUT.search(sql) or _OF_ONE.search(_COMMENT.sub(" ", sql)):
        return "a question never names a tenant: it is for all of them"
    return ""
