"""One child process with one local model in it: started, reached over loopback with a random key, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.providers.protocol import Fault, ProviderError

N_BATCH = 64
"""Prompt tokens between two looks at whether the caller is gone. Measured on one core with SmolLM2: 64 tokens take
0.6 s, and 64, 128 and 256 read a prompt at the same speed."""

_SCRIPT = Path(__file__).with_name("local_server.py")


@dataclass(frozen=True, slots=True)
class Spec:
    """What to load: `window` tokens of context for each of `slots` conversations, `threads` inference threads."""

    path: Path
    window: int
    slots: int
    threads: int


class ModelProcess:
    """A running model. `url` and `key` reach its server; `spec` is what it was started with."""

    def __init__(self, spec: Spec, process: asyncio.subprocess.Process, url: str, key: str) -> None:
        self.spec = spec
        self.url = url
        self.key = key
        self._process = process
        self._ended = asyncio.create_task(process.wait())

    @classmethod
    async def start(cls, spec: Spec) -> ModelProcess:
        """Load the model; cancelling ends the child. Raises ProviderError(MODEL) with the reason of a failure."""
        key = secrets.token_urlsafe(32)
        line = json.dumps(
            {
                "path": str(spec.path),
                "n_ctx": spec.window * spec.slots,
                "n_parallel": spec.slots,
                "n_batch": N_BATCH,
                "threads": spec.threads,
                "key": key,
                "parent": os.getpid(),
            }
        )
        # What C code prints belongs in the host's log; a terminal it would only disfigure.
        log = asyncio.subprocess.DEVNULL if os.isatty(2) else None
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", str(_SCRIPT), stdin=pipe, stdout=pipe, stderr=log
            )
        except OSError as error:
            raise ProviderError(Fault.MODEL, f"{spec.path}: no process for the model: {error.strerror}") from None
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(line.encode() + b"\n")
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # readline then tells that it ended
                await process.stdin.drain()
            answer = await process.stdout.readline()
            if not answer:
                code = await process.wait()
                raise ProviderError(Fault.MODEL, f"{spec.path}: the model process {_how(code)} while loading")
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        told = json.loads(answer)
        if "url" not in told:
            await process.wait()
            raise ProviderError(Fault.MODEL, f"{spec.path}: {told['error']}")
        return cls(spec, process, told["url"], key)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the child has ended, for whatever reason."""
        self._ended.add_done_callback(lambda _: callback())

    async def ending(self, seconds: float) -> str | None:
        """How the child ended, or None if it still lives after `seconds`."""
        done, _ = await asyncio.wait({self._ended}, timeout=seconds)
        return _how(self._ended.result()) if done else None

    async def close(self) -> None:
        """End the child and wait until it is gone. It holds nothing that killing it could damage."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await asyncio.shield(self._ended)


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was ended by {name}"
