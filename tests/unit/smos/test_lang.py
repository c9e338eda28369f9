"""English and Spanish: which is chosen, that every text is translated, and that JSON never changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from smos import lang

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "es_CL.UTF-8"}, "es"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "es_ES"}, "es"),
        ({"LANG": "es_CL.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "es_CL.UTF-8", "SMOS_LANG": "en"}, "en"),
        ({"LANG": "en_US.UTF-8", "SMOS_LANG": "ES-cl"}, "es"),
        ({"LANG": "es_CL.UTF-8", "SMOS_LANG": ""}, "es"),
    ],
)
def test_the_language_is_that_of_the_variable_or_of_the_locale(environment: dict[str, str], expected: str) -> None:
    assert lang.wanted(environment) == expected


def test_a_language_that_we_do_not_speak_is_refused() -> None:
    with pytest.raises(lang.UnknownLanguage, match="fr"):
        lang.wanted({"SMOS_LANG": "fr"})


def said(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SMOS_", "LC_", "LANG"))}
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "collections")])
    line = [sys.executable, "-P", "-m", "smos", *words]
    variables = {**kept, "PYTHONPATH": paths, "PYTHONUTF8": "1", "COLUMNS": "120", **environment}
    return subprocess.run(line, env=variables, cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_text_is_translated_and_the_catalogues_are_as_the_source_says() -> None:
    judged = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "tools" / "messages.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stderr


def test_help_and_mistakes_of_the_command_line_are_in_spanish() -> None:
    page = said("tenant", "suspend", "--help", LANG="es_CL.UTF-8")
    assert page.returncode == 0
    for words in ("Uso: smos tenant suspend", "Suspende un tenant:", "Ejemplo: smos tenant suspend acme", "Opciones:"):
        assert words in page.stdout
    assert "Options" not in page.stdout
    wrong = said("create", "tenant", SMOS_LANG="es")
    assert wrong.returncode == 2
    assert "Falta el argumento" in wrong.stderr
    assert said("tenant", "suspend", "--help").stdout.startswith("Usage: smos tenant suspend")


def test_what_a_command_tells_is_in_spanish_and_its_document_is_not(tmp_path: Path) -> None:
    here = {"SMOS_STATE_DIR": str(tmp_path), "SMOS_ENV_DIR": str(tmp_path)}
    assert "aún no hay ejecuciones" in said("history", SMOS_LANG="es", **here).stdout
    missing = said("history", "20261122-093000-a1b2", SMOS_LANG="es", **here)
    assert (missing.returncode, "causa:" in missing.stderr) == (2, True)
    documents = [json.loads(said("cost", "--json", SMOS_LANG=each, **here).stdout) for each in lang.LANGUAGES]
    for document in documents:
        del document["duration_s"]
    assert documents[0] == documents[1]


def test_an_unknown_language_is_told_before_anything_is_done() -> None:
    refused = said("cost", "--json", SMOS_LANG="fr")
    assert refused.returncode == 2
    assert "SMOS_LANG" in json.loads(refused.stdout)["errors"][0]["why"]
