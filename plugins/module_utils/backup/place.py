# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Where a server's own programs are run: inside its container, or right here."""

from __future__ import annotations

import os
import subprocess
import typing as t
from dataclasses import dataclass, field

from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError, Executed


@dataclass(frozen=True)
class Place:
    """Words that lead to the place, and what the command's environment has beside ours."""

    prefix: t.Sequence[str] = ()
    environment: t.Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def in_container(
        cls, engine: Engine, container: str, user: str = "", variables: t.Mapping[str, str] | None = None
    ) -> Place:
        """In a container, as one of its users. ``variables`` can be seen by everybody: never a secret."""
        words = ["docker", "exec", "-i", *(["-u", user] if user else [])]
        for name, value in (variables or {}).items():
            words += ["-e", f"{name}={value}"]
        return cls((*words, container), {"DOCKER_HOST": f"unix://{engine.socket}"})

    @property
    def env(self) -> dict[str, str]:
        """The whole environment of a command."""
        return {**os.environ, **self.environment}

    def argv(self, *words: str) -> list[str]:
        """The command that runs these words there."""
        return [*self.prefix, *words]

    def run(self, words: t.Sequence[str], stdin: bytes = b"", timeout_s: float = 300) -> Executed:
        """Run it to its end. Raises EngineError where that cannot be done."""
        try:
            # No AnsibleModule here: this also runs from a timer
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                self.argv(*words), check=False, input=stdin, capture_output=True, env=self.env, timeout=timeout_s
            )
        except FileNotFoundError as exc:
            raise EngineError(f"the command {exc.filename} is not installed") from None
        except subprocess.TimeoutExpired:
            raise EngineError(f"{words[0]} did not end within {timeout_s:.0f} s") from None
        return Executed(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def start(self, words: t.Sequence[str], stderr: t.IO[bytes]) -> subprocess.Popen[bytes]:
        """Begin it; what it says and is told goes through pipes. Raises EngineError where it cannot be begun."""
        try:
            # No AnsibleModule here, and it is spoken with while it runs
            return subprocess.Popen(  # pylint: disable=ansible-bad-function
                self.argv(*words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, env=self.env
            )
        except FileNotFoundError as exc:
            raise EngineError(f"the command {exc.filename} is not installed") from None
