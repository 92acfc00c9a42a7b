"""Pipelines: the files that describe a run, listed, shown and checked."""

from __future__ import annotations

import json

import click

from engine.cli.narration import narrate
from engine.cli.style import paint, table
from engine.record.visible import one_line, visible
from engine.settings.errors import UsageError


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

    found = catalog.pipelines()
    if as_json:
        from engine.record.export.json_lines import line

        for item in found:
            print(line(item))
        return
    rows = [[item["name"], str(item["kind"] or ""), one_line(item["error"] or str(item["title"]))] for item in found]
    if rows:
        table(["name", "kind", "title"], rows, [[None, None, "red" if item["error"] else None] for item in found])
    else:
        narrate("no pipeline is here")


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

    bad = 0
    for name in names or list(files.available()):
        try:
            files.resolve(name, sets)
        except UsageError as error:
            bad += 1
            print(paint(f"✗ {one_line(str(error))}", "red"))
        else:
            print(f"✓ {name}")
    return 2 if bad else 0
