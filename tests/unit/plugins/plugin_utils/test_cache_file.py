# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The cache that may vanish at any time."""

from __future__ import annotations

import random
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.smartercl.smarteros.plugins.plugin_utils.cache_file import CacheFile, Item

ITEMS = [Item(f"name{number}", "stamp", f"head {number}", f"body {number} " * 50) for number in range(200)]


@pytest.fixture
def path(tmp_path: Path) -> Any:
    return tmp_path / "state" / "cache" / "registry.sqlite"


def fill(path: Path) -> Any:
    cache = CacheFile(path)
    cache.store("scope", ITEMS)
    cache.close()


def heads(path: Path, scope: str = "scope") -> Any:
    cache = CacheFile(path)
    try:
        return cache.heads(scope)
    finally:
        cache.close()


def test_what_is_stored_is_there_next_time(path: Path) -> None:
    fill(path)
    cache = CacheFile(path)
    assert cache.heads("scope")["name7"] == ("stamp", "head 7")
    assert cache.bodies("scope")["name7"] == ("stamp", "body 7 " * 50)
    assert list(cache.bodies("scope", ["name7", "other"])) == ["name7"]
    assert cache.heads("another scope") == {}
    cache.store("scope", [Item("name7", "new", "h", "b")], gone=["name8"])
    assert cache.heads("scope")["name7"] == ("new", "h")
    assert "name8" not in cache.heads("scope")
    assert "name8" not in cache.bodies("scope")
    cache.close()


def test_a_file_that_is_no_cache_is_thrown_away(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database at all" * 1000)
    assert heads(path) == {}
    fill(path)
    assert len(heads(path)) == 200


def test_a_cache_of_another_version_is_made_anew(path: Path) -> None:
    fill(path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    assert heads(path) == {}


@pytest.mark.parametrize("seed", range(60))
def test_damage_is_never_taken_for_content(path: Path, seed: int) -> None:
    fill(path)
    data = bytearray(path.read_bytes())
    dice = random.Random(seed)
    for _byte in range(dice.choice([1, 10, 1000])):
        data[dice.randrange(len(data))] = dice.randrange(256)
    path.write_bytes(data[: dice.choice([len(data), len(data) // 2])])
    known = {item.name: (item.stamp, item.head) for item in ITEMS}
    assert heads(path).items() <= known.items()
    fill(path)
    cache = CacheFile(path)
    assert cache.heads("scope").items() <= known.items()
    assert cache.bodies("scope").items() <= {item.name: (item.stamp, item.body) for item in ITEMS}.items()
    cache.close()


@pytest.mark.parametrize("place", ["/proc/nowhere/cache.sqlite", None])
def test_without_a_place_to_write_it_is_always_empty(place: str | None, tmp_path: Path) -> None:
    if place is None:
        (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "cache" / "registry.sqlite" if place is None else type(tmp_path)(place)
    cache = CacheFile(path)
    cache.store("scope", ITEMS)
    assert cache.heads("scope") == {}
    cache.close()


def test_many_write_and_read_at_once(path: Path) -> None:
    wrong = []

    def work(number: int) -> Any:
        cache = CacheFile(path)
        for _turn in range(10):
            cache.store(f"scope{number % 2}", ITEMS)
            if len(cache.heads(f"scope{number % 2}")) != 200:
                wrong.append(number)
        cache.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
