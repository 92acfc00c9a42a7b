"""A group whose commands are named in a table and imported only when one of them is called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from engine.cli import narration
from engine.cli.narration import Level
from engine.cli.session import Session
from engine.settings.errors import UsageError, nearest


class Entry(NamedTuple):
    """One command: `module:function`, what `--help` says of it, and under which heading ("" hides it)."""

    target: str
    about: str
    section: str


class LazyGroup(click.Group):
    """Knows its commands by `entries`; every one of them, and theirs, takes the options of the whole program too."""

    def __init__(self, entries: Mapping[str, Entry], **settings: Any) -> None:
        super().__init__(**settings)
        self._entries = entries
        _accept_everywhere(self)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, entry in self._entries.items() if entry.section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        module, _, function = entry.target.partition(":")
        command = getattr(importlib.import_module(module), function)
        assert isinstance(command, click.Command)
        _accept_everywhere(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self._entries and not args[0].startswith("-"):
            hint = nearest(args[0], self.list_commands(ctx))
            raise UsageError(f"unknown command {args[0]!r}: {hint if hint.startswith('did') else '`tertulia --help`'}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section in dict.fromkeys(entry.section for entry in self._entries.values() if entry.section):
            with formatter.section(section):
                rows = [(name, entry.about) for name, entry in self._entries.items() if entry.section == section]
                formatter.write_dl(rows, col_max=12)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output has seen enough: that is no failure. Python would complain at its own exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        return result


def _accept_everywhere(command: click.Command) -> None:
    """Add the options of the whole program, so that they may stand before or after the command's name."""
    if any(parameter.name == "database_override" for parameter in command.params):
        return
    command.params += [
        click.Option(
            ["--db", "database_override"],
            metavar="PATH",
            expose_value=False,
            callback=_set_database,
            help="The record to use.  [default: TERTULIA_DB, else the one that `tertulia paths` names]",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_set_quiet,
            help="Tell only warnings and errors on stderr; a run started so logs no more.",
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_set_verbose,
            help="Tell sizes, times and tries of requests too; a run started so logs them.",
        ),
        click.Option(
            ["--log-file"],
            metavar="FILE",
            expose_value=False,
            callback=_set_log_file,
            help="Append what is told to FILE too, all of it, even under --quiet.",
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            callback=_set_debug,
            help="Show where in the program an error came from.",
        ),
    ]
    if isinstance(command, click.Group) and not isinstance(command, LazyGroup):
        for child in command.commands.values():
            _accept_everywhere(child)


def _set_database(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        if not value.strip():
            raise UsageError("--db: the path is empty")
        ctx.ensure_object(Session).override = value


def _set_quiet(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        _set_level(ctx, Level.WARNING)


def _set_verbose(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        _set_level(ctx, Level.DEBUG)


def _set_level(ctx: click.Context, level: Level) -> None:
    session = ctx.ensure_object(Session)
    if session.level not in (Level.INFO, level):
        raise UsageError("choose one of --quiet and --verbose")
    session.level = level
    narration.set_level(level)


def _set_log_file(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        if not value.strip():
            raise UsageError("--log-file: the path is empty")
        narration.log_to(Path(value).expanduser())


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.ensure_object(Session).debug = True
