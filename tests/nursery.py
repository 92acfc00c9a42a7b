"""Hosts that are killed on purpose, many and cheap: one process imports the program once and forks each host.

A forked host is a process like any other: it takes the run's lock, writes with its own connection, dies by SIGKILL.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self


class Nursery:
    """`run` plays a run in a new process and waits for its end."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nursery"],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, database: Path, run: str, **how: Any) -> dict[str, Any]:
        """Play the run with `how` applied (see `_child`); returns `signal` or `code`, and the `commits` it made."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps({"database": str(database), "run": run, **how}), file=self._process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)


def _child(order: dict[str, Any]) -> int:
    """Play a run. `before`/`after`: die at that commit; `at`: die after so many seconds; `flush`: speaker.FLUSH."""
    from engine.record.writer import Writer
    from engine.runs import process
    from engine.talk import speaker

    counted = _counted(order)
    genuine = Writer._transaction
    commits = 0

    def transaction(self: Writer, pieces: list[Any]) -> Any:
        nonlocal commits
        commits += 1
        with counted.open("ab") as count:
            count.write(b".")
        if order.get("before") == commits:
            os.kill(os.getpid(), signal.SIGKILL)
        outcome = genuine(self, pieces)
        if order.get("after") == commits:
            os.kill(os.getpid(), signal.SIGKILL)
        return outcome

    Writer._transaction = transaction  # type: ignore[method-assign]
    speaker.FLUSH = order.get("flush", speaker.FLUSH)
    if "at" in order:
        threading.Timer(order["at"], os.kill, (os.getpid(), signal.SIGKILL)).start()
    return process.main(Path(order["database"]), order["run"])


def _counted(order: dict[str, Any]) -> Path:
    """A file of one byte for each transaction that was begun."""
    return Path(f"{order['database']}.{order['run']}.commits")


def main() -> None:
    """One order a line on stdin, one answer a line on stdout."""
    import engine.providers.scripted
    import engine.runs.process
    import engine.talk.duel
    import engine.talk.loop  # noqa: F401

    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os._exit(_child(order))
        _, status = os.waitpid(pid, 0)
        answer = {"commits": _counted(order).stat().st_size if _counted(order).exists() else 0}
        if os.WIFSIGNALED(status):
            answer["signal"] = os.WTERMSIG(status)
        else:
            answer["code"] = os.waitstatus_to_exitcode(status)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
