# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A tenant: its own file, the template of all tenants, and what the registry keeps in common."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from smos.specs.base import (
    Colour,
    Count,
    Domain,
    Email,
    Identifier,
    Line,
    Moment,
    Name,
    Region,
    RutText,
    Seen,
    Slug,
    Strict,
    Text,
    text,
)
from smos.specs.cost import Priced, Usd

Timezone = Annotated[
    str, text("[A-Z][A-Za-z_]+(?:/[A-Z][A-Za-z_-]+){0,2}", "A time zone is named as America/Santiago.")
]
Currency = Annotated[str, text("[A-Z]{3}", "A currency is its ISO 4217 code, as CLP.")]
Language = Annotated[str, text("[a-z]{2}(?:_[A-Z]{2})?", "A language is written as es or es_CL.")]
Country = Annotated[str, text("[A-Z]{2}", "A country is its ISO 3166 code, as CL.")]
Phone = Annotated[str, text(r"\+[1-9][0-9]{7,14}", "A telephone number is written as +56912345678.")]
Store = Annotated[
    str, text(r"[a-z0-9][a-z0-9-]{0,62}\.myshopify\.com", "A store is its host name, as acme.myshopify.com.")
]
MetaId = Annotated[str, text("[0-9]{5,20}", "An id of Meta has digits only.")]
WebAddress = Annotated[str, text(r"https://[A-Za-z0-9./_~%-]{3,300}", "An address starts with https://.")]
Phase = Literal["pending", "active", "suspended", "deleted", "failed"]
ServiceState = Literal["ready", "disabled", "pending", "failed", "suspended", "absent"]


class Limits(Strict):
    """How much a tenant may use; null is unlimited."""

    users: Count | None = Field(description="People with a login.")
    bots: Count | None = Field(description="Chat bots.")
    workflows: Count | None = Field(description="Active workflows.")
    storage_gb: Count | None = Field(description="Storage in gigabytes.")


class OwnLimits(Strict):
    """Limits agreed with one tenant; what is absent comes from the plan, null is unlimited."""

    users: Count | None = None
    bots: Count | None = None
    workflows: Count | None = None
    storage_gb: Count | None = None


class Owner(Strict):
    """Who answers for the tenant."""

    name: Name | None = Field(None, description="A person; default: the name of the tenant.")
    email: Email | None = Field(None, description="Default: admin@<domain>.")
    phone: Phone | None = Field(None, description="Where WhatsApp messages go; without it they go by e-mail.")


class ShopifyStore(Strict):
    """The tenant's store; stores are made by hand, Shopify has no way to make one."""

    store: Store = Field(description="Its host name at Shopify, not the custom domain.")


class WhatsAppNumber(Strict):
    """The tenant's own WhatsApp number, for its inbox in Chatwoot."""

    phone_number: Phone
    phone_number_id: MetaId = Field(description="Meta's id of the number.")
    business_account_id: MetaId = Field(description="Meta's id of the WhatsApp Business Account.")


class Lifecycle(Strict):
    """What became of a tenant in one environment; absent while it is active."""

    state: Literal["suspended", "deleted", "purged"]
    since: Moment
    reason: Line | None = None


class ServiceWish(Strict):
    """Whether the tenant has a service."""

    enabled: bool


class Locale(Strict):
    """Time, money and language of a tenant; what is absent comes from the template."""

    timezone: Timezone | None = None
    currency: Currency | None = None
    language: Language | None = None
    country: Country | None = None


class Branding(Strict):
    """How the tenant's pages look."""

    primary_color: Colour | None = None
    secondary_color: Colour | None = None
    logo_url: WebAddress | None = None


class TenantSpec(Strict):
    """What the operator wants. People edit this part."""

    rut: RutText = Field(description="Chilean tax id; also the name of the file.")
    name: Name = Field(description="Name of the company.")
    slug: Slug = Field(description="Short name: host name in the inventory, first label of the domain.")
    domain: Domain = Field(description="<slug>.<zone>")
    plan: Identifier = Field(description="A plan of tenants/registry.yml.")
    custom_domain: Domain | None = Field(None, description="A domain of the tenant's own, outside the zone.")
    template: Identifier | None = Field(None, description="A template of tenants/template.yml; default: default.")
    industry: Identifier | None = None
    region: Region | None = Field(None, description="Where the tenant is served from.")
    owner: Owner | None = None
    services: dict[Identifier, ServiceWish] | None = Field(None, description="Services to leave out or to add.")
    shopify: ShopifyStore | None = None
    whatsapp: WhatsAppNumber | None = None
    features: dict[Identifier, bool] | None = Field(None, description="Feature flags that differ from the plan.")
    limits: OwnLimits | None = Field(None, description="Limits that differ from the plan.")
    locale: Locale | None = None
    branding: Branding | None = None
    digest: Literal["daily", "off"] | None = Field(
        None, description="Whether the owner gets a message about the shop every day; default: off."
    )
    notes: Line | None = Field(None, description="For people; nothing reads it.")
    created_at: Moment | None = None
    environments: list[Identifier] | None = Field(
        None,
        description="Environments that the tenant lives in; absent or empty means every one.",
        json_schema_extra={"uniqueItems": True},
    )
    lifecycle: dict[Identifier, Lifecycle] | None = Field(
        None,
        description="By environment: suspended, deleted or purged there. Written by `smos tenant suspend` and the like.",
    )


