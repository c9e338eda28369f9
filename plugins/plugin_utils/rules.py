# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Judge tenants and whole spec folders: the one definition of what is valid, besides the schemas.

``judge_…`` gives what is refused, ``warn_…`` what is only worth knowing. All of them return lists and raise nothing
for a bad document, whatever it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils.rut import RutError, check_digit, parse
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import consistency
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.documents import DocumentError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.documents import load as load_document
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.folders import FOLDERS, judge_folders
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import ARGUMENT, Mistake, Place, shown
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.schema import Found, key_of, schema
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import (
    CORE,
    REST,
    Reader,
    Specs,
    located,
    shown_path,
)
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.tenant import lives_in
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.texts import forbidden_in, has_forbidden

_DIGIT_RULE = "The check digit of a RUT follows from its number (modulo 11)."
_TENANT_FILES = "*.yml"
UNIQUE = (
    ("slug",),
    ("domain",),
    ("custom_domain",),
    ("shopify", "store"),
    ("whatsapp", "phone_number_id"),
)
"""Keys of a tenant whose value no other tenant has, whatever its environment; the RUT beside them."""


def judge_tenant(document: Any, specs: Specs, env: str, file: str | Path = ARGUMENT) -> list[Mistake]:
    """Judge one tenant by itself; an empty list means that it is sound.

    :param file: the file that it comes from (a path gives lines), or ``argument``
    """
    found = list(_judged(document, specs, env))
    return _told(found, file, specs) if found else []


def warn_tenant(document: Any, specs: Specs, env: str, file: str | Path = ARGUMENT) -> list[Mistake]:
    """Give what is worth knowing about a tenant that was not refused: a wrong check digit where it is tolerated."""
    if specs.rut_policy(env) == "strict" or _digit_is_right(document):
        return []
    return _told([_digit_mistake(document["spec"]["rut"])], file, specs)


def judge_registry(tenants: Iterable[tuple[str | Path, Any]], specs: Specs, env: str) -> dict[str, list[Mistake]]:
    """Judge all tenants: each by itself, and that no two share a RUT, slug or domain.

    Of tenants that share something, the oldest keeps it and the others get the mistake, so that a copied file blocks
    only itself.

    :param tenants: path and document of each readable file
    :return: mistakes by file, as its path was given; files without mistakes are absent
    """
    found: dict[str, list[Found]] = {}
    sound: list[tuple[str, dict[str, Any]]] = []
    for path, document in tenants:
        name = str(path)
        wrong = list(_judged(document, specs, env))
        if wrong:
            found[name] = wrong
        if _has_identity(document):
            sound.append((name, document))
            if _stem(name) != document["spec"]["rut"]:
                found.setdefault(name, []).append(_file_name_mistake(document["spec"]["rut"]))
    for name, one in _shared(sound, specs):
        found.setdefault(name, []).append(one)
    return {name: _told(wrong, Path(name), specs) for name, wrong in found.items()}


def warn_registry(tenants: Iterable[tuple[str | Path, Any]], specs: Specs, env: str) -> dict[str, list[Mistake]]:
    """Give the warnings of all tenants by file; files without warnings are absent."""
    found = {str(path): warn_tenant(document, specs, env, Path(path)) for path, document in tenants}
    return {name: warnings for name, warnings in found.items() if warnings}


def judge_specs(
    root: Path, env: str = "sandbox", tenants: Iterable[tuple[str | Path, Any]] | None = None
) -> list[Mistake]:
    """Judge a whole spec folder: every file by its schema, the rules between files, and all tenants.

    :param tenants: the tenants where the caller has read them already; by default they are read here
    """
    root = Path(root)
    reader = Reader(root)
    reader.take((*CORE, *REST))
    if not reader.has(CORE):
        return reader.mistakes
    reader.check(consistency.core(reader.documents))
    if reader.has(REST):
        reader.check(consistency.rest(reader.documents))
    reader.mistakes += _missing_folders(reader)
    reader.mistakes += judge_folders(root)
    specs = reader.specs()
    if tenants is None:
        tenants, unreadable = read_tenants(specs)
        reader.mistakes += unreadable
    for _file, wrong in sorted(judge_registry(tenants, specs, env).items()):
        reader.mistakes += wrong
    return reader.mistakes


def read_tenants(specs: Specs) -> tuple[list[tuple[Path, Any]], list[Mistake]]:
    """Read every tenant file, one after the other: path and document of the readable ones, mistakes of the others."""
    documents: list[tuple[Path, Any]] = []
    mistakes: list[Mistake] = []
    for path in sorted(specs.tenants_folder.glob(_TENANT_FILES)):
        try:
            documents.append((path, load_document(path, shown_path(path, specs.root))))
        except DocumentError as error:
            mistakes.append(error.mistake)
    return documents, mistakes


