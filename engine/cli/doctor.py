"""`tertulia doctor`: what works here, what does not, and how to get it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import click

from engine.cli import health, memory_health
from engine.cli.exit_codes import DONE, FAILED
from engine.cli.health import Finding, Level
from engine.cli.session import Session, current
from engine.cli.style import paint
from engine.record.visible import one_line

_MARKS = {
    Level.GOOD: ("✓", "green"),
    Level.WARNING: ("!", "yellow"),
    Level.BAD: ("✗", "red"),
    Level.ABSENT: ("·", None),
}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@current
def doctor(session: Session, as_json: bool) -> int:
    """Check Python, record, memory, models, terminal and system; asks every provider for at most 5 seconds.

    Exit code 0 if a run can be started here and recorded, else 1.

    \b
    Example:  tertulia doctor
    """
    worst = False
    can_talk = False
    for finding in _findings(session):
        worst = worst or finding.level is Level.BAD
        can_talk = can_talk or finding.talks
        _print(finding, as_json)
    if not can_talk:
        nobody = "nobody can talk: `tertulia models pull smollm2` fetches a model that runs inside the program"
        _print(Finding(Level.BAD, "models", nobody), as_json)
    return FAILED if worst or not can_talk else DONE


def _findings(session: Session) -> Iterator[Finding]:
    """All findings in reading order; what waits for others is begun first."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        waiting: list[Future[list[Finding]]] = [pool.submit(health.embedded), pool.submit(health.providers)]
        for check in (health.python, health.sqlite):
            yield check()
        yield from health.record(session.database)
        for future in waiting:
            yield from future.result()
        yield from memory_health.memory(session.database)
        yield from health.secrets()
        yield from health.system(session.database)
        yield from health.terminal()


def _print(finding: Finding, as_json: bool) -> None:
    if as_json:
        from engine.record.export.json_lines import line

        print(line({"level": finding.level.value, "what": finding.what, "text": finding.text}))
        return
    mark, colour = _MARKS[finding.level]
    print(f"{paint(mark, colour, bold=True)} {finding.what + ':':<11} {one_line(finding.text)}", flush=True)
