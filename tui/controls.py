"""What people have asked of runs, done in the background, for each run in the order in which it was asked."""

from __future__ import annotations

import getpass
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.app import App

from tui.background import run_in_background


class Controls:
    """Works on one record in the name of whoever sits here."""

    def __init__(self, app: App[Any], database: Path, failed: Callable[[str], object]) -> None:
        """`failed(line)` is told, in the app, what could not be done."""
        self._app, self._database, self._failed = app, database, failed
        self._asked: dict[str, threading.Thread] = {}
        """The last thing asked of each run."""

    def ask(
        self,
        work: Callable[[Any], Any],
        done: Callable[[Any], object] | None = None,
        run: str | None = None,
    ) -> None:
        """`work(Control)` in the background, after all that was asked of `run`; then `done(result)` in the app."""

        def act() -> Any:
            from engine.runs.control import Control

            return work(Control(self._database, who()))

        before = self._asked.get(run) if run else None
        thread = run_in_background(self._app, act, done or (lambda _: None), self._failed, before)
        if run:
            self._asked[run] = thread


def who() -> str:
    """The name that commands are recorded under."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
