# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Lists of tenants and of module items as one JSON text on their way through a template.

Ansible looks at every single value of a list that passes a template, several times: a second for each service and a
thousand tenants. A text is one value.
"""

from __future__ import annotations

import functools
import json
import typing as t


def for_tenants(mapping: t.Callable[..., list[dict[str, t.Any]]]) -> t.Callable[..., t.Any]:
    """The same filter for tenants as a JSON text too; it then gives its items as a JSON text."""

    @functools.wraps(mapping)
    def either(tenants: t.Any, *args: t.Any, **kwargs: t.Any) -> t.Any:
        if not isinstance(tenants, str):
            return mapping(tenants, *args, **kwargs)
        return json.dumps(mapping(json.loads(tenants), *args, **kwargs))

    return either


def items_of(args: dict[str, t.Any], options: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """The lists of items that came as a JSON text among the arguments of a task, as lists."""
    return {
        name: json.loads(value)
        for name, value in args.items()
        if isinstance(value, str) and options.get(name, {}).get("elements") == "dict" and value.startswith("[")
    }
