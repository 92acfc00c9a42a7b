"""Starting a host: a process in a session of its own, so that no terminal's end reaches it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from engine.record import presence, runs
from engine.record.connection import open_reader
from engine.record.errors import DiskFullError, RecordError
from engine.record.runs import Status
from engine.runs import log
from engine.settings import keys

PATIENCE = 30.0
"""Seconds to wait for `run.started`."""
_ROOM = 1 << 14
"""Bytes without which no transaction and no log has room."""
DEFAULT_LEVEL = 20
_OPTIONS = {10: ["--verbose"], 30: ["--quiet"]}
"""How a host is told its log's level, by the number that the logging module gives it."""


def spawn(database: Path, run_id: str, level: int = DEFAULT_LEVEL, owner: Path | None = None) -> None:
    """Start the run's host and return once it has taken the run over. Raises RecordError with the log's last line.

    `level` is that of its log, as in the logging module; with `owner` it ends when nobody holds that lock any more.
    """
    options = [*_OPTIONS.get(level, []), "host", run_id, *(["--owner", str(owner)] if owner else [])]
    since = time.time()
    path, written = log.log_file(database, run_id), log.size(database, run_id)
    out = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment |= {name: value for name, value in keys.of_folder().items() if not environment.get(name)}
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine", "--db", str(database), *options],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            cwd="/",
            env=environment,
        )
    finally:
        os.close(out)
    try:
        db = open_reader(database)
    except DiskFullError as error:  # nor will the host get any further, before there is room
        raise DiskFullError(f"run {run_id} has not started yet: {error}") from None
    fault = ""
    try:
        while time.time() - since < PATIENCE:
            run = runs.find(db, run_id)
            if run.started is not None and run.pid == process.pid:
                return
            if run.ended is not None and run.ended >= since:
                return
            if process.poll() is not None:
                break
            if fault := _trouble(database, run_id, written):
                break
            time.sleep(0.02)
    finally:
        db.close()
    process.poll()
    said = log.last_line(database, run_id, written)
    if process.returncode is None and fault:
        raise RecordError(f"run {run_id} has not started yet: {fault}")
    if process.returncode is None:
        last = f": {said}" if said else ""
        raise RecordError(f"run {run_id}: its host has not started after {PATIENCE:.0f} s{last}; see {path}")
    if presence.holder(database, run_id) is not None:
        raise RecordError(f"run {run_id}: another host has it already; `tertulia follow {run_id}` shows it")
    raise RecordError(f"run {run_id}: its host did not start: {said or _full(database, run_id) or f'see {path}'}")


def _trouble(database: Path, run: str, written: int) -> str:
    """Why a host that lives has not begun: what it logs, or what it can no longer log."""
    return log.trouble(database, run, written) or _full(database, run)


def _full(database: Path, run: str) -> str:
    """What a disk without room keeps from the log."""
    free = shutil.disk_usage(database.parent).free
    return f"{database}: the disk is full; free some space, then `tertulia resume {run}`" if free < _ROOM else ""


def is_live(database: Path, run: runs.Run) -> bool:
    """Whether a host has the run now."""
    return run.status is not Status.CRASHED and run.active and presence.holder(database, run.id) is not None
