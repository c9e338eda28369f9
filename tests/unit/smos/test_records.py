"""Run records: who, what, arguments, changes, result; without secrets."""

import os
import stat
from pathlib import Path

import pytest

from smos.records import Records, new_id
from smos.redact import Redactor

DOCUMENT = {"ok": True, "changed": True, "duration_s": 1.5, "result": {}, "errors": []}


@pytest.fixture
def book(tmp_path: Path) -> Records:
    return Records(tmp_path, Redactor({"X_TOKEN": "planted-secret"}))


def test_a_record_is_private_and_tells_the_whole_run(book: Records) -> None:
    run = new_id()
    book.begin(run, "create tenant", "sandbox", ["create", "tenant", "-e", "token=planted-secret"])
    book.end(run, DOCUMENT, [{"what": "planted-secret"}], "done")
    record = book.read(run)
    assert (record["state"], record["changed"], record["arguments"][-1]) == ("done", True, "token=***")
    path = book.folder / f"{run}.json"
    assert "planted-secret" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_run_whose_process_is_gone_died(book: Records) -> None:
    run = new_id()
    book.begin(run, "plan", "sandbox", [])
    assert book.read(run)["state"] == "running"
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)
    path = book.folder / f"{run}.json"
    path.write_text(path.read_text().replace(f'"pid": {os.getpid()}', f'"pid": {gone}'))
    assert book.read(run)["state"] == "died"


def test_the_newest_runs_come_first(book: Records) -> None:
    for run in ("20260101-000000-aaaa", "20260301-000000-bbbb", "20260201-000000-cccc"):
        book.begin(run, "plan", "sandbox", [])
    assert [record["run"] for record in book.all(2)] == ["20260301-000000-bbbb", "20260201-000000-cccc"]
