# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Releases: what they are made of, what is known against them, and what is to be minded on the way between two."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from smos.specs.base import Day, Identifier, Line, Strict, Text, Version, text
from smos.specs.frontends import GitRef

_NUMBERS = r"[0-9]+(?:\.[0-9]+){0,3}"
_BOUND = rf"(?:<=?|>=?){_NUMBERS}"

Digest = Annotated[str, text("sha256:[0-9a-f]{64}", "A digest is sha256: and 64 hexadecimal digits.")]
Image = Annotated[
    str,
    text(r"[a-z0-9][a-z0-9._/:-]{0,180}:[A-Za-z0-9_][A-Za-z0-9_.-]{0,60}", "An image is written as name:tag."),
]
VersionRange = Annotated[
    str, text(rf"(?:\*|{_BOUND}(?:, ?{_BOUND})*)", 'A range of versions is "*", or bounds such as ">=4.0, <5".')
]
AdvisoryId = Annotated[
    str,
    text(
        "(?:CVE-[0-9]{4}-[0-9]{4,7}|GHSA(?:-[0-9a-z]{4}){3}|EOL)",
        "An advisory is named by its CVE or GHSA id; EOL says that nobody mends it any more.",
    ),
]


class Component(Strict):
    """A part that a release is made of: one image."""

    version: Version
    image: Image
    digest: Digest | None = Field(None, description="What the tag stood for when `smos pin` asked the registry.")
    service: Identifier | None = Field(None, description="The service that runs it; else the one of its own name.")
    platform: Line | None = Field(None, description="Where the image does not exist for every processor.")
    note: Line | None = None


class Advisory(Strict):
    """What is known against a component of a release."""

    component: Identifier
    id: AdvisoryId
    what: Line


class Upgrade(Strict):
    """What is to be minded when a component goes from one version to another."""

    component: Identifier
    before: VersionRange = Field("*", alias="from", description="Versions that it comes from.")
    after: VersionRange = Field("*", alias="to", description="Versions that it goes to.")
    needs_backup: bool = Field(False, description="A deploy refuses it without a recent backup.")
    one_way: bool = Field(False, description="The way back is the restore of a backup.")
    refuse_downgrade: bool = Field(False, description="A deploy refuses the way back.")
    minimum_previous: Version | None = Field(None, description="An older one goes to this version first.")
    by_hand: bool = Field(False, description="No deploy can do it; `steps` says what a person does.")
    steps: Text | None = Field(None, description="What else is to be known or done.")


class Release(Strict):
    """The release that the specs describe."""

    version: Version
    codename: Line
    state: Literal["in-work", "released", "withdrawn"]
    insecure: bool = False
    advisories: list[Advisory] = Field(default=[])


class PastRelease(Strict):
    """A release that was cut. One that tells its components can be deployed again."""

    version: Version
    codename: Line
    date: Day
    state: Literal["released", "withdrawn"] = "released"
    summary: Line
    insecure: bool = Field(False, description="Known flaws make it unfit for the internet.")
    advisories: list[Advisory] = Field(default=[])
    components: dict[Identifier, Component] = Field(default={})
    frontends: dict[Identifier, GitRef] = Field(default={}, description="By frontend: the ref of its repository.")


class PlannedRelease(Strict):
    """A release that is wished for."""

    version: Version
    codename: Line
    goals: list[Line]


class Versions(Strict):
    """Release, components, upgrades, history, roadmap."""

    release: Release
    components: dict[Identifier, Component]
    frontends: dict[Identifier, GitRef] = Field(default={}, description="By frontend: the ref of its repository.")
    upgrades: list[Upgrade] = Field(default=[])
    history: list[PastRelease]
    roadmap: list[PlannedRelease]
