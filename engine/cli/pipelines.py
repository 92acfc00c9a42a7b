"""Pipelines: the files that describe a run, listed, shown and checked."""

from __future__ import annotations

import json
from pathlib import Path

import click

from engine.cli import listing
from engine.cli.narration import narrate
from engine.cli.session import Session, current, run_argument
from engine.record.visible import one_line, visible


@click.group(invoke_without_command=True)
@click.pass_context
def pipelines(ctx: click.Context) -> None:
    """List the pipelines that `tertulia run` can name; or show or check one.

    \b
    Example:  tertulia pipelines show eliza-meets-parry
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_pipelines)


@pipelines.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_pipelines(as_json: bool = False) -> None:
    """List the pipelines that can be named.

    \b
    Example:  tertulia pipelines list --json
    """
    from engine.runs import catalog

    listing.show(catalog.pipelines(), as_json, ["name", "kind", "title"], _row, "no pipeline is here")


def _row(item: listing.Item) -> list[str]:
    return [item["name"], str(item["kind"] or ""), one_line(item["error"] or str(item["title"]))]


@pipelines.command()
@click.argument("name", metavar="NAME")
@click.option("--spec", is_flag=True, help="The complete description it becomes, as JSON.")
def show(name: str, spec: bool) -> None:
    """Show the pipeline NAME (a name or a file) as it is written.

    \b
    Example:  tertulia pipelines show eliza-meets-parry --spec
    """
    from engine.runs import pipelines as files
    from engine.settings import yaml_file

    if spec:
        print(json.dumps(files.resolve(name), indent=2))
        return
    path = files.find(name)
    narrate(str(path))
    print(visible(yaml_file.read_text(path)), end="")


@pipelines.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--set", "sets", multiple=True, metavar="K=V", help="Override a key first.")
def check(names: tuple[str, ...], sets: tuple[str, ...]) -> int:
    """Check the pipelines NAME... (names or files), or all of them; exit code 2 if one is not well.

    This reads files only: whether keys, servers and models are there is checked when a run starts.

    \b
    Example:  tertulia pipelines check my-talk.yml --set limits.turns=6
    """
    from engine.runs import pipelines as files

    def look(name: str) -> str:
        files.resolve(name, sets)
        return name

    return listing.check(names or list(files.available()), look)


@pipelines.command("next")
@run_argument
@click.option("--mutation", metavar="NAME", help="What is asked besides; the first of evolution.yml unless it is said.")
@click.option("-o", "--output", metavar="FILE", help="Where to; else to stdout.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@current
def next_pipeline(session: Session, run: str, mutation: str | None, output: str | None, force: bool) -> None:
    """Write the run that would follow series RUN as a pipeline of its own, with goal, hypotheses and a rubric.

    \b
    Example:  tertulia pipelines next last -o next.yml && tertulia run next.yml
    """
    from engine.cli.export import refuse, write
    from engine.talk import next_experiment

    reader = session.reader()
    try:
        text = next_experiment.scaffold(reader.db, reader.find(run), mutation)
    finally:
        reader.close()
    if output is None:
        print(text, end="")
        return
    place = Path(output).expanduser()
    refuse([place], force)
    write(place, text, force)
    narrate(f"{place}; `tertulia run {place}` plays it")
