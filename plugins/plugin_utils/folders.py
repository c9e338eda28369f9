# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Judge the folders of the specs that services read for themselves: with the very code that reads them in a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from ansible_collections.smartercl.smarteros.plugins.module_utils import errors
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.plugin_utils import documents
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.mistakes import Mistake
from ansible_collections.smartercl.smarteros.plugins.plugin_utils.specs import shown_path

Reading = tuple[Path, Callable[[], Any]]
"""The file or folder that is read, and how."""

FOLDERS = ("workflows", "database", "bots", "dashboards", "messages")
"""Their names, which are also the keys of ``files`` in the index: all are fixed places, which roles know."""


def judge_folders(root: Path) -> list[Mistake]:
    """Give what would fail a run; each part of a folder is read by itself, so that none hides another's mistake.

    A folder that is not there has no mistakes: that it is missing is told of the index.
    """
    mistakes = []
    for kind in FOLDERS:
        folder = root / kind
        for path, read in _readings(kind, folder) if folder.is_dir() else ():
            try:
                read()
            except ApiError as exc:
                mistakes.append(_mistake(kind, exc, path, root))
    return mistakes


def _readings(kind: str, folder: Path) -> Iterator[Reading]:
    # Here, because runs judge tenants without ever coming here, and each of these brings a service's client along
    from ansible_collections.smartercl.smarteros.plugins.module_utils.services import (
        botpress_templates,
        messages_texts,
        metabase_dashboards,
        n8n_templates,
        supabase_migrations,
    )

    place = str(folder)
    if kind == "workflows":
        for path in sorted(folder.glob("*.json")):
            yield path, partial(n8n_templates.load, place, [path.stem])
    elif kind == "bots":
        for path in sorted(path for path in folder.iterdir() if path.is_dir()):
            yield path, partial(botpress_templates.load, place, [path.name])
    elif kind == "messages":
        for occasion in messages_texts.KINDS:
            yield folder / f"{occasion}.yml", partial(messages_texts.read, folder, occasion)
        for digest in messages_texts.DIGESTS:
            if (folder / f"{digest}.yml").exists():
                yield folder / f"{digest}.yml", partial(messages_texts.read, folder, digest)
    elif kind == "dashboards":
        yield folder, partial(metabase_dashboards.load, place)
        yield folder, partial(_boards_agree, folder)
    else:
        yield folder, partial(supabase_migrations.read_folder, place)


def _boards_agree(folder: Path) -> None:
    """Each dashboard of the system stands in infra/monitoring.yml with its title, and none beside them."""
    from ansible_collections.smartercl.smarteros.plugins.module_utils.services import metabase_dashboards

    index = folder.parent / "infra" / "monitoring.yml"
    try:
        listed = documents.load(index).get("dashboards") or {}
        titles = {str(name): str(each["title"]) for name, each in listed.items()}
        boards = metabase_dashboards.of(metabase_dashboards.load(str(folder)), metabase_dashboards.SYSTEM)
    except (ApiError, OSError, ValueError, KeyError, TypeError, AttributeError):
        return  # told of the file itself
    for each in boards:
        if titles.pop(each.file, "") != each.name:
            why = f"monitoring.yml has no dashboard {each.file} with the title {each.name}"
            raise ApiError(why, errors.INVALID, where=str(folder / f"{each.file}.yml"))
    if titles:
        why = f"no file in dashboards is for the system and bears this name: {', '.join(sorted(titles))}"
        raise ApiError(why, errors.INVALID, where=str(index))


def _mistake(kind: str, exc: ApiError, path: Path, root: Path) -> Mistake:
    where = Path(exc.where) if exc.where else path
    what_next = "Correct it; the README.md of the folder says what belongs there."
    rule = f"What is in the folder of {kind} can be used as it is."
    return Mistake(shown_path(where, root), 0, "", rule, f"{exc.message.removesuffix('.')}.", what_next)
