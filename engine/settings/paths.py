"""The folders and files Tertulia uses, by the XDG rules; every one can be moved by an environment variable."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

APP = "tertulia"


def data_dir() -> Path:
    """The record, logs and model weights. Created private to the user (0700)."""
    return private_dir(platformdirs.user_data_path(APP))


def config_dir() -> Path:
    """The user's own config, personas and pipelines; not created until something is written there."""
    return Path(platformdirs.user_config_path(APP))


def state_dir() -> Path:
    """What all runs of the machine share but no record holds: rates, leases. Created private to the user."""
    return private_dir(platformdirs.user_state_path(APP))


def database(override: str | Path | None = None) -> Path:
    """The record: `--db`, else TERTULIA_DB, else tertulia.db in the data folder."""
    chosen = override or os.environ.get("TERTULIA_DB")
    return Path(chosen).expanduser().absolute() if chosen else data_dir() / "tertulia.db"


def runs_dir(database: Path) -> Path:
    """Locks and logs of the hosts of one record, beside it. Created private to the user."""
    return private_dir(database.with_name(database.name + ".runs"))


def private_dir(path: Path) -> Path:
    """`path`, made with mode 0700 where it does not exist yet."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path
