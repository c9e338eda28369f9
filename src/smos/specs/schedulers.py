# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The jobs that AWX, Semaphore and the like offer and start by the clock."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from smos.specs.base import Identifier, Line, Strict, text
from smos.specs.services import VariableName
from smos.specs.tenant import Timezone

Cron = Annotated[
    str,
    text(
        r"[0-5]?[0-9] (?:\*|1?[0-9]|2[0-3]) \* \* (?:\*|[0-6](?:,[0-6])*)",
        "A schedule is written as minute, hour or *, *, *, days of the week (0 is Sunday) or *: 30 3 * * * or 0 5 * * 0.",
    ),
]
JobTitle = Annotated[
    str, text(r"[A-Z][A-Za-z0-9 ,-]{2,59}", "A title has 3 to 60 letters, digits, blanks, commas and hyphens.")
]


class SchedulerJob(Strict):
    """A playbook with its variables, as one thing that a person or the clock starts."""

    title: JobTitle = Field(description="Its name in the scheduler.")
    playbook: Identifier = Field(description="Name of a playbook, without its ending.")
    variables: dict[VariableName, str | int | bool | list[str]] = Field(default={}, description="What it is given.")
    ask: list[VariableName] = Field(
        default=[], description="What a person is asked for; the form comes from playbooks/vars/inputs.yml."
    )
    check: bool = Field(False, description="Foretell with --check and --diff, and change nothing.")
    schedule: Cron | None = Field(None, description="When it is started by the clock; absent: by people only.")


class Schedulers(Strict):
    """All jobs, and why the other playbooks are none."""

    timezone: Timezone
    jobs: dict[Identifier, SchedulerJob]
    left_out: dict[Identifier, Line] = Field(description="By the name of the playbook: why it is no job.")