def _judged(document: Any, specs: Specs, env: str) -> Iterator[Found]:
    """Give what is wrong with one tenant. The sound ones, nearly all, pay three cheap questions."""
    spec = document.get("spec") if isinstance(document, dict) else None
    wrong: set[Any] = set()
    if isinstance(spec, dict) and has_forbidden(spec):
        for place, text, rule in forbidden_in(spec, ("spec",)):
            wrong.add(place[1])
            yield _found(place, rule, f"{shown(text)} holds something that is not allowed.", "Take it out.")
    judge = schema("tenant")
    if not judge.accepts(document):
        told = frozenset(wrong)  # one key, one kind of mistake
        for place, mistake in judge.mistakes(document):
            key = place[1] if len(place) > 1 else None
            wrong.add(key)
            follows = not place and told  # a lone surrogate, told above, makes the validator refuse the whole document
            if key not in told and not follows:
                yield place, mistake
    if isinstance(spec, dict):
        for place, mistake in _spec_rules(spec, specs, env, wrong):
            if place[1] not in wrong:
                yield place, mistake


def _spec_rules(spec: dict[str, Any], specs: Specs, env: str, wrong: set[Any]) -> Iterator[Found]:
    """Check the rules that need the registry; keys that the schema refused are left out by ``wrong``."""
    if "plan" in spec and "plan" not in wrong and spec["plan"] not in specs.plans:
        yield _unknown("plan", spec["plan"], "plan", specs.plans)
    if spec.get("template") and "template" not in wrong and spec["template"] not in specs.templates:
        yield _unknown("template", spec["template"], "template", specs.templates)
    if "rut" in spec and not wrong & {"rut", "environments"} and specs.rut_policy(env) == "strict":
        document = {"spec": spec}
        if lives_in(document, env) and not _digit_is_right(document):
            yield _digit_mistake(spec["rut"])
    if "slug" in spec and "slug" not in wrong:
        yield from _slug_rules(spec["slug"], specs)
    if "name" in spec and "name" not in wrong:
        yield from _length("name", spec["name"], specs)
    if not wrong & {"slug", "domain"} and "slug" in spec and "domain" in spec:
        yield from _domain_rules(spec, specs)
    if spec.get("custom_domain") and "custom_domain" not in wrong:
        yield from _custom_domain_rules(spec["custom_domain"], specs)
    for key, what, known in (
        ("services", "service of tenants", specs.tenant_service_ids),
        ("features", "feature flag", specs.features),
        ("environments", "environment", specs.environments),
        ("lifecycle", "environment", specs.environments),
    ):
        if spec.get(key) and key not in wrong:
            yield from _all_known(key, spec[key], what, known)


def _slug_rules(slug: str, specs: Specs) -> Iterator[Found]:
    if slug in specs.reserved_slugs:
        rule = "Slugs of the system are reserved (reserved_slugs of the tenant registry)."
        yield _found(("spec", "slug"), rule, f"{shown(slug)} is reserved.", "Choose another slug.")
    if slug[0].isdigit() or slug.startswith("cl"):
        try:
            parse(slug)
        except RutError:
            pass
        else:
            rule = "A slug cannot be read as a RUT: commands take either."
            yield _found(("spec", "slug"), rule, f"{shown(slug)} reads as a RUT.", "Choose another slug.")
    yield from _length("slug", slug, specs)


def _length(key: str, text: str, specs: Specs) -> Iterator[Found]:
    bounds = specs.registry["naming"][key]
    least, most = bounds["min_length"], bounds["max_length"]
    if not least <= len(text) <= most:
        rule = f"A {key} has {least} to {most} characters."
        yield _found(("spec", key), rule, f"{shown(text)} has {len(text)}.", f"Choose another {key}.")


def _domain_rules(spec: dict[str, Any], specs: Specs) -> Iterator[Found]:
    wanted = f"{spec['slug']}.{specs.zone}"
    if spec["domain"] != wanted:
        inside = spec["domain"].endswith(f".{specs.zone}")
        hint = f"Write {wanted}." if inside else f"Write {wanted}, and {spec['domain']} as custom_domain."
        rule = f"A tenant's domain is <slug>.{specs.zone}."
        yield _found(("spec", "domain"), rule, f"{shown(spec['domain'])} is not {wanted}.", hint)


def _custom_domain_rules(domain: str, specs: Specs) -> Iterator[Found]:
    if domain == specs.zone or domain.endswith(f".{specs.zone}"):
        rule = f"A custom domain lies outside the zone {specs.zone}."
        yield _found(("spec", "custom_domain"), rule, f"{shown(domain)} lies in it.", "Take it out.")


