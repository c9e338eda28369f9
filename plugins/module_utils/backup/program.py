# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""The program that the timers of a machine run, and whoever is on it without a control node.

Exit codes: 0 done, 1 attempted and failed, 2 wrong usage, 3 the machine cannot be used, 4 refused or busy.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
import types
import typing as t
from pathlib import Path

from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import (
    catalogue,
    config,
    copies,
    job,
    restic,
    take,
)
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.refused import AGAIN, Refused
from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.restic import ResticError
from ansible_collections.smartercl.smarteros.plugins.module_utils.engine import Engine, EngineError
from ansible_collections.smartercl.smarteros.plugins.module_utils.errors import row

DONE, FAILED, INVALID, UNUSABLE, REFUSED = range(5)
TIMER = "timer"
SUBSET = "5%"  # of the data, read by the weekly check

Json = dict[str, t.Any]
Answer = tuple[int, Json]


def main(argv: t.Sequence[str] | None = None) -> int:
    """Do what the words say; gives the exit code."""
    words = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _ended)  # so that the lock is given back and the outcome written down
    began = time.monotonic()
    try:
        code, result = _COMMANDS[words.command](words, config.read(Path(words.config)), Engine())
        errors: list[Json] = result.pop("errors", [])
    except (Refused, job.Busy, config.ConfigError, ResticError, EngineError, OSError) as exc:
        code, result, errors = _code(exc), {}, [_row(words.command, exc)]
    document = {
        "command": words.command,
        "ok": code == DONE,
        "duration_s": round(time.monotonic() - began, 1),
        "result": result,
        "errors": errors,
    }
    _write(document, as_json=words.json)
    return code


def _run(words: argparse.Namespace, known: config.Config, engine: Engine) -> Answer:
    run = _run_id(words)

    def work() -> tuple[job.Outcome, take.Taken]:
        taken = take.take(
            known,
            engine,
            words.services,
            reason=words.reason,
            run=run,
            accept_shrunk=words.accept_shrunk,
            progress=_say,
        )
        return taken.outcome, taken

    taken = _perform(words, known, job.BACKUP, run, work)
    return (DONE if taken.ok else FAILED), {**taken.to_json(), "errors": list(taken.errors)}


def _copy(words: argparse.Namespace, known: config.Config, _engine: Engine) -> Answer:
    def work() -> tuple[job.Outcome, t.Sequence[copies.CopyOutcome]]:
        done = copies.copy_all(known, restic.local(known), progress=_say)
        bad = "; ".join(f"{each.remote}: {each.error}" for each in done if each.error)
        return job.Outcome(not bad, bad or "every remote has every backup"), done

    done = _perform(words, known, job.COPY, _run_id(words), work)
    errors = [row(f"copy to {each.remote}", each.error, each.remote, each.following) for each in done if each.error]
    told = [{"remote": each.remote, "backups": list(each.ids), "error": each.error} for each in done]
    return (FAILED if errors else DONE), {"copies": told, "errors": errors}


def _check(words: argparse.Namespace, known: config.Config, _engine: Engine) -> Answer:
    def work() -> tuple[job.Outcome, list[Json]]:
        try:
            repository = restic.local(known)
            repository.unlock()  # of a restore or a drill that was killed: nothing else of ours is at work
            catalogue.verify(repository, subset=words.subset, host=known.host)
        except ResticError as exc:
            return job.Outcome(False, exc.message), [
                row("check of the repository", exc.message, known.path, exc.following)
            ]
        return job.Outcome(True, f"its structure and {words.subset} of its data are as they were written"), []

    errors = _perform(words, known, job.CHECK, _run_id(words), work)
    return (FAILED if errors else DONE), {"read": words.subset, "errors": errors}


def _drill(words: argparse.Namespace, known: config.Config, engine: Engine) -> Answer:
    from ansible_collections.smartercl.smarteros.plugins.module_utils.backup.drill import drill

    def work() -> tuple[job.Outcome, Json]:
        done = drill(known, engine, words.backup)
        report: Json = done.report
        bad = [each["what"] for each in report["checks"] if not each["ok"]]
        return job.Outcome(not bad, "; ".join(bad) or "every check passed", str(report["backup"])), report

    report = _perform(words, known, job.DRILL, _run_id(words), work)
    errors = [
        row(str(each["what"]), f"expected {each['expected']}, found {each['found']}", str(report["backup"]), AGAIN)
        for each in report["checks"]
        if not each["ok"]
    ]
    return (FAILED if errors else DONE), {**report, "errors": errors}


def _list(_words: argparse.Namespace, known: config.Config, _engine: Engine) -> Answer:
    errors: list[Json] = []
    found = catalogue.every(restic.local(known), restic.remotes(known), errors)
    backups = [
        {
            "id": each.id,
            "release": each.manifest.release,
            "state": each.manifest.state,
            "services": sorted(each.manifest.services),
            "bytes": each.manifest.size,
            "verified": each.verified,
            "location": list(each.locations),
        }
        for each in found
    ]
    return (FAILED if errors else DONE), {"backups": backups, "errors": errors}


