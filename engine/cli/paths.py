"""`tertulia paths`: where the record, logs, models, configuration and shipped files are."""

from __future__ import annotations

import json

import click

from engine.cli.session import Session, current


@click.command("paths")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@current
def show_paths(session: Session, as_json: bool) -> None:
    """Say where everything is; a folder that is not there yet is made when something is written to it.

    \b
    Example:  tertulia paths --json | jq -r .record
    """
    from engine.settings import keys, paths, shipped

    database = session.database
    found = {
        "record": database,
        "logs": database.with_name(database.name + ".runs"),
        "models": _models(),
        "config": paths.config_dir(),
        "keys": keys.file(),
        "app settings": paths.config_dir() / "app.yml",
        "app keymap": paths.config_dir() / "keymap.yml",
        "own personas": paths.config_dir() / "personas",
        "own pipelines": paths.config_dir() / "pipelines",
        "shipped personas": shipped.folder("personas"),
        "shipped pipelines": shipped.folder("pipelines"),
        "shipped config": shipped.folder("config"),
    }
    if as_json:
        print(json.dumps({name.replace(" ", "_"): str(path) for name, path in found.items()}, ensure_ascii=False))
        return
    for name, path in found.items():
        print(f"{name:<18} {path}")


def _models() -> object:
    from engine.providers import weights

    return weights.folder()
