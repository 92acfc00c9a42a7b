"""Models that run on this machine, inside a child process of the host: the embedded one, or any GGUF file."""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.providers import gguf, leases, local_options, memory, weights
from engine.providers.endpoint import Endpoint
from engine.providers.local_process import ModelProcess, Spec
from engine.providers.local_wire import Wire
from engine.providers.protocol import Count, Delta, Fault, Honours, Model, ProviderError, Request

_LOG = logging.getLogger("tertulia.providers")
DEFAULT_WINDOW = 4096
"""Tokens of context a conversation gets unless `num_ctx` says otherwise: its cache is paid for in memory."""

_PROGRAM_BYTES = 128 << 20
"""Memory beside weights and cache. Measured with SmolLM2 and 2 x 4096 tokens: 56 MB; larger models buffer more."""


class Local:
    """The `local` endpoint. One child process for each model file, loaded by its first call, whatever the seats.

    `slots` conversations (`Request.slot`) keep their prompt caches side by side; more take turns in them. `who` names
    the run to others that wait for memory; `on_wait` hears of those that hold it when this run has to wait.
    """

    honours = Honours(options=local_options.KNOWN, answer_schema=True, prefill=True, thinking=True, exact_count=True)

    def __init__(self, place: Endpoint | None = None, *, slots: int = 2, threads: int = 1, who: str = "") -> None:
        self.who = who
        self.on_wait: Callable[[list[leases.Holder]], None] | None = None
        self._place = place or Endpoint(name="local", adapter="local")
        self._slots = slots
        self._threads = threads
        self._choices: dict[str, _Choice] = {}
        self._models: dict[Path, _Loader] = {}

    def defaults(self, model: str) -> dict[str, Any]:
        """The options below the caller's own, `num_ctx` always among them. Raises ProviderError(MODEL)."""
        return dict(self._chosen(model).options)

    async def stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        """Deltas of one answer. Closing the iterator frees the slot within one small batch of prompt tokens."""
        async with (
            self._serving(request) as (running, options),
            running.turn(request.slot) as slot,
            aclosing(running.wire.stream(request, options, slot)) as deltas,
        ):
            async for delta in deltas:
                yield delta

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        raise ProviderError(Fault.REFUSED, "local chat models give no embeddings; use one of ollama or openai")

    async def count(self, request: Request) -> Count:
        """Exactly the prompt tokens that `stream` would report. Loads the model."""
        async with self._serving(request) as (running, options):
            return Count(await running.wire.tokens(await running.wire.prompt(request, options)), exact=True)

    async def models(self) -> list[Model]:
        """The embedded models that have been fetched, and GGUF files put into the models folder."""
        here = [name for name in weights.known() if weights.path(name)]
        taken = {weights.path(name) for name in here}
        found = [await self.check(name) for name in here]
        for place in sorted(weights.folder().glob("*.gguf")):
            if place not in taken:
                try:
                    found.append(await self.check(place.name))
                except ProviderError as error:  # one bad file must not hide the others
                    found.append(Model(place.name, note=str(error)))
        return found

    async def check(self, model: str) -> Model:
        """The model once its file is there and whole, is a language model and could fit; `size` is for memory."""
        choice = self._chosen(model)
        if model not in weights.known():  # those have a size of their own, and a hash
            await asyncio.to_thread(gguf.check_whole, choice.path)
        size = self._bytes(choice.header, choice.options["num_ctx"])
        if size > memory.capacity():
            raise ProviderError(
                Fault.MODEL,
                f"{model} needs {size / 1e9:.1f} GB of memory, more than this machine's {memory.capacity() / 1e9:.1f}",
            )
        server = f"xllamacpp {importlib.metadata.version('xllamacpp')}"
        weighs = choice.header.file_bytes
        return Model(
            model, choice.header.window, size, choice.note, choice.memory, server, choice.digest, file_bytes=weighs
        )

    async def close(self) -> None:
        """End every child process and give its memory back."""
        for loader in self._models.values():
            await loader.close()

    @asynccontextmanager
    async def _serving(self, request: Request) -> AsyncIterator[tuple[_Running, dict[str, Any]]]:
        """The running model for a request and the request's complete options; its faults told with their cause."""
        if request.tools:
            raise ProviderError(Fault.REFUSED, "local models take no tools; give that seat another provider's model")
        if request.prefill and request.answer_schema is not None:
            raise ProviderError(Fault.REFUSED, "a local model cannot both continue a text and follow an answer schema")
        choice = self._chosen(request.model)
        options = local_options.checked({**choice.options, **request.options})
        window: int = options["num_ctx"]
        if window > choice.header.window:
            raise ProviderError(
                Fault.REFUSED, f"num_ctx: {request.model} has a context of {choice.header.window} tokens, not {window}"
            )
        loader = self._models.setdefault(choice.path, _Loader())
        spec = Spec(choice.path, window, self._slots, self._threads)
        size = self._bytes(choice.header, window)

        async def load() -> _Running:
            lease = await leases.acquire(request.model, size, self.who, self.on_wait)
            began = time.monotonic()
            try:
                process = await ModelProcess.start(spec)
            except BaseException:
                lease.release()
                raise
            process.on_end(lease.release)
            try:
                lease.taken_by(process.pid)
            except BaseException:
                await process.close()
                raise
            _LOG.debug("%s: loaded in %.2f s, %.1f GB promised", request.model, time.monotonic() - began, size / 1e9)
            return _Running(process, Wire(process.url, process.key, self._place.timeouts))

        running = await loader.get(window, load)
        try:
            yield running, options
        except ProviderError as error:
            if error.fault is Fault.BROKEN and (how := await running.process.ending(1.0)):
                raise ProviderError(
                    Fault.BROKEN, f"the process of {request.model} {how}; it is started again"
                ) from None
            raise
        finally:
            running.leave()

    def _chosen(self, model: str) -> _Choice:
        """What `model` means; looked up once, since every call asks."""
        if model not in self._choices:
            path = weights.resolve(model).resolve()
            header = gguf.read(path)
            embedded = weights.known().get(model)
            own = embedded.options if embedded else {}
            if embedded and embedded.window:
                header = replace(header, window=min(header.window, embedded.window))
            options = {"num_ctx": min(DEFAULT_WINDOW, header.window), **own, **self._place.options}
            self._choices[model] = _Choice(
                path,
                header,
                options,
                embedded.description if embedded else header.name,
                embedded.memory if embedded else None,
                f"sha256:{embedded.sha256}" if embedded else "",
            )
        return self._choices[model]

    def _bytes(self, header: gguf.Header, window: int) -> int:
        return header.file_bytes + header.kv_bytes * window * self._slots + _PROGRAM_BYTES


