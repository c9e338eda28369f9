"""execution-environment.yml, as far as the real ansible-builder goes without a network: up to the build of the image."""

from __future__ import annotations

from pathlib import Path

import yaml

from tools.execution_environment import ROOT, create


def test_ansible_builder_makes_the_build_context(tmp_path: Path) -> None:
    done = create(tmp_path / "context")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "outdated" not in done.stdout + done.stderr
    text = (tmp_path / "context" / "Containerfile").read_text(encoding="utf-8")
    base = yaml.safe_load((ROOT / "execution-environment.yml").read_text(encoding="utf-8"))["images"]["base_image"][
        "name"
    ]
    assert f'ARG EE_BASE_IMAGE="{base}"' in text
    built = tmp_path / "context" / "_build"
    assert (built / "requirements.txt").read_text() == (ROOT / "requirements.in").read_text()
    assert (built / "requirements.yml").read_text() == (ROOT / "requirements.yml").read_text()
    assert "openssh-clients" in (built / "bindep.txt").read_text()


def test_the_image_has_the_ansible_core_that_the_package_asks_for() -> None:
    described = yaml.safe_load((ROOT / "execution-environment.yml").read_text(encoding="utf-8"))["dependencies"]
    lines = (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines()
    wanted = {line.partition(" ;")[0] for line in lines if not line.startswith("#")}
    assert {described["ansible_core"]["package_pip"], described["ansible_runner"]["package_pip"]} <= wanted
