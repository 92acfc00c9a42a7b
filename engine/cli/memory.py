"""Memory: documents and notes that conversations can draw on, and what they would recall."""

from __future__ import annotations

import click

from engine.cli import memory_adding, memory_finding, memory_tree


@click.group(invoke_without_command=True)
@click.pass_context
def memory(ctx: click.Context) -> None:
    """Remember documents and notes, and find what they say.

    \b
    Example:  tertulia memory add ~/notes
              tertulia memory search "what did we decide about the harbour"
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


for _command in (
    memory_adding.add,
    memory_adding.refresh,
    memory_adding.note,
    memory_adding.forget,
    memory_adding.rebuild,
    memory_finding.search,
    memory_finding.list_,
    memory_finding.show,
    memory_tree.tree,
    memory_tree.describe,
    memory_tree.link,
):
    memory.add_command(_command)
