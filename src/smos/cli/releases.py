# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos releases` and `smos pin`."""

from __future__ import annotations

from typing import Annotated

import typer

from smos.cli import complete
from smos.settings import Settings


def releases(
    ctx: typer.Context,
    deployed: Annotated[bool, typer.Option("--deployed", help="Also ask the machine what was deployed on it.")] = False,
) -> int:
    """List the releases, newest first, with what is known against them. The current one has a star.

    Example: smos releases

    Example: smos --env production releases --deployed
    """
    from smos import release_work

    return release_work.tell(ctx.obj, deployed)


def rollback(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A release that ran here before, or previous.")],
    with_data: Annotated[
        bool, typer.Option("--with-data", help="Also bring back data that a newer version has migrated, from a backup.")
    ] = False,
) -> int:
    """Go back to an earlier release. The plan comes first (--check shows it alone); production asks.

    Where the older version does not read the data that are there, it is refused, and told what --with-data would bring and lose.

    Example: smos --env production rollback 0.2.0 --check

    Example: smos --env production rollback previous --with-data
    """
    from smos import rollback_work

    return rollback_work.carry_out(version, with_data, ctx.obj)


def pin(
    ctx: typer.Context,
    components: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[COMPONENT…]",
            help="Components of the release; all without one.",
            autocompletion=complete.components,
        ),
    ] = None,
) -> int:
    """Ask the image registries for the digests of the current release and write them into specs/smos-version.yml.

    Outside of the sandbox nothing is deployed without a digest. Commit the difference.

    Example: smos pin --check --diff

    Example: smos pin n8n n8n-runners
    """
    from smos import release_work

    settings: Settings = ctx.obj
    return release_work.pin(components or [], settings)
