"""API keys: kept in a file that only you can read; never in arguments, never printed."""

from __future__ import annotations

import sys

import click

from engine.cli.narration import narrate, warn
from engine.settings import keys as stored
from engine.settings.errors import UsageError, nearest


@click.group(invoke_without_command=True)
@click.pass_context
def keys(ctx: click.Context) -> None:
    """Keep API keys in a private file; an environment variable of the same name, or a `.env` file here, wins.

    \b
    Example:  tertulia keys set OPENAI_API_KEY
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_keys)


@keys.command("set")
@click.argument("name", metavar="NAME")
def set_key(name: str) -> None:
    """Store the key NAME, read from a hidden prompt, or from stdin where that is no terminal.

    \b
    Example:  pass show openai | tertulia keys set OPENAI_API_KEY
    """
    if sys.stdin.isatty():
        value = click.prompt(f"{name} (not shown)", hide_input=True, default="", show_default=False, err=True)
    else:
        value = sys.stdin.readline()
    if not value.strip():
        raise UsageError(f"no key was given; `tertulia keys rm {name}` removes one")
    path = stored.put(name, value)
    narrate(f"{name} is kept in {path}")
    source = stored.source(name)
    if source == "environment":
        warn(f"the environment variable {name} is set too, and wins")
    elif source != str(path):
        warn(f"{name} is in {source} too, which wins in that folder")


@keys.command("list")
def list_keys() -> None:
    """List the names of keys and where each is kept; never their values.

    \b
    Example:  tertulia keys list
    """
    wanted = stored.wanted()
    for name in sorted({*stored.names(), *wanted}):
        source = stored.source(name)
        where = {None: "not set", str(stored.file()): "file", str(stored.folder_file()): ".env"}.get(source, source)
        user = f"  for {wanted[name]}" if name in wanted else ""
        print(f"{name:<24} {where:<12}{user}".rstrip())


@keys.command("rm")
@click.argument("name", metavar="NAME")
def remove(name: str) -> None:
    """Forget the key NAME.

    \b
    Example:  tertulia keys rm OPENAI_API_KEY
    """
    if name not in stored.names():
        raise UsageError(f"no key {name!r} is kept here; {nearest(name, stored.names())}")
    stored.put(name, "")
    narrate(f"{name} is forgotten")
