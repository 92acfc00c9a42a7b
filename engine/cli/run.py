"""`tertulia run`: start a pipeline, then show it in the app, as text, as events, or not at all."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

import click

from engine.cli.exit_codes import DONE
from engine.cli.narration import narrate
from engine.cli.session import Session, current, on_terminal, run_argument


@click.command()
@click.argument("pipeline", metavar="PIPELINE")
@click.option("--set", "sets", multiple=True, metavar="K=V", help="Override a key of it, such as limits.turns=6.")
@click.option("--seed", metavar="TEXT", help="What the talk opens with.")
@click.option("--plain", is_flag=True, help="The conversation as text on stdout.  [default without a terminal]")
@click.option("--json", "as_json", is_flag=True, help="Every event as a line of JSON on stdout.")
@click.option("--detach", is_flag=True, help="Print the run's id and leave it to itself.")
@click.option("--no-transcript", is_flag=True, help="Keep nothing: shown as text or JSON, then gone.")
@click.option(
    "--answers",
    type=click.Choice(["ask", "default", "fail"]),
    default="ask",
    show_default=True,
    help="What happens when the run asks something: you are asked, the default is taken, or the run fails.",
)
@current
def run(session: Session, /, pipeline: str, sets: tuple[str, ...], answers: str, **how: Any) -> int:
    """Start PIPELINE (a name or a file) as a process of its own, and follow it.

    The run goes on when you leave. Ctrl-C asks what it means; without a terminal it stops the run. Without
    a terminal, what `--answers` leaves open is named on stderr and the run left waiting: exit code 3.

    A run with --no-transcript is recorded in a private folder that is deleted when it ends or is interrupted; it
    ends with its terminal, and cannot be left, resumed or shown again.

    \b
    Example:  tertulia run eliza-meets-parry --plain --set limits.turns=6
    """
    modes = [name for name in ("plain", "as_json", "detach") if how[name]]
    if len(modes) > 1:
        raise click.UsageError("choose one of --plain, --json and --detach", click.get_current_context())
    if how["no_transcript"]:
        return _unkept(session, pipeline, sets, answers, how)
    run_id = session.control().start(pipeline, sets, seed=how["seed"], answers=answers)
    if how["detach"]:
        print(run_id, flush=True)
        narrate(f"run {run_id} goes on by itself; `tertulia follow {run_id}` shows it")
        return DONE
    if not modes and session.opener is not None and on_terminal():
        return session.open_app(run_id)
    from engine.cli.watch import Watch

    return Watch(session, run_id, as_json=how["as_json"], answers=answers).run()


def _unkept(session: Session, pipeline: str, sets: tuple[str, ...], answers: str, how: dict[str, Any]) -> int:
    """The run, watched to its end in a record that is deleted then."""
    if how["detach"]:
        raise click.UsageError(
            "--no-transcript: what leaves nothing behind cannot be left to itself; leave out --detach",
            click.get_current_context(),
        )
    if session.override:
        raise click.UsageError("--no-transcript keeps no record, --db names one: choose", click.get_current_context())
    from engine.cli.watch import Watch
    from engine.runs.throwaway import Throwaway

    with _ending_with_the_terminal(), Throwaway() as place:
        session.override = str(place.database)
        run_id = session.control(place.owner).start(pipeline, sets, seed=how["seed"], answers=answers)
        code = Watch(session, run_id, as_json=how["as_json"], answers=answers, kept=False).run()
    narrate(f"nothing of run {run_id} is kept")
    return code


@contextlib.contextmanager
def _ending_with_the_terminal() -> Iterator[None]:
    """Let what ends this process end the run first."""

    def end(*_: object) -> None:
        for number in caught:
            signal.signal(number, signal.SIG_IGN)
        raise click.Abort

    caught = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, end) for number in caught}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.command()
@run_argument
@current
def attach(session: Session, run: str) -> int:
    """Open the app on RUN. Any number of terminals may be attached to one run.

    \b
    Example:  tertulia attach last
    """
    return session.open_app(session.find(run))
