"""Commands to runs: each hands one request to the run's host, or starts one."""

from __future__ import annotations

import sys
from typing import Any

import click

from engine.cli.narration import narrate
from engine.cli.session import Session, current, run_argument
from engine.settings.errors import UsageError

_SETS = click.option("--set", "sets", multiple=True, metavar="K=V", help="Change a key of the run's description.")


@click.command()
@run_argument
@_SETS
@current
def resume(session: Session, run: str, sets: tuple[str, ...]) -> None:
    """Let a paused RUN go on, or start a process for one that stopped, failed or crashed.

    A finished run goes on when what ended it is raised.

    \b
    Example:  tertulia resume last --set limits.turns=40
    """
    run = session.find(run)
    session.control().resume(run, sets)
    narrate(f"run {run} goes on; `tertulia follow {run}` shows it")


@click.command()
@run_argument
@click.option("--at", type=click.IntRange(min=0), required=True, metavar="TURN", help="The last turn that is shared.")
@_SETS
@current
def fork(session: Session, run: str, at: int, sets: tuple[str, ...]) -> None:
    """Start a new run that shares RUN up to a turn and goes its own way from there. Prints the new run's id.

    \b
    Example:  tertulia fork last --at 4 --set seats.1.model=ollama/llama3.2
    """
    child = session.control().fork(session.find(run), at, sets)
    print(child, flush=True)
    narrate(f"run {child} goes on by itself; `tertulia follow {child}` shows it")


def _verb(name: str, done: str, about: str) -> click.Command:
    @click.command(name, help=f"{about}\n\n\b\nExample:  tertulia {name} last")
    @run_argument
    @current
    def command(session: Session, run: str) -> None:
        run = session.find(run)
        getattr(session.control(), name)(run)
        narrate(f"run {run}: {done}")

    return command


pause = _verb("pause", "will pause", "Hold RUN: nothing new is started until `resume` or `step`.")
step = _verb("step", "will take one turn", "Let a paused RUN take one turn; a running one pauses after this turn.")
skip = _verb("skip", "will skip the turn", "Pass the floor on: the turn in progress, or the next one, is not taken.")
retry = _verb("retry", "will redo the turn", "Redo the last turn, or the one in progress. The old text is kept.")
bye = _verb("bye", "will end after one last answer", "End RUN politely: one last answer, then it is finished.")
stop = _verb("stop", "will stop", "End RUN now. What was said so far is kept, and `resume` can go on with it.")


@click.command()
@run_argument
@click.argument("text", metavar="TEXT")
@click.option("--as", "seat", metavar="SEAT", help="Make it this seat's next turn.")
@click.option("--now", is_flag=True, help="Cut the turn in progress; what was said of it is kept as a partial.")
@current
def say(session: Session, run: str, text: str, seat: str | None, now: bool) -> None:
    """Say TEXT to all seats before the next turn, marked as yours. `-` reads it from stdin.

    \b
    Example:  tertulia say last "Talk about the weather." --now
    """
    run = session.find(run)
    session.control().say(run, _text(text), seat, now)
    narrate(f"run {run}: your words are on their way")


@click.command()
@run_argument
@click.argument("seat", metavar="SEAT")
@click.argument("changes", nargs=-1, required=True, metavar="K=V...")
@current
def swap(session: Session, run: str, seat: str, changes: tuple[str, ...]) -> None:
    """Change SEAT's model, persona or options from its next turn on.

    \b
    Example:  tertulia swap last PARRY model=ollama/llama3.2 options.temperature=0.9
    """
    from engine.settings import layers

    run = session.find(run)
    wanted: dict[str, Any] = layers.apply({}, changes)
    session.control().swap(run, seat, wanted)
    narrate(f"run {run}: {seat} will change")


@click.command()
@run_argument
@click.argument("turn", type=click.IntRange(min=1), metavar="TURN")
@click.argument("text", metavar="TEXT")
@current
def edit(session: Session, run: str, turn: int, text: str) -> None:
    """Change what TURN says (`-` reads it from stdin); the old text is kept. Prints the run that has the change.

    That is RUN itself for its last turn; a turn that others follow makes a fork, which goes its own way from there.

    \b
    Example:  tertulia edit last 3 "I beg your pardon."
    """
    run = session.find(run)
    changed = session.control().edit(run, turn, _text(text))
    print(changed, flush=True)
    if changed != run:
        narrate(f"others followed turn {turn}: run {changed} is a fork that goes on from the change")


def _seat_verb(name: str, done: str, about: str) -> click.Command:
    @click.command(name, help=f"{about}\n\n\b\nExample:  tertulia {name} last PARRY")
    @run_argument
    @click.argument("seat", metavar="SEAT")
    @current
    def command(session: Session, run: str, seat: str) -> None:
        run = session.find(run)
        getattr(session.control(), name)(run, seat)
        narrate(f"run {run}: {done.format(seat=seat, run=run)}")

    return command


take = _seat_verb(
    "take",
    "{seat} will be yours; `tertulia asks {run}` when it is your turn",
    "Speak for SEAT yourself from its next turn on: the run asks you, here or in any terminal.",
)
release = _seat_verb("release", "{seat} will be its model's again", "Hand SEAT back to its model.")


@click.command()
@run_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@current
def rm(session: Session, run: str, yes: bool) -> None:
    """Delete RUN from the record, with its log. A live run, or one that others were forked from, stays.

    \b
    Example:  tertulia rm 3fd2 --yes
    """
    reader = session.reader()
    try:
        found = reader.find(run)
    finally:
        reader.close()
    if not yes:
        from engine.cli.prompt import confirm
        from engine.record.visible import one_line

        if not sys.stdin.isatty():
            raise UsageError(f"rm deletes run {found.id} for good; say --yes")
        question = f"Delete run {found.id} ({one_line(found.title, 60)}, {found.turns} turns)?"
        if not confirm(question):
            narrate(f"run {found.id} stays")
            return
    session.control().delete(found.id)
    narrate(f"run {found.id} is deleted")


def _text(given: str) -> str:
    return sys.stdin.read() if given == "-" else given
