"""`smos tenant update|suspend|resume|delete|restore|export|import`: what changes a tenant."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from smos.cli import complete
from smos.settings import Settings

Identifier = Annotated[
    str, typer.Argument(metavar="ID", help="RUT in any usual spelling, or slug.", autocompletion=complete.tenants)
]


def update(
    ctx: typer.Context,
    identifier: Identifier,
    name: Annotated[str | None, typer.Option("--name", help="The name, 3 to 64 characters.")] = None,
    plan: Annotated[str | None, typer.Option("--plan", help="The plan; refused where more is in use.")] = None,
    template: Annotated[str | None, typer.Option("--template", help="The template with the defaults.")] = None,
    email: Annotated[str | None, typer.Option("--email", help="The owner's e-mail; '' for the default.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="The owner's name.")] = None,
    phone: Annotated[str | None, typer.Option("--phone", help="The owner's WhatsApp number; '' takes it away.")] = None,
    custom_domain: Annotated[
        str | None, typer.Option("--custom-domain", help="A domain of the tenant's own; '' takes it away.")
    ] = None,
    shopify_store: Annotated[
        str | None, typer.Option("--shopify-store", help="Its store, as acme.myshopify.com; '' takes it away.")
    ] = None,
    with_: Annotated[list[str] | None, typer.Option("--with", help="A service to switch on; may be repeated.")] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="A service to switch off; its data stay. May be repeated.")
    ] = None,
) -> int:
    """Change a tenant: only what differs is touched.

    Example: smos tenant update acme --plan professional --custom-domain shop.example.com
    """
    wish = {
        "tenant_name": name,
        "tenant_plan": plan,
        "tenant_template": template,
        "tenant_email": email,
        "tenant_owner_name": owner,
        "tenant_phone": phone,
        "tenant_custom_domain": custom_domain,
        "tenant_shopify_store": shopify_store,
        "tenant_with": with_ or None,
        "tenant_without": without or None,
    }
    return _changed(ctx.obj, "update", identifier, wish)


def suspend(
    ctx: typer.Context,
    identifier: Identifier,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept in the tenant's file.")] = None,
) -> int:
    """Suspend a tenant: logins, bot and workflows off, a suspension page on its site; its data stay.

    Example: smos tenant suspend acme --reason "invoice 1234 is open"
    """
    return _changed(ctx.obj, "suspend", identifier, {"tenant_reason": reason})


def resume(ctx: typer.Context, identifier: Identifier) -> int:
    """Resume a suspended tenant.

    Example: smos tenant resume acme
    """
    return _changed(ctx.obj, "resume", identifier, {})


def delete(
    ctx: typer.Context,
    identifier: Identifier,
    purge: Annotated[bool, typer.Option("--purge", help="For good and at once; asks for the slug.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; kept in the tenant's file.")] = None,
) -> int:
    """Delete a tenant: export it, then take DNS and access away. Its data are kept, `restore` brings it back.

    Example: smos tenant delete acme
    """
    return _changed(ctx.obj, "purge" if purge else "delete", identifier, {"tenant_reason": reason}, "tenant delete")


def restore(ctx: typer.Context, identifier: Identifier) -> int:
    """Bring a deleted tenant back, within the days that tenants/registry.yml says.

    Example: smos tenant restore acme
    """
    return _changed(ctx.obj, "restore", identifier, {})


def export(
    ctx: typer.Context,
    identifier: Identifier,
    folder: Annotated[Path | None, typer.Option("--to", help="Folder of the archive.")] = None,
) -> int:
    """Write one archive of all that a tenant has, with a manifest and checksums. Changes nothing.

    Example: smos tenant export acme --to /srv/exports
    """
    from smos import tenant_life

    return tenant_life.export(identifier, folder, ctx.obj)


def import_(
    ctx: typer.Context,
    archive: Annotated[Path, typer.Argument(help="An archive of `smos tenant export`.", exists=True, dir_okay=False)],
) -> int:
    """Make the tenant of an archive stand again, with its data.

    Example: smos tenant import exports/acme-20261122-152643-ab12.tar.gz
    """
    from smos import tenant_life

    return tenant_life.import_archive(archive, ctx.obj)


def _changed(settings: Settings, job: str, identifier: str, wish: dict[str, Any], command: str | None = None) -> int:
    from smos import tenant_life

    given = {key: value for key, value in wish.items() if value is not None}
    return tenant_life.change(job, identifier, given, command or f"tenant {job}", settings)


def register(app: typer.Typer) -> None:
    """Add the commands to the group `smos tenant`."""
    for name, command in (
        ("update", update),
        ("suspend", suspend),
        ("resume", resume),
        ("delete", delete),
        ("restore", restore),
        ("export", export),
        ("import", import_),
    ):
        app.command(name)(command)
