"""`tertulia follow`: any terminal watching any run, from its first event or from a later one."""

from __future__ import annotations

import click

from engine.cli.feed import Feed
from engine.cli.narration import narrate, warn
from engine.cli.plain import Plain
from engine.cli.session import Session, current, run_argument
from engine.cli.watch import exit_code
from engine.record.export.json_lines import escaped
from engine.record.runs import Status
from engine.record.turns import State
from engine.record.visible import one_line


@click.command()
@run_argument
@click.option("--from", "first", type=click.IntRange(min=0), default=0, metavar="ID", help="Begin with the event ID.")
@click.option("--json", "as_json", is_flag=True, help="Every event as a line of JSON.")
@current
def follow(session: Session, run: str, first: int, as_json: bool) -> int:
    """Show RUN from its beginning and as it goes on, until it ends or crashes. Watching changes nothing.

    Exit code 0 if the run finished or was stopped, 1 if it failed or crashed. Ctrl-C ends the watching only.

    \b
    Example:  tertulia follow last --json --from 120
    """
    feed = Feed(session.database, run)
    try:
        plain = None if as_json else Plain(feed.seats())
        if plain:
            narrate(f"run {feed.run.id}: {one_line(feed.run.title)}")
            if not first:
                _inherited(feed, plain)
        for batch in feed.events(first - 1 if first else 0):
            for event in batch:
                if plain:
                    plain.show(event)
                else:
                    print(escaped(event.as_json()), flush=True)
        if plain:
            plain.close()
        if feed.run.status is Status.CRASHED:
            warn(f"run {feed.run.id} crashed; `tertulia resume {feed.run.id}` goes on from its last finished turn")
        return exit_code(feed.run)
    finally:
        feed.close()


def _inherited(feed: Feed, plain: Plain) -> None:
    """What a fork shares with its parent is not among its own events."""
    if not feed.run.forked_at:
        return
    narrate(f"shared with run {feed.run.parent} up to turn {feed.run.forked_at}")
    for turn in feed.reader.turns(feed.run):
        if turn.seq <= feed.run.forked_at and turn.state is State.FINISHED:
            plain.say(turn.seat, turn.text, note=turn.role == "note")
