"""What a rotation does when the deploy in it comes to nothing."""

from __future__ import annotations

from typing import Any

import pytest

from smos import exitcodes, play, secrets_work, work
from smos.settings import Settings

NAME = "postgresql_n8n_password"
BEGUN = ("secrets", {"changes": [{"what": f"secret {NAME}"}], "services": ["postgresql", "n8n"]})
GONE_ON = ("secrets", {"changes": [], "services": ["postgresql", "n8n"]})
JUDGED: tuple[str, dict[str, Any]] = ("deploy_preflight", {"services": {}})
SETTINGS = Settings("sandbox", None, False, False, True, False, 0, True, None, None, (), None)


@pytest.mark.parametrize(
    ("code", "results", "refused"),
    [
        (exitcodes.REFUSED, [BEGUN], True),  # locked, as the preflight sees it
        (exitcodes.REFUSED, [BEGUN, JUDGED], True),  # locked a moment later
        (exitcodes.UNUSABLE, [BEGUN], True),
        (exitcodes.UNUSABLE, [BEGUN, JUDGED], False),  # the vault could not be written after the deploy
        (exitcodes.FAILED, [BEGUN, JUDGED], False),
        (exitcodes.FAILED, [BEGUN], False),
    ],
)
def test_a_deploy_that_did_not_begin_is_told_from_one_that_failed(code: int, results: list[Any], refused: bool) -> None:
    assert secrets_work._is_refused(play.Played(code=code, results=results)) is refused


@pytest.fixture
def plays(monkeypatch: pytest.MonkeyPatch) -> list[play.Play]:
    asked: list[play.Play] = []

    def run(wish: play.Play, *_more: Any) -> play.Played:
        asked.append(wish)
        return play.Played()

    monkeypatch.setattr(work, "project_for", lambda _settings: None)
    monkeypatch.setattr(play, "run", run)
    return asked


def test_after_a_refusal_only_the_vault_is_put_right(plays: list[play.Play]) -> None:
    locked = [{"what": "the machine", "where": "lock", "why": "held", "next": "Wait"}]
    played = play.Played(code=exitcodes.REFUSED, changed=True, errors=list(locked), results=[BEGUN])
    secrets_work._forget(NAME, SETTINGS, played)
    (wish,) = plays
    assert (wish.playbook, wish.variables) == ("secrets.yml", {"secrets_job": "back", "secret_name": NAME})
    assert (played.code, played.errors, played.changed) == (exitcodes.REFUSED, locked, False)


def test_a_refusal_leaves_what_a_former_run_began(plays: list[play.Play]) -> None:
    secrets_work._forget(NAME, SETTINGS, play.Played(code=exitcodes.REFUSED, results=[GONE_ON]))
    assert plays == []
