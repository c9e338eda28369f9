"""`smos tenant …`"""

from __future__ import annotations

from gettext import gettext as _
from typing import Annotated

import typer

from smos import exitcodes
from smos.cli import complete, tenant_life
from smos.outcome import Outcome, Speaker, failure
from smos.settings import Settings

app = typer.Typer(help="List, show and change tenants.", no_args_is_help=True)
tenant_life.register(app)
Identifier = Annotated[
    str, typer.Argument(metavar="ID", help="RUT in any usual spelling, or slug.", autocompletion=complete.tenants)
]


@app.command("list")
def list_tenants(
    ctx: typer.Context,
    status: Annotated[
        str | None, typer.Option("--status", help="Only this phase: pending, active, suspended, deleted, failed.")
    ] = None,
    plan: Annotated[str | None, typer.Option("--plan", help="Only this plan.", autocompletion=complete.plans)] = None,
) -> int:
    """List the tenants of the environment.

    Example: smos tenant list --status failed
    """
    from smos import tenants, work

    settings: Settings = ctx.obj
    project = work.project_for(settings)
    rows = [
        row
        for row in tenants.listed(project.specs_dir, settings.env)
        if (status is None or row["phase"] == status) and (plan is None or row["plan"] == plan)
    ]

    def human() -> None:
        for row in rows:
            print(
                f"{row['id']:<12} {row['slug']:<24} {row['phase']:<10} {row['plan']:<14} {row['domain']:<40} {row['name']}"
            )
        print(_("{count} tenants").format(count=len(rows)))

    return Speaker("tenant list", settings.env, settings.as_json).finish(Outcome({"tenants": rows}), human)


@app.command("show")
def show(ctx: typer.Context, identifier: Identifier) -> int:
    """Show a tenant with everything that is known of its services.

    Example: smos tenant show acme
    """
    return _told(ctx.obj, "tenant show", identifier)


@app.command("status")
def status(ctx: typer.Context, identifier: Identifier) -> int:
    """Tell the state of a tenant's services as the last run saw them.

    Example: smos tenant status 76.086.428-5 --json
    """
    return _told(ctx.obj, "tenant status", identifier)


@app.command("apply")
def apply(
    ctx: typer.Context,
    identifiers: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="RUTs or slugs; all tenants by default.")
    ] = None,
) -> int:
    """Bring tenants to what the registry says: all of them, or these.

    Example: smos tenant apply acme 76.086.428-5
    """
    from smos import tenant_work, tenants, work

    settings: Settings = ctx.obj
    project = work.project_for(settings)
    slugs = [tenants.found(each, project.specs_dir, settings.env).slug for each in identifiers or []]
    job = work.Job(
        command="tenant apply",
        playbook="apply_tenants.yml",
        title=f"tenant apply {' '.join(slugs) or 'all'} in {settings.env}",
        variables={},
        result=lambda _played: tenant_work.results_for(slugs, settings),
        limit=",".join(slugs) or None,
    )
    return work.carry_out(job, settings, Speaker("tenant apply", settings.env, settings.as_json), tenant_work.show)


def _told(settings: Settings, command: str, identifier: str) -> int:
    from smos import tenant_work, tenants, work

    project = work.project_for(settings)
    entry = tenants.found(identifier, project.specs_dir, settings.env)
    if entry.merged is None or entry.mistakes:
        rows = [mistake.as_error() for mistake in entry.mistakes]
        raise failure(exitcodes.INVALID, f"tenant {identifier}", rows[0]["why"], rows[0]["where"], rows[0]["next"])
    result = {"tenant": tenants.shown(entry.merged)}
    return Speaker(command, settings.env, settings.as_json).finish(
        Outcome(result), lambda: tenant_work.show_tenant(result["tenant"])
    )
