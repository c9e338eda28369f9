# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""A tenant as the runs see it (template, plan and spec in one), and a new tenant made from arguments."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils.rut import RutError, check_digit, parse
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import ARGUMENT, Mistake, SpecError, shown
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import Specs

SHOWS_ALL = "sandbox"
"""The environment that shows every tenant, wherever it lives: changes are rehearsed there."""

_ARGUMENTS = {
    "owner.email": "email",
    "owner.phone": "phone",
    "owner.name": "owner_name",
    "shopify": "shopify_store",
    "services": "without",
    "slug": "domain",
    "environments": "env",
}
"""Keys of a spec that an argument of another name becomes."""


def lives_in(document: dict[str, Any], env: str) -> bool:
    """Say whether a tenant belongs to an environment: it names it, or names none, or the environment shows all."""
    named = document["spec"].get("environments")
    return not named or env in named or env == SHOWS_ALL


def merged(document: dict[str, Any], specs: Specs, env: str) -> dict[str, Any]:
    """Give a tenant with everything that template and plan add to it.

    The document must have passed ``rules.judge_tenant``. Mappings that a tenant does not change are shared between
    tenants: read the result, do not change it.

    :return: ``id, environment, rut, rut_valid, name, slug, domain, custom_domain, plan, template, industry, region,
        owner {name, email, phone}, shopify {store}, whatsapp {…}, digest (daily | off), wish (active | suspended |
        deleted | purged), wish_since, locale {timezone, currency, language, country}, branding, features, limits (None is
        unlimited), services {<id>: {enabled}} in provisioning order, environments, created_at, phase, status``
    """
    spec = document["spec"]
    plan, template = spec["plan"], spec.get("template") or "default"
    base = specs.cache.get((template, plan)) or _base(specs, template, plan)
    status = (document.get("status") or {}).get(env) or {}
    rut = spec["rut"]
    number, _dash, digit = rut.partition("-")
    owner = spec.get("owner") or {}
    lifecycle = (spec.get("lifecycle") or {}).get(env) or {}
    result: dict[str, Any] = {
        "id": rut,
        "environment": env,
        "rut": rut,
        "rut_valid": check_digit(int(number)) == digit,
        "name": spec["name"],
        "slug": spec["slug"],
        "domain": spec["domain"],
        "custom_domain": spec.get("custom_domain"),
        **base,
        "owner": {
            "name": owner.get("name") or spec["name"],
            "email": owner.get("email") or f"admin@{spec['domain']}",
            "phone": owner.get("phone") or "",
        },
        "shopify": spec.get("shopify") or {},
        "whatsapp": spec.get("whatsapp") or {},
        "wish": lifecycle.get("state", "active"),
        "wish_since": lifecycle.get("since", ""),
        "digest": spec.get("digest") or "off",
        "environments": spec.get("environments") or [],
        "created_at": spec.get("created_at"),
        "phase": status.get("phase", "pending"),
        "status": status,
    }
    _overlay(result, spec)
    return result


def desired(request: Mapping[str, Any], specs: Specs, env: str, now: datetime | str) -> dict[str, Any]:
    """Make the document of a new tenant from arguments, and judge it.

    :param request: ``rut``, ``name``, ``domain``, and where wanted ``plan``, ``email``, ``phone``, ``custom_domain``,
        ``template``, ``shopify_store``, ``without`` (list of service ids)
    :param now: moment of creation
    :return: ``{"spec": {...}}``
    :raises SpecError: with every mistake; each names ``argument`` as file and the argument as key
    """
    from ansible_collections.smartercl.smarteros.plugins.plugin_utils.rules import judge_tenant  # rules import us

    mistakes = _wrong_types(request)
    if mistakes:
        raise SpecError(mistakes)
    spec: dict[str, Any] = {}
    _take_rut(request, spec, mistakes)
    spec["name"] = cleaned("name", str(request.get("name") or ""))
    _take_domain(request, specs, spec, mistakes)
    spec["plan"] = request.get("plan") or specs.registry["default_plan"]
    for key in ("custom_domain", "template"):
        if request.get(key):
            spec[key] = cleaned(key, request[key])
    owner = {key: cleaned(key, request[key]) for key in ("email", "phone") if request.get(key)}
    if owner:
        spec["owner"] = owner
    if request.get("shopify_store"):
        spec["shopify"] = {"store": cleaned("shopify_store", request["shopify_store"])}
    if request.get("without"):
        spec["services"] = {name: {"enabled": False} for name in request["without"]}
    spec["created_at"] = now if isinstance(now, str) else f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    spec["environments"] = [env]
    document = {"spec": spec}
    mistakes += map(as_argument, judge_tenant(document, specs, env))
    if mistakes:
        # One mistake for each argument: a wrong domain would be told again as a wrong slug.
        raise SpecError({one.key: one for one in reversed(mistakes)}.values())
    return document


