"""Finding the files to read below what the user named: no link is followed, nothing but regular files is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.memory import kinds
from engine.settings.errors import UsageError


@dataclass(frozen=True, slots=True)
class Source:
    path: str
    kind: str
    size: int
    mtime_ns: int


@dataclass(slots=True)
class Walk:
    """What was met on the way. `closed` are folders that could not be looked into."""

    skip: Collection[str]
    links: int = 0
    unknown: int = 0
    closed: list[str] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)

    def below(self, root: str) -> Iterator[Source]:
        """The readable files at or below `root`, an absolute path, folders in alphabetical order.

        A file that the user named must be of a kind that can be read; in a folder others are passed over and counted.
        """
        if not Path(root).is_dir():
            named = self._source(root, root.rpartition("/")[2], named=True)
            if named:
                yield named
            return
        folders = [root]
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(folder) as found:
                    entries = sorted(found, key=lambda entry: entry.name)
            except OSError as error:
                self.closed.append(folder)
                self.faults.append((folder, f"cannot be looked into: {error.strerror}"))
                continue
            deeper = []
            for entry in entries:
                if entry.name in self.skip:
                    continue
                if entry.is_symlink():
                    self.links += 1
                elif entry.is_dir(follow_symlinks=False):
                    deeper.append(entry.path)
                elif source := self._source(entry.path, entry.name, named=False):
                    yield source
            folders += reversed(deeper)

    def _source(self, path: str, name: str, *, named: bool) -> Source | None:
        kind = kinds.of(name)
        if kind is None:
            if named:
                self.faults.append((path, f"not a kind of file that can be read; {kinds.CAN_READ} can"))
            else:
                self.unknown += 1
            return None
        try:
            path.encode()
            seen = Path(path).stat(follow_symlinks=named)
        except UnicodeEncodeError:
            self.faults.append((path, "its name is not UTF-8; rename it"))
            return None
        except OSError as error:
            self.faults.append((path, f"cannot be read: {error.strerror}"))
            return None
        if not stat.S_ISREG(seen.st_mode):
            self.faults.append((path, "not a regular file"))
            return None
        return Source(path, kind, seen.st_size, seen.st_mtime_ns)


def absolute(given: str) -> str:
    """The absolute path of what the user named, which must be there; links on the way to it are followed.

    Raises UsageError.
    """
    try:
        return str(Path(given).expanduser().resolve(strict=True))
    except (RuntimeError, ValueError) as error:  # a loop of links, a NUL character
        why = "a loop of links" if isinstance(error, RuntimeError) else str(error)
        raise UsageError(f"{given}: {why}") from None
    except OSError as error:
        raise UsageError(f"{given}: {(error.strerror or str(error)).lower()}") from None
