# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""From a service's own part of a stack file to the whole of it: what all services share is added here, by pure functions.

A role's ``templates/stack.yml.j2`` says only what is particular to its service, in the shape of Compose, and a few keys of
ours: ``x-routes``, ``x-secret-files``, ``x-secret-env``, ``x-config-files``, ``x-also``, ``x-tokens`` and ``x-bootstrap``. The
result has no key of ours and no secret: secrets and configs are Swarm objects with a hash of their content in the name, so
that a changed one is a changed service, and a rollback brings the former one back.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils.stack_state import (
    CONFIG_LABEL,
    OWNER,
    OWNER_LABEL,
    ROUTE_LABEL,
    SERVICE_LABEL,
)

COMPOSE_VERSION = "3.8"  # what `docker stack deploy` of the oldest supported Engine understands
HASH_LENGTH = 12  # hexadecimal digits of a content hash in a name
SECRETS_DIR = "/run/secrets"
_SIZE = re.compile(r"(\d+)\s*([MG])i?B?\Z", re.IGNORECASE)
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_OURS = ("x-routes", "x-secret-files", "x-secret-env", "x-config-files", "x-networks-only")
# Sources the file and becomes the program; `$$` because Compose replaces what follows a single `$`
_WITH_ENV = 'set -a; . {file}; set +a; exec "$$@"'

Document = dict[str, t.Any]


class StackError(Exception):
    """A stack template that is no good: a mistake of the role, or of a variable that it was given."""


@dataclass(frozen=True)
class Setting:
    """What all stacks of an installation have in common."""

    zone: str
    network: str


@dataclass(frozen=True)
class Stack:
    """A service's stack, whole. ``secrets`` and ``configs`` are contents by the name of the Swarm object."""

    service: str
    compose: Document
    config: str
    secrets: t.Mapping[str, str] = field(repr=False)
    configs: t.Mapping[str, str]
    images: t.Mapping[str, str]
    memory: t.Mapping[str, tuple[int, int]]
    """Reservation and limit of each container in MiB."""
    hosts: tuple[str, ...]
    bootstrap: bool
    """Whether it must not have a route before it has its administrator."""
    tokens: t.Mapping[str, str] = field(default_factory=dict, repr=False)
    """Tokens of providers that it works with, by the provider's id in the catalogue; empty where one is lacking."""


def complete(service: str, document: t.Any, setting: Setting) -> Stack:
    """The whole stack of a service. Raises StackError, which names the key."""
    own = _checked(service, document)
    objects = _Objects(service)
    containers = {name: _container(name, dict(each), setting, objects) for name, each in own["services"].items()}
    compose: Document = {
        "version": COMPOSE_VERSION,
        "services": containers,
        "networks": {
            "default": {"name": setting.network, "external": True},
            **{name: {"name": name, "external": True, **(more or {})} for name, more in _networks(own).items()},
        },
    }
    if own.get("volumes"):
        compose["volumes"] = {
            name: {"name": name, "labels": _marks(service), **(more or {})} for name, more in own["volumes"].items()
        }
    for kind, names in (("secrets", objects.secrets), ("configs", objects.configs)):
        if names:
            compose[kind] = {name: {"name": name, "external": True} for name in sorted(names)}
    config = _hash([compose, own.get("x-also")])
    for each in containers.values():
        each["deploy"]["labels"][CONFIG_LABEL] = config
    return Stack(
        service=service,
        compose=compose,
        config=config,
        secrets=objects.secrets,
        configs=objects.configs,
        images={name: str(each["image"]) for name, each in containers.items()},
        memory={name: _memory(service, name, each) for name, each in containers.items()},
        hosts=tuple(dict.fromkeys(_hosts(own, setting.zone))),
        bootstrap=bool(own.get("x-bootstrap")),
        tokens={provider: str(value or "") for provider, value in (own.get("x-tokens") or {}).items()},
    )


def _checked(service: str, document: t.Any) -> Document:
    if not isinstance(document, dict) or not isinstance(document.get("services"), dict) or not document["services"]:
        raise StackError(f"{service}: the stack template gives no services")
    for name, each in document["services"].items():
        if not isinstance(each, dict) or not each.get("image"):
            raise StackError(f"{service}: services.{name} has no image")
    return document


class _Objects:
    """The Swarm secrets and configs of a stack: a name that holds the content's hash for each content."""

    def __init__(self, service: str) -> None:
        self.secrets: dict[str, str] = {}
        self.configs: dict[str, str] = {}
        self._service = service

    def secret(self, key: str, value: str) -> str:
        return self._named(self.secrets, key, value)

    def config(self, key: str, value: str) -> str:
        return self._named(self.configs, key, value)

    def _named(self, kept: dict[str, str], key: str, value: str) -> str:
        mark = _hash([self._service, key, value])
        stem = _UNSAFE.sub("-", f"{self._service}_{key}".replace("/", "-"))[: 63 - HASH_LENGTH].strip("-.")
        kept[f"{stem}_{mark}"] = value
        return f"{stem}_{mark}"


def _container(name: str, own: Document, setting: Setting, objects: _Objects) -> Document:
    service = objects._service
    files = {key: _file(each) for key, each in (own.get("x-secret-files") or {}).items()}
    secret_env = own.get("x-secret-env") or {}
    if secret_env:
        files[f"{name}.env"] = {"value": _env_file(secret_env)}
        own["entrypoint"] = _wrapped(service, name, own)
    whole = {key: value for key, value in own.items() if key not in _OURS}
    secrets = [_mount(objects.secret(key, str(each["value"])), key, each) for key, each in files.items()]
    configs = [
        _mount(objects.config(target, str(each["content"])), target, each)
        for target, each in (own.get("x-config-files") or {}).items()
    ]
    return {
        "init": True,
        **whole,
        **({"secrets": secrets} if secrets else {}),
        **({"configs": configs} if configs else {}),
        "networks": {**({} if own.get("x-networks-only") else {"default": {}}), **_named(own.get("networks"))},
        "deploy": _deploy(name, own, service, setting),
    }


