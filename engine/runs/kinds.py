"""Kinds of run, found by name: each is a module that checks a pipeline and plays a spec."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol, cast

from engine.settings.errors import UsageError, nearest

if TYPE_CHECKING:
    from engine.record.commands import Command
    from engine.runs.host import Host, Outcome

_MODULES = {"duel": "engine.talk.duel", "loop": "engine.talk.loop", "series": "engine.talk.series"}


class Play(Protocol):
    """One run being played by its host."""

    async def play(self) -> Outcome:
        """Go on from what the record holds until the run ends. Cancelled to stop it: then everything shown is kept."""
        ...

    async def command(self, command: Command) -> None:
        """Take one command in the transaction of its effect. Raises `Refused`."""
        ...

    async def close(self) -> None: ...


class Kind(Protocol):
    """The module of a kind."""

    SEED: str
    """The key of its pipelines that `--seed TEXT` sets."""

    def validate(self, pipeline: dict[str, Any], source: str) -> dict[str, Any]:
        """The complete spec of a pipeline, everything it names resolved. Raises UsageError naming file and key."""
        ...

    async def check(self, spec: dict[str, Any]) -> None:
        """Whether all the spec needs is there: keys, servers, models. At most 5 s. Raises UsageError."""
        ...

    def create(self, host: Host) -> Play: ...


def load(name: object) -> Kind:
    """The module of the kind `name`. Raises UsageError."""
    if not isinstance(name, str) or name not in _MODULES:
        hint = nearest(str(name), _MODULES) if name else f"known: {', '.join(_MODULES)}"
        raise UsageError(f"kind: {'unknown kind ' + repr(name) if name else 'missing'}; {hint}")
    return cast(Kind, importlib.import_module(_MODULES[name]))
