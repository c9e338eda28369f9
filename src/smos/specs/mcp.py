# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""MCP: who may use the server of SmarterOS and for what, and which servers of vendors are used beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from smos.specs.base import Day, Identifier, Line, Strict, text

Scope = Literal["read", "logs", "write", "backup"]
VariableName = Annotated[
    str, text("[A-Z][A-Z0-9_]{2,79}", "A variable of the environment is written in capitals, as SMOS_MCP_TOKEN.")
]
Hash = Annotated[str, text("[0-9a-f]{64}", "A SHA-256 has 64 of 0-9 and a-f.")]
Https = Annotated[
    str, text(r"https://[a-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9_./{}-]*)?", "An address starts with https://.")
]
Package = Annotated[
    str, text(r"(?:@[a-z0-9-]+/)?[a-z0-9][a-z0-9._-]*@[0-9][A-Za-z0-9.-]*", "A package is pinned: name@1.2.3.")
]


class ClientToken(Strict):
    """Where the bearer token of a client comes from. Never the token itself; exactly one of the two."""

    variable: VariableName | None = Field(None, description="The variable of the environment that holds the token.")
    sha256: Hash | None = Field(None, description="The SHA-256 of the token.")


class Client(Strict):
    """An agent, or a person's program, that speaks to `smos mcp`."""

    description: Line
    scopes: Annotated[list[Scope], Field(min_length=1)]
    environments: Annotated[list[Identifier], Field(min_length=1)]
    token: ClientToken | None = Field(None, description="For HTTP; without one, the client is for stdio only.")


class McpClients(Strict):
    """The clients of `smos mcp`."""

    default: Identifier = Field(description="Who a client on stdio is that gives no name; may only read.")
    clients: dict[Identifier, Client]


class McpServer(Strict):
    """An MCP server of a vendor. One with an address is asked over HTTP, one with a package is started here."""

    title: Line
    vendor: Line
    url: Https | None = None
    package: Package | None = Field(None, description="npm package of a server that is started here.")
    arguments: list[Line] = Field(default_factory=list)
    variables: dict[VariableName, Line] = Field(
        default_factory=dict, description="Variables of the environment that it reads, and what they are."
    )
    sign_in: Literal["none", "oauth", "token"]
    use: Line = Field(description="What it is for beside SmarterOS.")
    caution: Line
    source: Https
    date: Day


class McpServers(Strict):
    """The servers that agents use beside `smos mcp`."""

    servers: dict[Identifier, McpServer]