@dataclass(frozen=True, slots=True)
class _Choice:
    """A model that is here: its file, and the options below the caller's own."""

    path: Path
    header: gguf.Header
    options: dict[str, Any]
    note: str
    memory: int | None
    digest: str


class _Running:
    """A loaded model: its process, its wire, and which conversation sits in which slot."""

    def __init__(self, process: ModelProcess, wire: Wire) -> None:
        self.process = process
        self.wire = wire
        self._seats: OrderedDict[str, int] = OrderedDict()
        self._turns = [asyncio.Lock() for _ in range(process.spec.slots)]
        self._calls = 0
        self._idle = asyncio.Event()

    @asynccontextmanager
    async def turn(self, seat: str) -> AsyncIterator[int]:
        """The slot of `seat`, ours alone meanwhile; a new seat gets a free one, or that used longest ago."""
        if seat not in self._seats:
            full = len(self._seats) == len(self._turns)
            self._seats[seat] = self._seats.popitem(last=False)[1] if full else len(self._seats)
        self._seats.move_to_end(seat)
        slot = self._seats[seat]
        async with self._turns[slot]:
            yield slot

    def enter(self) -> None:
        self._calls += 1
        self._idle.clear()

    def leave(self) -> None:
        self._calls -= 1
        if not self._calls:
            self._idle.set()

    async def close(self, patient: bool) -> None:
        """End the process; a `patient` close lets calls under way come to their end."""
        if patient and self._calls:
            await self._idle.wait()
        await self.process.close()
        await self.wire.close()


class _Loader:
    """Loads one model file at most once at a time, and again when its process has ended or its context is too small."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._running: _Running | None = None
        self._loading: asyncio.Task[_Running] | None = None

    async def get(self, window: int, load: Callable[[], Coroutine[Any, Any, _Running]]) -> _Running:
        """The running model, entered: the caller must `leave` it. Cancelling ends a load under way."""
        async with self._lock:
            if self._running and not (self._running.process.alive and self._running.process.spec.window >= window):
                await self._running.close(patient=self._running.process.alive)
                self._running = None
            if self._running is None:
                self._loading = asyncio.create_task(load())
                try:
                    self._running = await self._loading
                except asyncio.CancelledError:
                    if (task := asyncio.current_task()) and task.cancelling():
                        raise
                    raise ProviderError(Fault.BROKEN, "the model was closed while it was loading") from None
                finally:
                    self._loading = None
            self._running.enter()
            return self._running

    async def close(self) -> None:
        if self._loading:
            self._loading.cancel()
        if running := self._running:
            self._running = None
            await running.close(patient=False)