class ServiceStatus(Seen):
    """What the last run saw of one service."""

    state: ServiceState
    ref: dict[str, Any] | None = Field(None, description="Ids at the provider.")
    url: str | None = None
    message: str | None = None
    at: Moment | None = None
    created_by: str | None = Field(None, description="The run that created it.")
    usage: dict[Identifier, int] | None = Field(None, description="How much of the plan's limits was in use.")


class Export(Seen):
    """An archive of all that a tenant had."""

    file: str = Field(description="Path of the archive on the machine that ran the export.")
    sha256: str
    bytes: int
    at: Moment


class StatusBlock(Seen):
    """What the last run in one environment saw."""

    phase: Phase
    run: str | None = Field(None, description="The run that last changed this block.")
    updated_at: Moment | None = None
    reason: str | None = Field(None, description="Why the phase is failed.")
    applied: str | None = Field(None, description="Fingerprint of the wish that the last run carried out.")
    export: Export | None = Field(None, description="The archive that was written before the tenant was deleted.")
    services: dict[Identifier, ServiceStatus] | None = None


class TenantFile(Strict):
    """One tenant: the wish (spec) and, apart from it, what runs have seen (status, one block per environment)."""

    spec: TenantSpec
    status: dict[Identifier, StatusBlock] | None = Field(None, description="Written by runs only.")


class Plan(Strict):
    """What a tenant buys."""

    title: Line
    limits: Limits
    features: dict[Identifier, bool] = Field(description="Feature flags of the plan; each plan names all of them.")
    services: dict[Identifier, ServiceWish] | None = Field(
        None, description="Services that the plan leaves out or adds."
    )
    trial_days: Count = Field(description="Days that may be tried free of charge.")
    monthly_usd: Usd | None = Field(None, description="What the owner of a tenant pays; absent: not known.")
    priced: Priced | None = Field(None, description="Where the figure is from.")


class Bounds(Strict):
    """Fewest and most characters."""

    min_length: Annotated[int, Field(ge=3, le=64)]
    max_length: Annotated[int, Field(ge=3, le=64)]


class SlugBounds(Strict):
    """Fewest and most characters of a slug."""

    min_length: Annotated[int, Field(ge=3, le=32)]
    max_length: Annotated[int, Field(ge=3, le=32)]


class Naming(Strict):
    """Naming rules. The form of a name and of a slug is in the schema of a tenant; here it can be made narrower."""

    name: Bounds
    slug: SlugBounds


class Retention(Strict):
    """How long the data of a tenant that left are kept."""

    restorable_days: Count = Field(description="Days in which a deleted tenant can be brought back.")
    purge_days: Count = Field(description="Days after which its data are gone for good.")


class TenantCost(Strict):
    """What a tenant costs the operator, besides what the catalogue says of services."""

    monthly_usd: Usd
    what: Line | None = Field(None, description="What is paid for.")
    priced: Priced | None = Field(None, description="Where the figure is from.")


class TenantRegistry(Strict):
    """What all tenants have in common."""

    zone: Domain = Field(description="DNS zone that tenants' domains lie in.")
    default_plan: Identifier
    plans: dict[Identifier, Plan]
    naming: Naming
    reserved_slugs: list[Identifier] = Field(json_schema_extra={"uniqueItems": True})
    retention: Retention
    cost: TenantCost


class Template(Strict):
    """Defaults of a tenant. A template other than ``default`` says only what differs from it."""

    title: Line
    description: Text | None = None
    industry: Identifier | None = None
    region: Region | None = None
    locale: Locale | None = None
    branding: Branding | None = None
    features: dict[Identifier, bool] | None = None
    services: dict[Identifier, ServiceWish] | None = None


class WholeLocale(Locale):
    """Time, money and language, all of them."""

    timezone: Timezone
    currency: Currency
    language: Language
    country: Country


class DefaultTemplate(Template):
    """The template that every tenant starts from: nothing that others lean on is missing in it."""

    industry: Identifier
    region: Region
    locale: WholeLocale


class TemplateSet(Strict):
    """The templates by name."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Template]

    default: DefaultTemplate


class Templates(Strict):
    """The defaults of tenants."""

    templates: TemplateSet
