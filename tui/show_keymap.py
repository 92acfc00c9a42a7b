"""`tertulia keymap`: every command of the app, its id, its keys, and what it does."""

from __future__ import annotations

import sys

import click


@click.command("keymap")
def show_keymap() -> None:
    """List the app's commands, their keys, and the ids under which keymap.yml changes them.

    \b
    Example:  tertulia keymap | grep runs
    """
    from tui import keymap

    chosen = keymap.load()
    rows = [
        (str(item.id), chosen.get(str(item.id), item.key), item.tooltip or item.description) for item in keymap.known()
    ]
    width, keys = (max(len(row[column]) for row in rows) for column in (0, 1))
    for name, key, about in rows:
        print(f"{name:<{width}}  {key:<{keys}}  {about}")
    print(f"\nYour own go into {keymap.file()}, for example\n    runs.stop: ctrl+x", file=sys.stderr)
