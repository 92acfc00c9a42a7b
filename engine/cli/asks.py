"""What runs ask of people, and answering it from any terminal."""

from __future__ import annotations

import dataclasses

import click

from engine.cli.narration import narrate
from engine.cli.prompt import in_time
from engine.cli.session import Session, current
from engine.cli.style import paint
from engine.record import lineage
from engine.record.asks import Ask
from engine.record.export.json_lines import line
from engine.record.visible import one_line


@click.command()
@click.argument("run", metavar="[RUN]", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@current
def asks(session: Session, run: str | None, as_json: bool) -> None:
    """List the open asks of RUN (of a series, those of its runs), or of all runs, oldest first.

    \b
    Example:  tertulia asks
    """
    reader = session.reader() if run or session.database.exists() else None
    found: list[Ask] = []
    if reader:
        try:
            only = reader.find(run) if run else None
            found = [*reader.asks(only), *(lineage.open_asks(reader.db, only.n) if only else [])]
        finally:
            reader.close()
    for ask in found:
        if as_json:
            print(line(dataclasses.asdict(ask)))
            continue
        print(f"{paint(str(ask.n), 'yellow', bold=True)}  run {ask.run}  {one_line(ask.question)}")
        for option in ask.options:
            default = " (default)" if option.value == ask.fallback else ""
            print(f"     {one_line(option.value)}: {one_line(option.label)}{default}")
        if told := in_time(ask.fallback, ask.deadline):
            print(f"     {told}")
    if not found:
        narrate("nothing is asked")


@click.command()
@click.argument("ask", type=int, metavar="ASK")
@click.argument("value", metavar="VALUE")
@current
def answer(session: Session, ask: int, value: str) -> None:
    """Answer the ask number ASK, once; VALUE is one of its choices, a choice's letter, or the text wanted.

    \b
    Example:  tertulia answer 3 retry
    """
    session.control().answer(ask, value)
    narrate(f"ask {ask} is answered")
