"""`smos create …`"""

from __future__ import annotations

from typing import Annotated

import typer

from smos.cli import complete
from smos.outcome import Speaker
from smos.settings import Settings

app = typer.Typer(help="Create things.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Create things."""


@app.command("tenant")
def create_tenant(
    ctx: typer.Context,
    rut: Annotated[str, typer.Argument(help="The RUT in any usual spelling.")],
    name: Annotated[str, typer.Argument(help="The name, 3 to 64 characters.")],
    domain: Annotated[str, typer.Argument(help="The domain below the zone; its first label becomes the slug.")],
    plan: Annotated[
        str | None, typer.Option("--plan", help="The plan; the template's by default.", autocompletion=complete.plans)
    ] = None,
    email: Annotated[str | None, typer.Option("--email", help="The owner's e-mail; admin@DOMAIN by default.")] = None,
    phone: Annotated[str | None, typer.Option("--phone", help="The owner's WhatsApp number, as +56912345678.")] = None,
    custom_domain: Annotated[str | None, typer.Option("--custom-domain", help="A domain of the tenant's own.")] = None,
    shopify_store: Annotated[
        str | None, typer.Option("--shopify-store", help="The tenant's store, as acme.myshopify.com.")
    ] = None,
    template: Annotated[str | None, typer.Option("--template", help="The template with the defaults.")] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", help="A service to do without; may be repeated.", autocompletion=complete.services),
    ] = None,
    rollback_on_failure: Annotated[
        bool, typer.Option("--rollback-on-failure", help="Undo what this run created, should it fail.")
    ] = False,
) -> int:
    """Create a tenant in every service, or go on where an earlier run stopped.

    Example: smos create tenant 76.086.428-5 "Acme Corp" acme.smarterbot.cl --plan professional
    """
    from smos import tenant_work, work

    settings: Settings = ctx.obj
    wish = {
        "tenant_rut": rut,
        "tenant_name": name,
        "tenant_domain": domain,
        "tenant_plan": plan,
        "tenant_email": email,
        "tenant_phone": phone,
        "tenant_custom_domain": custom_domain,
        "tenant_shopify_store": shopify_store,
        "tenant_template": template,
        "tenant_without": without,
        "rollback_on_failure": rollback_on_failure or None,
    }
    job = work.Job(
        command="create tenant",
        playbook="create_tenant.yml",
        title=f"create tenant {rut} in {settings.env}",
        variables={key: value for key, value in wish.items() if value is not None},
        result=lambda _played: tenant_work.result_for(rut, settings),
    )
    return work.carry_out(job, settings, Speaker("create tenant", settings.env, settings.as_json), tenant_work.show)
