"""`tertulia host RUN`: what the process of a run is started with. Not for people."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cli.session import Session, current


@click.command(hidden=True)
@click.argument("run")
@click.option(
    "--owner", type=click.Path(path_type=Path), help="End when nobody holds this lock, and delete its folder."
)
@current
def host(session: Session, run: str, owner: Path | None) -> int:
    """Play RUN in this process until it ends. `tertulia run` and `tertulia resume` start this by themselves."""
    from engine.runs import process

    return process.main(session.database, run, session.level, owner)
