# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""What Botpress holds of a tenant: its bots, as the files that they are made of."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.smartercl.smarteros.plugins.module_utils.clients import botpress as api
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import ApiError
from ansible_collections.smartercl.smarteros.plugins.module_utils.owner import mark
from ansible_collections.smartercl.smarteros.plugins.module_utils.services.botpress_archive import pack, unpack
from ansible_collections.smartercl.smarteros.plugins.module_utils.transport import Policy

CONFIG = "bot.config.json"
VOLATILE = ("pipeline_status", "version")  # when and by whom it was imported; the server says these anew
SECRETS = ("messaging",)  # the tokens of channels
_CHANNELS = re.compile(r"config/(?!qna\.json$).*")  # settings of modules: older channels keep their tokens there
_NAME = re.compile(r"([A-Za-z0-9]+[A-Za-z0-9_-]+[A-Za-z0-9]+)/(.+)")


def collect(
    connection: t.Mapping[str, str], tenant: t.Mapping[str, t.Any], policy: Policy | None = None
) -> dict[str, bytes]:
    """The files of the bots that bear the tenant's mark: ``<bot>/<path>`` -> content, without channels' secrets."""
    client = api.connect(connection, policy)
    own = sorted(bot.id for bot in client.bots().values() if bot.tenant == tenant["id"])
    files: dict[str, bytes] = {}
    for bot in own:
        files.update({f"{bot}/{path}": content for path, content in _kept(unpack(client.export(bot))).items()})
    return files


def bring_back(
    connection: t.Mapping[str, str],
    tenant: t.Mapping[str, t.Any],
    files: t.Mapping[str, bytes],
    policy: Policy | None = None,
) -> list[str]:
    """Import the bots of an export where they are missing or differ; gives a sentence for each that was imported.

    A bot of the same id that does not bear the tenant's mark is left alone and told as an ApiError.
    """
    client = api.connect(connection, policy)
    found = client.bots()
    done: list[str] = []
    for bot, wished in sorted(_by_bot(files).items()):
        here = found.get(bot)
        if here is not None and here.tenant != tenant["id"]:
            raise ApiError(f"a bot {bot!r} exists and does not bear the tenant's mark")
        if here is not None and _kept(unpack(client.export(bot))) == wished:
            continue
        archive = pack({**wished, CONFIG: _settings(wished.get(CONFIG, b""), bot, str(tenant["id"]))})
        if here is None:
            client.create(bot, archive, lambda made: made.tenant == tenant["id"])
        else:
            client.replace(bot, archive)
        done.append(f"bot {bot} imported ({len(wished)} files); train it where it has a language model")
    return done


def _by_bot(files: t.Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    bots: dict[str, dict[str, bytes]] = {}
    for name, content in files.items():
        found = _NAME.fullmatch(name)
        if found is None:
            raise ApiError(f"an export of Botpress has no such file: {name[:80]!r}")
        bots.setdefault(found.group(1), {})[found.group(2)] = content
    return bots


def _kept(files: t.Mapping[str, bytes]) -> dict[str, bytes]:
    """What is exported of a bot: readable JSON in a fixed form; no secrets, nothing that differs by itself."""
    kept: dict[str, bytes] = {}
    for path, content in files.items():
        if not _CHANNELS.fullmatch(path):
            kept[path] = _tidied(path, content) if path.endswith(".json") else content
    return kept


def _tidied(path: str, content: bytes) -> bytes:
    try:
        data = json.loads(content)
        if path == CONFIG and isinstance(data, dict):
            data.pop("disabled", None)  # whether the tenant was suspended then is no part of the bot
    except ValueError:
        return content
    if path == CONFIG and isinstance(data, dict):
        data = {key: value for key, value in sorted(data.items()) if key not in VOLATILE + SECRETS}
    return (json.dumps(data, indent=2, ensure_ascii=False) + "\n").encode()


def _settings(raw: bytes, bot: str, rut: str) -> bytes:
    """The settings to import: with the tenant's mark, and without the id that Botpress puts behind the name again."""
    try:
        data = json.loads(raw)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise ApiError(f"the export of the bot {bot!r} has no readable {CONFIG}")
    ours = data.get("smarteros")
    description = str(data.get("description") or "")
    config = {
        **data,
        "id": bot,
        "disabled": False,
        "name": str(data.get("name") or bot).removesuffix(f" ({bot})"),
        "description": description if mark(rut) in description else mark(rut),
        "converse": {**(data.get("converse") or {}), "enableUnsecuredEndpoint": False},
        "smarteros": {**(ours if isinstance(ours, dict) else {}), "tenant": rut},
    }
    return (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