def _overlay(result: dict[str, Any], spec: dict[str, Any]) -> None:
    """Lay the optional parts of a spec over what template and plan say; most tenants have none of them."""
    for key in ("industry", "region"):
        if spec.get(key) is not None:
            result[key] = spec[key]
    for key in ("locale", "branding"):
        if spec.get(key):
            result[key] = {**result[key], **{name: one for name, one in spec[key].items() if one is not None}}
    for key in ("features", "limits", "services"):
        if spec.get(key):
            result[key] = {**result[key], **spec[key]}


def _base(specs: Specs, template: str, plan: str) -> dict[str, Any]:
    """Make what all tenants of one template and plan have in common, once."""
    defaults, bought = specs.templates[template], specs.plans[plan]
    services = {name: {"enabled": True} for name in specs.tenant_service_ids}
    base = {
        "plan": plan,
        "template": template,
        "industry": defaults["industry"],
        "region": defaults["region"],
        "locale": defaults["locale"],
        "branding": defaults.get("branding") or {},
        "features": {**(defaults.get("features") or {}), **bought["features"]},
        "limits": bought["limits"],
        "services": {**services, **(defaults.get("services") or {}), **(bought.get("services") or {})},
    }
    specs.cache[(template, plan)] = base
    return base


def _take_rut(request: Mapping[str, Any], spec: dict[str, Any], mistakes: list[Mistake]) -> None:
    try:
        spec["rut"] = parse(request.get("rut")).canonical
    except RutError as error:
        rule = "A RUT is the Chilean tax id with its check digit."
        mistakes.append(Mistake(ARGUMENT, 0, "rut", rule, str(error), "Write it as 12345678-5."))


def _take_domain(request: Mapping[str, Any], specs: Specs, spec: dict[str, Any], mistakes: list[Mistake]) -> None:
    """Take the slug from the domain: it is the first label of ``<slug>.<zone>``."""
    domain = (request.get("domain") or "").strip(" ").rstrip(".").lower()  # not as DNS writes ñ: a slug has a-z only
    slug, dot, zone = domain.partition(".")
    if dot and zone == specs.zone:
        spec["slug"], spec["domain"] = slug, domain
        return
    rule = f"A tenant's domain is <slug>.{specs.zone}."
    hint = f"Give <slug>.{specs.zone} as the domain"
    hint += (
        f", and {domain} as its custom domain (--custom-domain)." if dot and not domain.endswith(specs.zone) else "."
    )
    mistakes.append(Mistake(ARGUMENT, 0, "domain", rule, f"{shown(domain)} is not in the zone {specs.zone}.", hint))


def cleaned(key: str, text: str) -> str:
    """An argument as a spec keeps it: hosts in lower case, a telephone number without the spaces that people put in."""
    if key in ("custom_domain", "shopify_store"):
        return _host_name(text)
    if key == "email":
        return _mailbox(text)
    if key == "phone":
        plain = "".join(char for char in text if char not in " ()-.")
        return plain if plain.removeprefix("+").isdigit() else text  # the rules refuse it, and show it as it was typed
    if key in ("name", "owner_name"):
        return unicodedata.normalize("NFC", text).strip(" ")
    return text


def _host_name(text: str) -> str:
    """Write a host name as it is stored: lower case, no final dot, letters outside ASCII as DNS has them (ñ)."""
    plain = text.strip(" ").rstrip(".").lower()
    if plain.isascii():
        return plain
    try:
        return plain.encode("idna").decode("ascii")
    except UnicodeError:
        return plain  # the rules refuse it, and show it as it was typed


def _mailbox(text: str) -> str:
    """Write the host of an e-mail address in lower case; what stands before it may be case-sensitive."""
    name, at, host = text.strip(" ").rpartition("@")
    return f"{name}{at}{_host_name(host)}"


def _wrong_types(request: Mapping[str, Any]) -> list[Mistake]:
    """Refuse arguments that are no texts, before anything works with them."""
    known = ("rut", "name", "domain", "plan", "email", "phone", "custom_domain", "template", "shopify_store")
    wrong = [key for key in known if not isinstance(request.get(key), (str, type(None)))]
    without = request.get("without") or []
    if not isinstance(without, (list, tuple)) or not all(isinstance(name, str) for name in without):
        wrong.append("without")
    wanted = {"without": "a list of services"}
    return [
        Mistake(
            ARGUMENT,
            0,
            key,
            f"The argument is {wanted.get(key, 'text')}.",
            f"{shown(request[key])} is not.",
            "Put it in quotes.",
        )
        for key in wrong
    ]


def as_argument(mistake: Mistake) -> Mistake:
    """The mistake with the name of the argument instead of the key that it became."""
    key = mistake.key.removeprefix("spec.")
    head, inner = key.partition("[")[0].split(".")[0], ".".join(key.split(".")[:2])
    return replace(mistake, file=ARGUMENT, line=0, key=_ARGUMENTS.get(inner) or _ARGUMENTS.get(head, key))
