"""`tertulia host RUN`: what the process of a run is started with. Not for people."""

from __future__ import annotations

import click

from engine.cli.session import Session, current


@click.command(hidden=True)
@click.argument("run")
@current
def host(session: Session, run: str) -> int:
    """Play RUN in this process until it ends. `tertulia run` and `tertulia resume` start this by themselves."""
    from engine.runs import process

    return process.main(session.database, run, session.level)
