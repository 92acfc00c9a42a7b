"""Models: what every provider offers right now, and the embedded one fetched once."""

from __future__ import annotations

import sys
from typing import Any

import click

from engine.cli.narration import narrate, shows_progress, warn
from engine.cli.session import Failure
from engine.cli.style import paint
from engine.record.export.json_lines import line
from engine.record.visible import one_line


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_context
def models(ctx: click.Context, as_json: bool) -> None:
    """List the models of every provider that answers, and why the others do not.

    \b
    Example:  tertulia models
    """
    if ctx.invoked_subcommand is not None:
        return
    from engine.runs import catalog

    listed = catalog.models()
    if as_json:
        for item in listed:
            print(line(item))
        return
    for item in listed:
        if item["error"] is None:
            print(_described(item))
    for item in listed:
        if item["error"] is not None:
            warn(f"{item['endpoint']}: {one_line(item['error'])}")


@models.command()
@click.argument("name", metavar="NAME")
def pull(name: str) -> None:
    """Fetch the weights of the embedded model NAME, once; they are checked before they are used.

    \b
    Example:  tertulia models pull smollm2
    """
    from engine.providers import weights
    from engine.providers.protocol import ProviderError

    try:
        had = weights.path(name)
        place = weights.pull(name, _progress)
    except ProviderError as error:
        raise Failure(str(error)) from None
    finally:
        if shows_progress():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    narrate(f"{name} is here{' already' if had else ''}: {place} (licence: {weights.licence(name)})")


def _progress(done: int, total: int) -> None:
    """A bar on a terminal, nothing elsewhere."""
    if not shows_progress():
        return
    full = done * 30 // max(total, 1)
    size = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
    print(f"\r{'━' * full}{'─' * (30 - full)} {size}\x1b[K", end="", file=sys.stderr, flush=True)


def _described(item: dict[str, Any]) -> str:
    window = f"{item['window']:,} tokens" if item.get("window") else ""
    about = ", ".join(filter(None, [window, one_line(item.get("note") or "")]))
    return f"{one_line(item['name'])}  {paint(about, dim=True)}".rstrip()
