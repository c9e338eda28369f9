"""Releases: what they are made of, and what a deploy refuses on the way between two."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils import releases, specs

ROOT = Path(__file__).resolve().parents[4] / "specs"
LOADED = specs.load(ROOT)
FRESH = 1.0  # hours


@pytest.mark.parametrize("given", [ROOT, LOADED], ids=["folder", "loaded"])
def test_the_current_release_is_the_one_without_a_name(given: Path | specs.Specs) -> None:
    release = releases.load(given)
    assert release.current
    assert release == releases.load(given, release.version) == releases.load(given, f"v{release.version}")
    assert not release.insecure


def test_the_current_release_is_free_of_what_is_known_to_be_bad() -> None:
    found = {name: releases.number(each.version) for name, each in releases.load(ROOT).components.items()}
    least = {"n8n": "2.30.1", "redis": "7.2.11", "traefik": "3.6.4", "metabase": "0.63.5", "dokploy": "0.29.3"}
    assert [name for name, version in least.items() if found[name] < releases.number(version)] == []
    assert found["n8n"] == found["n8n-runners"]


def test_the_first_release_keeps_the_owners_versions_and_says_that_they_are_insecure() -> None:
    first = releases.load(ROOT, "0.1.0")
    assert first.insecure
    assert {"n8n CVE-2026-21858", "dokploy GHSA-w3gm-rc4p-9rhj", "traefik EOL"} <= set(first.advisories)
    assert (first.components["n8n"].image, first.components["odoo"].image) == ("n8nio/n8n:1.62.0", "odoo:17.0")


def test_an_unknown_release_is_told_with_those_that_there_are() -> None:
    with pytest.raises(releases.UnknownRelease, match=r"no release 9\.9\.9; known: 0\.2\.0, 0\.1\.0"):
        releases.load(ROOT, "9.9.9")


def test_a_broken_file_is_told_by_line(tmp_path: Path) -> None:
    (tmp_path / "index.yml").write_text((ROOT / "index.yml").read_text())
    (tmp_path / "smos-version.yml").write_text("release: {version: 1}\n")
    with pytest.raises(specs.SpecError, match=r"smos-version\.yml:1"):
        releases.load(tmp_path)


def test_an_image_is_pinned_where_its_digest_is_known() -> None:
    digest = f"sha256:{'a' * 64}"
    assert releases.Component("redis", "7", "redis:7").ref == "redis:7"
    assert releases.Component("redis", "7", "redis:7", digest).ref == f"redis:7@{digest}"
    release = releases.load(ROOT)
    mine = {"redis": f"127.0.0.1:5000/redis:7@{digest}"}
    assert release.images(mine)["redis"] == mine["redis"]
    assert release.images(mine)["n8n"] == release.components["n8n"].ref
    assert "redis" not in release.unpinned(mine)
    assert "redis" in release.unpinned({"redis": "redis:7"})


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ("1.62.0", "2.41.1"),
        ("2.9", "2.10"),
        ("17.0", "17.0-20260723"),
        ("4.16.2-ce", "4.17.0"),
        ("v3.6", "3.7.9"),
        ("16", "16.1"),
    ],
)
def test_versions_are_compared_by_their_numbers(less: str, more: str) -> None:
    assert releases.number(less) < releases.number(more)


@pytest.mark.parametrize(
    ("version", "bounds", "inside"),
    [
        ("3.13.0", "<4.0", True),
        ("4.0", "<4.0", False),
        ("4.16.2-ce", ">=4.0, <5", True),
        ("5.0", ">=4.0,<5", False),
        ("1", "*", True),
        ("4", "<=4.0", True),
        ("4.0.1", ">4", True),
    ],
)
def test_a_range_holds_the_versions_in_it(version: str, bounds: str, inside: bool) -> None:
    assert releases.within(version, bounds) is inside


HAZARDS = [
    ("nothing runs yet", {}, {"n8n": "2.41.1"}, None, []),
    ("nothing changes", {"n8n": "2.41.1"}, {"n8n": "2.41.1"}, None, []),
    ("an upgrade without a backup", {"n8n": "2.40.0"}, {"n8n": "2.41.1"}, None, ["needs a recent backup"]),
    ("an upgrade with an old backup", {"n8n": "2.40.0"}, {"n8n": "2.41.1"}, 30.0, ["30 hours old"]),
    ("an upgrade with a fresh backup", {"n8n": "2.40.0"}, {"n8n": "2.41.1"}, FRESH, []),
    ("an upgrade that breaks what others use", {"n8n": "1.62.0"}, {"n8n": "2.41.1"}, FRESH, ["POST /audit"]),
    ("a way back over a migration", {"n8n": "2.41.1"}, {"n8n": "1.62.0"}, FRESH, ["do", "not read them"]),
    ("a way back without a migration", {"traefik": "3.7.9"}, {"traefik": "3.7.8"}, None, []),
    ("the first step is left out", {"chatwoot": "2.9.0"}, {"chatwoot": "4.16.2-ce"}, FRESH, ["3.13.0 at least"]),
    ("the first step was done", {"chatwoot": "3.13.0"}, {"chatwoot": "4.16.2-ce"}, FRESH, ["vector extension first"]),
    ("a new major Odoo", {"odoo": "17.0-20260723"}, {"odoo": "18.0-20260723"}, FRESH, ["no deploy can do"]),
    ("a new major PostgreSQL", {"postgresql": "16"}, {"postgresql": "17"}, FRESH, ["no deploy can do"]),
    ("Dokploy over many versions", {"dokploy": "0.9.0"}, {"dokploy": "0.30.2"}, FRESH, ["no deploy can do"]),
    ("a service without rules", {"redis": "7.2"}, {"redis": "7.2.11"}, None, []),
]  # a table, easier to compare in rows  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "age", "words"), [row[1:] for row in HAZARDS], ids=[row[0] for row in HAZARDS]
)
def test_a_deploy_is_refused_where_data_are_in_danger(
    before: dict[str, str], after: dict[str, str], age: float | None, words: list[str]
) -> None:
    rows = releases.hazards(before, after, age, ROOT)
    assert bool(rows) == bool(words)
    assert all(word in "; ".join(row["why"] for row in rows) for word in words)
    for row in rows:
        assert set(row) == {"what", "where", "why", "next"}
        assert row["what"] in after
        assert row["next"]


def test_each_reason_is_told_once_and_all_at_the_same_time() -> None:
    first, current = ({n: c.version for n, c in releases.load(ROOT, v).components.items()} for v in ("0.1.0", None))
    up = releases.hazards(first, current, None, ROOT)
    assert len({(row["what"], row["why"]) for row in up}) == len(up)
    assert {row["what"] for row in up} >= {"n8n", "chatwoot", "botpress", "metabase", "dokploy", "odoo", "portainer"}
    down = [row["what"] for row in releases.hazards(current, first, FRESH, ROOT)]
    assert len(set(down)) == len(down)


def test_the_steps_of_an_upgrade_are_told() -> None:
    found = releases.notices({"n8n": "1.62.0", "traefik": "3.7.9"}, {"n8n": "2.41.1", "traefik": "2.11"}, ROOT)
    assert len(found) == 2
    assert all(each.startswith("n8n 1.62.0 → 2.41.1: ") for each in found)


def test_a_breaking_step_is_taken_by_name() -> None:
    step = ({"n8n": "1.62.0", "odoo": "17.0"}, {"n8n": "2.41.1", "odoo": "18.0"})
    assert {row["what"] for row in releases.hazards(*step, FRESH, ROOT)} == {"n8n", "odoo"}
    assert {row["what"] for row in releases.hazards(*step, FRESH, ROOT, ["n8n"])} == {"odoo"}
    assert all("--acknowledge" in row["next"] for row in releases.hazards(*step, FRESH, ROOT))
    assert not releases.hazards(*step, FRESH, ROOT, ["n8n", "odoo"])
    assert releases.hazards(*step, None, ROOT, ["n8n", "odoo"])  # no name stands for a backup


def test_what_needs_a_backup_and_what_cannot_go_back_is_known() -> None:
    up = ({"n8n": "2.40.0", "traefik": "3.7.8"}, {"n8n": "2.41.1", "traefik": "3.7.9"})
    assert releases.need_backup(*up, ROOT) == ["n8n"]
    assert not releases.crossed(*up, ROOT)
    (found,) = releases.crossed(up[1], up[0], ROOT)
    assert (found.component, found.there, found.wanted, found.by_hand) == ("n8n", "2.41.1", "2.40.0", False)
    (by_hand,) = releases.crossed({"postgresql": "17"}, {"postgresql": "16"}, ROOT)
    assert by_hand.by_hand


@pytest.mark.parametrize(("asked", "near"), [("0.2.1", "0.2.0"), ("v0.2", "0.2.0"), ("9.9.9", "0.2.0"), ("none", "")])
def test_the_nearest_release_is_named(asked: str, near: str) -> None:
    assert releases.nearest(asked.removeprefix("v"), ["0.2.0", "0.1.0"]) == near


def test_components_are_told_by_the_service_that_runs_them() -> None:
    found = releases.by_service(releases.load(ROOT), {"n8n": "mine"})
    assert set(found["n8n"]) == {"n8n", "n8n-runners"}
    assert found["n8n"]["n8n"]["image"] == "mine"
