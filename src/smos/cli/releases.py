# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""`smos releases` and `smos pin`."""

from __future__ import annotations

from typing import Annotated

import typer

from smos.settings import Settings


def releases(ctx: typer.Context) -> int:
    """List the releases, newest first, with what is known against them. The current one has a star.

    Example: smos releases
    """
    from smos import release_work

    return release_work.tell(ctx.obj)


def pin(
    ctx: typer.Context,
    components: Annotated[
        list[str] | None, typer.Argument(metavar="[COMPONENT…]", help="Components of the release; all without one.")
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
