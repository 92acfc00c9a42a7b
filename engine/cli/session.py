"""What every command gets: the record it works on, a reader, the controls, and the app if there is one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.cli.narration import Level
from engine.settings import paths
from engine.settings.errors import UsageError

if TYPE_CHECKING:
    from engine.record.reader import Reader
    from engine.runs.control import Control

Opener = Callable[[Path, str | None], int]
"""Opens the app on a record, at a run where one is given; returns the exit code."""


_PATIENCE = 2.0
"""Seconds in which a live run may say that it will not do what it is told."""


class Failure(Exception):
    """Something went wrong that is not the user's mistake: one line, exit code 1."""


@dataclass(slots=True)
class Session:
    """One invocation. `opener` is None where there is no app (`python -m engine`)."""

    opener: Opener | None = None
    override: str | None = None
    debug: bool = False
    level: Level = Level.INFO
    """How much is told here, and logged by the hosts that are started here."""

    @property
    def database(self) -> Path:
        """The record: `--db`, else TERTULIA_DB, else the one in the data folder."""
        return paths.database(self.override)

    def reader(self) -> Reader:
        from engine.record.reader import Reader

        return Reader(self.database)

    def control(self, owner: Path | None = None) -> Control:
        """The controls; with `owner`, runs that are started do not outlive whoever holds that lock."""
        from engine.runs.control import Control

        return Control(self.database, who(), patience=_PATIENCE, log_level=self.level, owner=owner)

    def find(self, name: str) -> str:
        """The id of the run that `name` means."""
        reader = self.reader()
        try:
            return reader.find(name).id
        finally:
            reader.close()

    def open_app(self, run: str | None) -> int:
        """Open the app, or say what to do instead."""
        instead = f"`tertulia follow {run}` shows the run here" if run else "`tertulia --help` lists what works here"
        if self.opener is None:
            raise UsageError(f"this is the command line without the app; {instead}, `tertulia` opens it")
        if not on_terminal():
            raise UsageError(f"the app needs a terminal; {instead}")
        return self.opener(self.database, run)


current = click.make_pass_decorator(Session)


def on_terminal() -> bool:
    """Whether the app can be shown here."""
    return sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def who() -> str:
    """The name that commands and answers are recorded under."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"


def run_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """The argument RUN: an id, its unambiguous beginning, or `last`; completed by the shell."""
    return click.argument("run", metavar="RUN", shell_complete=_complete_run)(function)


def _complete_run(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[Any]:
    from click.shell_completion import CompletionItem

    from engine.record.visible import one_line

    root = ctx.find_root().obj
    session = root if isinstance(root, Session) else Session()
    if not session.database.exists():
        return []
    reader = session.reader()
    try:
        found = [item for item in reader.runs(limit=100) if item.id.startswith(incomplete)]
    finally:
        reader.close()
    return [CompletionItem(item.id, help=one_line(f"{item.status} {item.title}", 60)) for item in found]
