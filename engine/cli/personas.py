"""Guests: listed, shown, checked, and begun from a template."""

from __future__ import annotations

import click

from engine.cli import listing
from engine.cli.narration import narrate
from engine.record.visible import one_line, visible


@click.group(invoke_without_command=True)
@click.pass_context
def personas(ctx: click.Context) -> None:
    """List the guests; or show, check or make one.

    \b
    Example:  tertulia personas show eliza
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_personas)


@personas.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_personas(as_json: bool = False) -> None:
    """List the guests that a pipeline can name.

    \b
    Example:  tertulia personas list --json
    """
    from engine.runs import catalog

    listing.show(catalog.personas(), as_json, ["name", "guest", "", "", "description"], _row, "no guest is here")


def _row(item: listing.Item) -> list[str]:
    about = item["error"] or item["description"] or ""
    name, language = one_line(item["name"] or ""), item["language"] or ""
    return [item["slug"], name, language, "yours" if item["own"] else "", one_line(about)]


@personas.command()
@click.argument("name", metavar="NAME")
def show(name: str) -> None:
    """Show the guest NAME (a name or a file) as its model is told about it.

    \b
    Example:  tertulia personas show parry
    """
    from engine.talk import personas as files

    guest = files.find(name)
    narrate(str(guest.path))
    for key, value in (("model", guest.model), ("options", dict(guest.options)), ("examples", len(guest.examples))):
        if value:
            narrate(f"{key}: {one_line(str(value))}")
    print(visible(guest.body))


@personas.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
def check(names: tuple[str, ...]) -> int:
    """Check the guests NAME... (names or files), or all of them; exit code 2 if one is not well.

    \b
    Example:  tertulia personas check my-guest.md
    """
    from engine.talk import personas as files

    def look(name: str) -> str:
        guest = files.find(name)
        return f"{one_line(guest.name)} ({guest.path})"

    return listing.check(names or [item.slug for item in files.available()], look)


@personas.command()
@click.argument("name", metavar="NAME")
@click.option("--description", default="Guest at the table", show_default=True, help="Who that is, in a few words.")
@click.option("--language", metavar="xx", help="Two letters, such as en.")
@click.option("--gender", metavar="m|f|n", help="Used in the title.")
def new(name: str, description: str, language: str | None, gender: str | None) -> None:
    """Write a template for a new guest into your own folder and print its path.

    \b
    Example:  tertulia personas new "Mara Quill" --description "Lighthouse keeper" --language en
    """
    from engine.talk import personas as files

    path = files.new(name, description, language=language, gender=gender)
    print(path)
    narrate(f"edit it, then `tertulia personas check {path.stem}`")