def _file(given: t.Any) -> Document:
    return dict(given) if isinstance(given, dict) else {"value": given}


def _mount(source: str, target: str, given: Document) -> Document:
    more: Document = {key: str(given[key]) for key in ("uid", "gid") if key in given}
    mode = int(str(given.get("mode", "0444")), 8)
    return {"source": source, "target": str(given.get("target", target)), "mode": mode, **more}


def _env_file(values: t.Mapping[str, t.Any]) -> str:
    """Lines that a shell reads as they are."""
    lines = []
    for name, value in values.items():
        quoted = str(value).replace("'", "'\\''")
        lines.append(f"{name}='{quoted}'\n")
    return "".join(lines)


def _wrapped(service: str, name: str, own: Document) -> list[str]:
    entrypoint = own.get("entrypoint")
    if not isinstance(entrypoint, list) or not isinstance(own.get("command", []), list):
        raise StackError(
            f"{service}: services.{name} has x-secret-env, so it must give entrypoint and command as lists"
        )
    shell = _WITH_ENV.format(file=f"{SECRETS_DIR}/{name}.env")
    return ["/bin/sh", "-c", shell, "sh", *map(str, entrypoint)]


def _deploy(name: str, own: Document, service: str, setting: Setting) -> Document:
    given = dict(own.get("deploy") or {})
    order = (given.get("update_config") or {}).get("order", "stop-first")
    labels = dict(given.get("labels") or {})
    return {
        "replicas": 1,
        **given,
        "endpoint_mode": "dnsrr",  # Traefik balances over the containers itself, and no IPVS is needed
        "update_config": {
            "parallelism": 1,
            "monitor": "5s",
            **(given.get("update_config") or {}),
            "order": order,
            "failure_action": "rollback",
        },
        "rollback_config": {"parallelism": 1, "monitor": "5s", "order": order, "failure_action": "pause"},
        "restart_policy": {"condition": "any", "delay": "3s", **(given.get("restart_policy") or {})},
        "labels": {**labels, **_marks(service), **_route_labels(name, own.get("x-routes") or [], setting)},
    }


def _marks(service: str) -> dict[str, str]:
    return {OWNER_LABEL: OWNER, SERVICE_LABEL: service}


def _route_labels(name: str, routes: t.Sequence[Document], setting: Setting) -> dict[str, str]:
    if not routes:
        return {ROUTE_LABEL: "false"}
    labels = {ROUTE_LABEL: "true", "traefik.swarm.network": setting.network}
    for number, route in enumerate(routes):
        router = name if number == 0 else f"{name}-{number}"
        at = f"traefik.http.routers.{router}"
        # Compose replaces what follows a single one
        labels[f"{at}.rule"] = _rule(route, setting.zone).replace("$", "$$")
        labels[f"{at}.entrypoints"] = "websecure"  # it brings TLS, its certificates and what all routes share
        labels[f"{at}.service"] = router
        labels[f"traefik.http.services.{router}.loadbalancer.server.port"] = str(route["port"])
        if route.get("priority"):
            labels[f"{at}.priority"] = str(route["priority"])
        if route.get("middlewares"):
            labels[f"{at}.middlewares"] = ",".join(route["middlewares"])
    return labels


def _rule(route: Document, zone: str) -> str:
    rule = f"Host(`{route['host']}.{zone}`)"
    paths = [f"PathPrefix(`{path}`)" for path in route.get("path_prefixes") or ()]
    paths += [f"PathRegexp(`{path}`)" for path in route.get("path_patterns") or ()]
    if not paths:
        return rule
    return f"{rule} && ({' || '.join(paths)})"


def _hosts(document: Document, zone: str) -> t.Iterator[str]:
    for each in document["services"].values():
        for route in each.get("x-routes") or ():
            yield f"{route['host']}.{zone}"


def _networks(document: Document) -> Document:
    named: Document = {}
    for each in document["services"].values():
        named.update(dict.fromkeys(each.get("networks") or ()))
    named.pop("default", None)
    return {**named, **{name: more for name, more in (document.get("networks") or {}).items() if name in named}}


def _named(networks: t.Any) -> Document:
    """Networks by name: Compose takes a list as well."""
    return dict(networks or {}) if not isinstance(networks, list) else {name: {} for name in networks}


def _memory(service: str, name: str, container: Document) -> tuple[int, int]:
    resources = container["deploy"].get("resources") or {}
    found = []
    for kind in ("reservations", "limits"):
        text = str((resources.get(kind) or {}).get("memory", ""))
        size = _SIZE.match(text)
        if not size:
            raise StackError(
                f"{service}: services.{name}.deploy.resources.{kind}.memory is {text!r}, not a size such as 512M"
            )
        found.append(int(size[1]) * (1024 if size[2].upper() == "G" else 1))
    if found[0] > found[1]:
        raise StackError(
            f"{service}: services.{name} reserves more memory ({found[0]} MiB) than its limit ({found[1]} MiB)"
        )
    return found[0], found[1]


def _hash(content: t.Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:HASH_LENGTH]
