"""A duel on a disk that fills up, played inside a mount namespace of its own; prints what was seen as JSON.

Called with a folder, a pipeline, and how it goes on: `room` (there is room while the host waits), `late` (it gives up),
`begin` (it was full before the host began), `dark` (so full that nobody can look, nor the host log).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from engine.record import runs
from engine.record.connection import open_reader, write_once
from engine.record.errors import RecordError
from engine.record.runs import Status
from engine.runs import log, pipelines, spawn
from engine.runs.control import Control
from tests import duels
from tests.watch import Watch, wait_for

PATIENCE = {"room": 60.0, "late": 1.0}


def main(folder: Path, file: Path, how: str) -> dict[str, Any]:
    disk, elsewhere = folder / "disk", folder / "logs"
    disk.mkdir()
    elsewhere.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], check=True)
    database = disk / "t.db"
    if how != "dark":
        Path(f"{database}.runs").symlink_to(elsewhere)  # so that the log can say what happens
    pipeline = json.loads(file.read_text())
    spec = pipelines.resolve(pipeline)
    run = write_once(database, lambda db: runs.create(db, spec["kind"], spec["title"], spec))
    if how in ("begin", "dark"):
        return begin(database, run, disk, how)
    host = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from engine.record import writer; from engine.runs import process;"
            f"writer.FULL_DISK_PATIENCE = {PATIENCE[how]}; sys.exit(process.main(Path({str(database)!r}), {run!r}))",
        ]
    )
    watch = Watch(database, wait_for(lambda: run))
    watch.until("turn.finished", seq=2)
    ballast = fill(disk)
    wait_for(lambda: "the disk is full" in log.log_file(database, run).read_text(), "the host to notice")
    with closing(open_reader(database)) as db:
        kept = duels.finished(db, run)
    seen: dict[str, Any] = {"then": len(kept)}
    if how == "room":
        assert host.poll() is None
        ballast.unlink()
    else:
        seen["code"] = host.wait(60)
        seen["status"] = watch.run.status
        ballast.unlink()
        Control(database, "tester").resume(run)
    ended = watch.until_over(deadline=60)
    host.wait(60)
    with closing(open_reader(database)) as db:
        after = duels.finished(db, run)
        seen["whole"] = db.execute("PRAGMA integrity_check").fetchone()[0]
    seen |= {"kept": after[: len(kept)] == kept, "turns": [turn[0] for turn in after], "reason": ended.reason}
    seen["said"] = [turn[2] for turn in after]
    seen["log"] = log.log_file(database, run).read_text()
    assert ended.status in (Status.FINISHED, Status.FAILED)
    return seen


def begin(database: Path, run: str, disk: Path, how: str) -> dict[str, Any]:
    """The disk fills between the run's row and its host's first commit."""
    log.log_file(database, run).touch(mode=0o600)
    spawn.PATIENCE = 600.0  # beyond the test's own: what ends the wait must be what is found out
    follower = Watch(database, run) if how == "begin" else None  # a full disk does not lock out who is there already
    ballast = fill(disk)
    seen: dict[str, Any] = {"said": "", "log": ""}
    try:
        spawn.spawn(database, run)
    except RecordError as error:
        seen["said"] = str(error)
    seen["log"] = log.log_file(database, run).read_text()
    ballast.unlink()
    ended = (follower or Watch(database, run)).until_over(deadline=60)
    return {**seen, "reason": ended.reason}


def fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as out:
        for size in (65536, 4096, 1):
            while True:
                try:
                    out.write(b"x" * size)
                except OSError:
                    break
    return ballast


if __name__ == "__main__":
    assert spawn.PATIENCE and os.getuid() == 0
    print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])))
