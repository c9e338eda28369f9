"""`smos doctor` of an environment with a machine, whose ssh is a stand-in: nobody is asked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.instance import Instance, instance


@pytest.fixture
def smos(tmp_path: Path) -> Iterator[Instance]:
    with instance(tmp_path / "smos", PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}") as made:
        ssh = tmp_path / "ssh"
        ssh.write_text("#!/bin/sh\necho 'Permission denied (publickey).' >&2\nexit 255\n")
        ssh.chmod(0o755)
        yield made


def test_a_machine_that_does_not_let_us_in_is_told_in_both_languages(smos: Instance) -> None:
    told = smos.run("--env", "production", "doctor", "--json", SMOS_LANG="es")
    assert (told.code, told.err) == (3, ""), told
    checks = {each["what"]: each for each in told.result["checks"]}
    assert checks["inventory"]["state"] == "ok"
    assert checks["login"]["next"] == "Bring your key there"  # what programs read is English
    assert checks["login"]["command"].startswith("ssh-copy-id ")
    shown = smos.run("--env", "production", "doctor", SMOS_LANG="es")
    assert shown.code == 3, shown
    assert "✗ login" in shown.out
    assert "Lleve su clave allá: ssh-copy-id " in shown.err
    assert "Créelo, con todos los secretos que se pueden generar" in shown.out
