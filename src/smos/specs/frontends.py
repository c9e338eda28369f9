# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The frontends: which project serves each, from which repository, with which variables."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from smos.specs.base import Identifier, Line, Strict, text
from smos.specs.secret_names import SecretName
from smos.specs.services import VariableName

ProjectName = Annotated[
    str,
    text(
        "[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?",
        "A project has 1 to 100 of a-z, 0-9, ., _ and -; it begins and ends with a letter or digit.",
    ),
]
Repository = Annotated[
    str,
    text(
        r"(?:github|gitlab|bitbucket):[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}",
        "A repository is written as github:owner/name, gitlab:owner/name or bitbucket:owner/name.",
    ),
]
GitRef = Annotated[
    str,
    text(
        r"(?:[0-9a-f]{40}|(?:[A-Za-z0-9_.-]{1,60}[/@-])?v?[0-9]+(?:\.[0-9]+){1,3}[0-9A-Za-z.+-]{0,60})",
        "What a release names does not move: a tag with a version (v0.2.0, app-v0.2.0) or a commit (40 digits).",
    ),
]
EnvironmentKey = Annotated[
    str, text("[A-Za-z_][A-Za-z0-9_]{0,255}", "A variable has letters, digits and _, and no digit in front.")
]
Target = Literal["production", "preview", "development"]


class FrontendVariable(Strict):
    """A variable of a project. Exactly one of ``value``, ``variable`` and ``secret`` says where its value is."""

    value: Line | None = Field(None, description="The value itself; nothing that is secret.")
    variable: VariableName | None = Field(None, description="A variable of the inventory that has the value.")
    secret: SecretName | None = Field(None, description="A secret of secrets.yml that is the value.")
    public: bool = Field(False, description="Readable on Vercel; else nobody can ever read it back there.")
    targets: list[Target] = Field(
        default=["production", "preview"], min_length=1, json_schema_extra={"uniqueItems": True}
    )
    optional: bool = Field(False, description="Left out where there is no value; else a deploy is refused.")


class Frontend(Strict):
    """One frontend; its host name and its health check are in the service catalogue."""

    project: ProjectName
    repository: Repository
    adopt: bool = Field(
        False, description="A project of this name that somebody made may be taken over; else it is refused."
    )
    framework: Identifier | None = Field(None, description="Vercel's name of it; absent: Vercel detects it.")
    root_directory: Line | None = Field(None, description="Folder of the repository in which it lies.")
    build_command: Line | None = None
    install_command: Line | None = None
    output_directory: Line | None = None
    environment: dict[EnvironmentKey, FrontendVariable] = Field(default={})


class FrontendRegistry(Strict):
    """All frontends, and how long their builds may take."""

    provider: Literal["vercel"]
    build_timeout_s: Annotated[int, Field(ge=10, le=7200)]
    health_timeout_s: Annotated[int, Field(ge=1, le=900)]
    frontends: dict[Identifier, Frontend]
