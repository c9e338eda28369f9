"""Who speaks to the server, and what for: clients with scopes, from specs/mcp/clients.yml."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import consistency_mcp, documents, schema
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.documents import DocumentError
from smos import exitcodes
from smos.outcome import failure

FILE = "mcp/clients.yml"
SHORTEST_TOKEN = 24  # characters; `openssl rand -base64 32` gives 44


@dataclass(frozen=True)
class Client:
    """One client. ``hash`` is the SHA-256 of its token, empty where it has none."""

    name: str
    scopes: frozenset[str]
    environments: frozenset[str]
    hash: str = ""


@dataclass(frozen=True)
class Clients:
    """All clients by name."""

    default: str
    by_name: Mapping[str, Client]
    variables: frozenset[str] = frozenset()
    """Variables that hold tokens: they are kept from the commands that the server runs."""

    def named(self, name: str | None, env: str) -> Client:
        """The client of a process on stdio. Raises Failure (2, or 4 where it has no business in the environment)."""
        client = self.by_name.get(name or self.default)
        if client is None:
            following = f"Known: {', '.join(self.by_name)}"
            raise failure(exitcodes.INVALID, f"client {name}", "there is no such client", f"specs/{FILE}", following)
        if env not in client.environments:
            why = f"it may not be used in {env}"
            following = f"Give another --env, or add {env} to its environments"
            raise failure(exitcodes.REFUSED, f"client {client.name}", why, f"specs/{FILE}", following)
        return client

    def bearing(self, token: str) -> Client | None:
        """The client whose token this is. All are compared, each in constant time."""
        given = digest(token)
        found = [each for each in self.by_name.values() if each.hash and hmac.compare_digest(each.hash, given)]
        return found[0] if found else None


def digest(token: str) -> str:
    """The SHA-256 of a token, as the specs may hold it."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def load(specs: Path, environ: Mapping[str, str]) -> Clients:
    """The clients of these specs, with the tokens that are in the environment. Raises Failure (2)."""
    path = specs / FILE
    try:
        document = documents.load(path, f"specs/{FILE}")
        known = documents.load(specs / "environments.yml", "specs/environments.yml")
    except DocumentError as exc:
        raise failure(exitcodes.INVALID, "MCP clients", str(exc), str(path), "See `smos validate`") from None
    wrong = not schema.schema("mcp_clients").accepts(document)
    if wrong or any(
        consistency_mcp.broken({"mcp_clients": document, "mcp_servers": {"servers": {}}, "environments": known})
    ):
        raise failure(exitcodes.INVALID, "MCP clients", "the file is not sound", str(path), "See `smos validate`")
    rows: dict[str, dict[str, Any]] = document["clients"]
    tokens = {name: row.get("token") or {} for name, row in rows.items()}
    clients = {
        name: Client(name, frozenset(row["scopes"]), frozenset(row["environments"]), _hash(name, tokens[name], environ))
        for name, row in rows.items()
    }
    variables = frozenset(str(token["variable"]) for token in tokens.values() if token.get("variable"))
    return Clients(str(document["default"]), clients, variables)


def _hash(name: str, token: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    if token.get("sha256"):
        return str(token["sha256"])
    variable = token.get("variable")
    value = environ.get(str(variable), "") if variable else ""
    if value and len(value) < SHORTEST_TOKEN:
        why = f"the token in {variable} is shorter than {SHORTEST_TOKEN} characters"
        raise failure(exitcodes.INVALID, f"client {name}", why, str(variable), "Take `openssl rand -base64 32`")
    return digest(value) if value else ""