def _all_known(key: str, names: Iterable[str], what: str, known: Iterable[str]) -> Iterator[Found]:
    for position, name in enumerate(names):
        if name not in known:
            place = ("spec", key, position if isinstance(names, list) else name)
            listed = ", ".join(sorted(known))
            yield _found(place, f"A {what} that exists.", f"{shown(name)} is not known.", f"Known: {listed}.")


def _unknown(key: str, name: str, what: str, known: Iterable[str]) -> Found:
    return _found(
        ("spec", key), f"A {what} that exists.", f"{shown(name)} is not known.", f"Known: {', '.join(known)}."
    )


def _digit_is_right(document: Any) -> bool:
    """Say whether the check digit is right; also true where there is no RUT in canonical form to ask about."""
    try:
        number, _dash, digit = document["spec"]["rut"].partition("-")
        return not digit or check_digit(int(number)) == digit
    except (AttributeError, KeyError, TypeError, ValueError):
        return True


def _digit_mistake(rut: str) -> Found:
    number = int(rut.partition("-")[0])
    hint = f"Check the RUT; for {number} the digit is {check_digit(number)}."
    return _found(("spec", "rut"), _DIGIT_RULE, f"{shown(rut)} has a wrong check digit.", hint)


def _has_identity(document: Any) -> bool:
    """Say whether a document has the keys that are compared between tenants."""
    spec = document.get("spec") if isinstance(document, dict) else None
    return isinstance(spec, dict) and all(isinstance(spec.get(key), str) for key in ("rut", "slug", "domain"))


def _shared(tenants: list[tuple[str, dict[str, Any]]], specs: Specs) -> Iterator[tuple[str, Found]]:
    """Give each tenant that has a RUT, slug, domain, store or number of an older one."""
    for key in (("rut",), *UNIQUE):
        owners: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for entry in tenants:
            value = value_at(entry[1]["spec"], key)
            if value and isinstance(value, str):
                owners.setdefault(value, []).append(entry)
        if len(owners) == len(tenants):
            continue
        for value, entries in owners.items():
            if len(entries) > 1:
                yield from _later(key, value, entries, specs)


def value_at(spec: Any, key: tuple[str, ...]) -> Any:
    """Give what a spec says at a key of several steps; None where it says nothing there."""
    for step in key:
        spec = spec.get(step) if isinstance(spec, dict) else None
    return spec


def _later(
    key: tuple[str, ...], value: str, entries: list[tuple[str, dict[str, Any]]], specs: Specs
) -> Iterator[tuple[str, Found]]:
    first, *others = sorted(entries, key=_seniority)
    for name, _document in others:
        message = f"{shown(value)} belongs to {shown_path(Path(first[0]), specs.root)}."
        yield name, _found(("spec", *key), unique_rule(key), message, f"Choose another {key[-1]}.")


def unique_rule(key: tuple[str, ...]) -> str:
    """The rule that no two tenants share the value of a key."""
    return f"No two tenants have the same {'.'.join(key)}."


def _seniority(entry: tuple[str, dict[str, Any]]) -> tuple[bool, str, str]:
    """Order tenants: files named by their RUT first, then by age, then by name."""
    name, document = entry
    created = document["spec"].get("created_at")
    return _stem(name) != document["spec"]["rut"], created if isinstance(created, str) else "~", name


def _stem(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2].removesuffix(".yml")


def _file_name_mistake(rut: str) -> Found:
    return _found(
        ("spec", "rut"), "The file of a tenant is named by its RUT.", f"It is not {rut}.yml.", "Rename the file."
    )


def _missing_folders(reader: Reader) -> list[Mistake]:
    files = reader.documents["index"]["files"]
    named: dict[Place, str] = {("files", kind): kind for kind in FOLDERS}
    named["files", "tenants", "folder"] = files["tenants"]["folder"]
    missing = [
        _found(place, "A named folder exists.", f"{shown(folder)} is no folder.", "Make it, or correct the name.")
        for place, folder in named.items()
        if not (reader.root / folder).is_dir()
    ]
    index = reader.root / "index.yml"
    return located(missing, index, reader.shown(index))


def _told(found: list[Found], file: str | Path, specs: Specs) -> list[Mistake]:
    if isinstance(file, Path):
        return located(found, file, shown_path(file, specs.root))
    return located(found, None, file)


def _found(place: Place, rule: str, message: str, what_next: str) -> Found:
    return place, Mistake("", 0, key_of(place), rule, message, what_next)
