"""The program's entry: the table of commands, and how every way of failing becomes one line and an exit code."""

from __future__ import annotations

import io
import os
import sqlite3
import sys
from collections.abc import Mapping

import click

from engine.cli import narration
from engine.cli.exit_codes import DONE, FAILED, INTERRUPTED, WRONG_USE
from engine.cli.lazy import Entry, LazyGroup
from engine.cli.narration import Level
from engine.cli.session import Failure, Opener, Session, current
from engine.record.errors import RecordError, explain
from engine.record.visible import one_line
from engine.settings.errors import UsageError

_START, _STEER, _READ, _SET = "Start and go on", "Steer a live run", "Read", "Set up"
_COMMANDS = {
    "run": Entry("engine.cli.run:run", "Start a pipeline and follow it.", _START),
    "attach": Entry("engine.cli.run:attach", "Open the app on a run.", _START),
    "follow": Entry("engine.cli.follow:follow", "Show a run as it goes on, until it ends.", _START),
    "resume": Entry("engine.cli.steer:resume", "Go on with a paused, stopped or crashed run.", _START),
    "fork": Entry("engine.cli.steer:fork", "Start a new run from a turn of another.", _START),
    "pause": Entry("engine.cli.steer:pause", "Hold a run before its next turn.", _STEER),
    "step": Entry("engine.cli.steer:step", "Let a paused run take one turn.", _STEER),
    "skip": Entry("engine.cli.steer:skip", "Pass the floor on.", _STEER),
    "retry": Entry("engine.cli.steer:retry", "Redo the last turn; the old one is kept.", _STEER),
    "bye": Entry("engine.cli.steer:bye", "End politely, after one last answer.", _STEER),
    "stop": Entry("engine.cli.steer:stop", "End now.", _STEER),
    "say": Entry("engine.cli.steer:say", "Say something to the table, or as one of the seats.", _STEER),
    "swap": Entry("engine.cli.steer:swap", "Change a seat's model, persona or options.", _STEER),
    "edit": Entry("engine.cli.steer:edit", "Change what a turn says.", _STEER),
    "take": Entry("engine.cli.steer:take", "Speak for a seat yourself.", _STEER),
    "release": Entry("engine.cli.steer:release", "Hand a seat back to its model.", _STEER),
    "asks": Entry("engine.cli.asks:asks", "List what runs ask of you.", _STEER),
    "answer": Entry("engine.cli.asks:answer", "Answer an ask.", _STEER),
    "runs": Entry("engine.cli.runs:runs", "List runs, newest first.", _READ),
    "show": Entry("engine.cli.runs:show", "Show one run and what was said.", _READ),
    "search": Entry("engine.cli.runs:search", "Find words in everything that was said.", _READ),
    "export": Entry("engine.cli.export:export", "Write a run as a document or as training data.", _READ),
    "report": Entry("engine.cli.report:report", "Say what a run or all runs show.", _READ),
    "backup": Entry("engine.cli.runs:backup", "Copy the record safely, live runs included.", _READ),
    "rm": Entry("engine.cli.steer:rm", "Delete a run.", _READ),
    "memory": Entry("engine.cli.memory:memory", "Documents and notes that conversations draw on.", _SET),
    "models": Entry("engine.cli.models:models", "List what providers offer; fetch the embedded model.", _SET),
    "personas": Entry("engine.cli.personas:personas", "List, show, check and make guests.", _SET),
    "pipelines": Entry("engine.cli.pipelines:pipelines", "List, show and check pipelines.", _SET),
    "keys": Entry("engine.cli.keys:keys", "Keep API keys in a private file.", _SET),
    "doctor": Entry("engine.cli.doctor:doctor", "Say what works and how to get what does not.", _SET),
    "paths": Entry("engine.cli.paths:show_paths", "Say where everything is.", _SET),
    "host": Entry("engine.cli.host:host", "Play a run in this process.", ""),
}
_OF_THE_FILE = frozenset({
    sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN,
})  # fmt: skip
"""What SQLite says when the file is at fault and not the program."""
_EPILOG = """\b
RUN is an id, the beginning of one, or `last`. Every command has --help, with an example.
Exit codes: 0 done, 1 failed, 2 wrong use, 3 waiting for an answer, 130 interrupted.
Completion: eval "$(_TERTULIA_COMPLETE=bash_source tertulia)"   (or zsh_source, fish_source)
"""


def main(argv: list[str] | None = None, opener: Opener | None = None, more: Mapping[str, Entry] | None = None) -> int:
    """Do what the command line says; returns the exit code.

    `opener` is how the app is opened, where there is one; `more` are commands that it adds.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    session = Session(opener)
    narration.begin()
    try:
        code = _program(opener is not None, more or {}).main(
            args=argv, prog_name="tertulia", standalone_mode=False, obj=session
        )
    except click.Abort:
        return INTERRUPTED
    except (click.ClickException, UsageError, RecordError, Failure, OSError) as error:
        return _explain(error, session)
    except Exception as error:
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _OF_THE_FILE:
            return _explain(explain(error, session.database), session)
        if session.debug:
            raise
        _tell(f"internal error: {type(error).__name__}: {error}; please report it with what --debug shows")
        return FAILED
    return code if isinstance(code, int) else DONE


def _program(has_app: bool, more: Mapping[str, Entry]) -> click.Group:
    entries = {**_COMMANDS, **more}
    if not has_app:
        entries["attach"] = entries["attach"]._replace(section="")

    @click.version_option(None, "-V", "--version", package_name="tertulia", message="%(prog)s %(version)s")
    @click.pass_context
    @current
    def program(session: Session, ctx: click.Context) -> int | None:
        return session.open_app(None) if ctx.invoked_subcommand is None else None

    return LazyGroup(
        entries,
        name="tertulia",
        callback=program,
        invoke_without_command=True,
        params=getattr(program, "__click_params__", []),
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        help="A terminal where language models converse. Without a command, opens the app."
        if has_app
        else "A terminal where language models converse: the command line without the app.",
        epilog=_EPILOG,
    )


def _explain(error: Exception, session: Session) -> int:
    if session.debug:
        import traceback

        traceback.print_exception(error)
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        hint = f"; see `{context.command_path} --help`" if context else ""
        _tell(f"{error.format_message().rstrip('.')}{hint}")
        return WRONG_USE
    if isinstance(error, UsageError):
        _tell(str(error))
        return WRONG_USE
    if isinstance(error, OSError) and error.filename and error.strerror:
        _tell(f"{os.fsdecode(error.filename)}: {error.strerror}")
        return FAILED
    _tell(str(error))
    return FAILED


def _tell(message: str) -> None:
    narration.tell(Level.ERROR, f"tertulia: {one_line(message)}")
