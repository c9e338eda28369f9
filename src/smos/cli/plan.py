"""`smos plan`"""

from __future__ import annotations

from typing import Annotated

import typer

from smos import exitcodes
from smos.outcome import Speaker, failure
from smos.settings import Settings

PARTS = ("all", "tenants")  # what this release can compare


def plan(
    ctx: typer.Context,
    part: Annotated[str, typer.Argument(metavar="[all|tenants]", help="What to compare.")] = "all",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 10 when changes are pending.")] = False,
) -> int:
    """Show what a run would change; changes nothing.

    Example: smos plan tenants --exit-code
    """
    from smos import tenant_work, work

    settings: Settings = ctx.obj
    if part not in PARTS:
        raise failure(exitcodes.INVALID, f"plan {part}", f"there is no such part; known: {', '.join(PARTS)}")
    job = work.Job(
        command="plan",
        playbook="apply_tenants.yml",
        title=f"plan {part} in {settings.env}",
        variables={},
        result=lambda played: {"changes": played.changes},
        check=True,
        code_when_pending=exitcodes.PENDING if exit_code else exitcodes.DONE,
    )
    return work.carry_out(job, settings, Speaker("plan", settings.env, settings.as_json), tenant_work.show)