def _wal(words: argparse.Namespace, known: config.Config, engine: Engine) -> Answer:
    from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import wal_job

    return _told(wal_job.push(known, engine, _run_id(words), _say))


def _wal_base(words: argparse.Namespace, known: config.Config, engine: Engine) -> Answer:
    from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import wal_job

    return _told(wal_job.base(known, engine, _run_id(words), _say, patience_s=words.wait))


def _wal_list(_words: argparse.Namespace, known: config.Config, _engine: Engine) -> Answer:
    from ansible_collections.smartercl.smarteros.plugins.module_utils.backup import wal_job

    return _told(wal_job.spans(known))


def _told(result: Json) -> Answer:
    return (FAILED if result["errors"] else DONE), result


def _perform(
    words: argparse.Namespace,
    known: config.Config,
    name: str,
    run: str,
    work: t.Callable[[], tuple[job.Outcome, t.Any]],
) -> t.Any:
    return job.perform(known, name, run, work, patience_s=words.wait, say=_say)


def _run_id(words: argparse.Namespace) -> str:
    return os.environ.get("SMOS_RUN") or job.new_run(words.reason)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="smos-backup", description="Backups of this machine.", allow_abbrev=False)
    every = argparse.ArgumentParser(add_help=False)
    every.add_argument("--json", action="store_true", help="one line of JSON at the end, on standard output")
    every.add_argument("--config", default=str(config.PATH), help=argparse.SUPPRESS)
    every.add_argument("--reason", default="asked", choices=["asked", TIMER, "deploy", "restore", "rollback"])
    every.add_argument("--wait", type=float, default=0.0, metavar="SECONDS", help="wait so long for another run to end")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", parents=[every], help="take a backup, of all services unless some are named")
    run.add_argument("services", nargs="*", metavar="SERVICE")
    run.add_argument(
        "--accept-shrunk", action="store_true", help="a dump that is far smaller than the last one is right"
    )
    commands.add_parser("copy", parents=[every], help="copy to every remote what it lacks")
    check = commands.add_parser(
        "check", parents=[every], help="read a part of the repository and check all of its structure"
    )
    check.add_argument("--subset", default=SUBSET, help="how much of the data is read, for example 5%% or 1/7")
    drill = commands.add_parser(
        "drill", parents=[every], help="bring a backup back beside what runs, look at it, remove it"
    )
    drill.add_argument("backup", nargs="?", default="latest")
    commands.add_parser("list", parents=[every], help="what backups there are here")
    commands.add_parser("wal", parents=[every], help="archive what PostgreSQL has written")
    commands.add_parser(
        "wal-base", parents=[every], help="copy the whole PostgreSQL server for its archive, where that is due"
    )
    commands.add_parser("wal-list", parents=[every], help="which moments of PostgreSQL can be brought back")
    return parser


def _code(exc: Exception) -> int:
    if isinstance(exc, Refused):
        return exc.exit_code
    return REFUSED if isinstance(exc, job.Busy) else UNUSABLE


def _row(command: str, exc: Exception) -> Json:
    following = exc.following if isinstance(exc, (Refused, ResticError)) else AGAIN
    if isinstance(exc, job.Busy):
        following = "Wait until that run has ended, then run the same command again"
    return row(command, " ".join(str(exc).split()), "", following)


def _ended(number: int, _frame: types.FrameType | None) -> t.NoReturn:
    raise SystemExit(128 + number)


def _say(text: str) -> None:
    """To the journal of the timer, or to whoever looks on."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _write(document: Json, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
    else:
        for each in document["errors"]:
            _say(f"FAILED {each['what']}: {each['why']}. {each['next']}")
        result = document["result"]
        for each in [*result.get("notes", ()), *result.get("warnings", ())]:
            _say(f"note: {each}")
        sys.stdout.write(_short(document) + "\n")
    sys.stdout.flush()


def _short(document: Json) -> str:
    result = document["result"]
    if document["command"] == "list":
        lines = [
            f"{each['id']}  {each['state']:8}  {', '.join(each['services'])}" for each in result.get("backups", ())
        ]
        return "\n".join(lines) or "no backups"
    if document["command"] == "wal-list":
        lines = [f"{each['since']} to {each['until']}" for each in result.get("spans", ())]
        return "\n".join(lines) or "no moment can be brought back"
    what = f" {result['backup']}" if result.get("backup") else ""
    return f"{document['command']}{what}: {'ok' if document['ok'] else 'failed'} in {document['duration_s']} s"


_COMMANDS: t.Mapping[str, t.Callable[[argparse.Namespace, config.Config, Engine], Answer]] = {
    "run": _run,
    "copy": _copy,
    "check": _check,
    "drill": _drill,
    "list": _list,
    "wal": _wal,
    "wal-base": _wal_base,
    "wal-list": _wal_list,
}
