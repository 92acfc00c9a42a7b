"""What adapters over the openai and the anthropic SDK (both made by the same generator) have in common."""

from __future__ import annotations

import asyncio
import importlib
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from engine.providers import estimate, faults, translate
from engine.providers.endpoint import Endpoint
from engine.providers.protocol import Delta, Fault, Honours, Model, ProviderError, Request, Usage
from engine.providers.reading import LineReader, Patience
from engine.settings.errors import nearest

CHECK_SECONDS = 5.0

Client = TypeVar("Client")


class Parser(Protocol):
    """Deltas out of the lines of one event stream; `done` once its end marker came."""

    done: bool

    def line(self, line: bytes) -> list[Delta]: ...

    def end(self) -> list[Delta]: ...


class OverSdk(ABC, Generic[Client]):
    sdk: ClassVar[str]
    """The SDK's package. Importing it takes up to 1.5 s of CPU: only on first use, and in a thread."""

    honours: Honours

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._client: Client | None = None

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        place = self.endpoint
        translate.refuse(place, request, self.honours)
        self._check_options(request)
        coming, parser = self._call(await self._open(), request)
        patience = Patience(place.name, place.timeouts)
        begun = False
        try:
            async with AsyncExitStack() as stack:
                response = await patience.wait(stack.enter_async_context(coming))
                chunks: AsyncGenerator[bytes] = response.iter_bytes()
                stack.push_async_callback(chunks.aclose)
                reader = LineReader(chunks, patience, place.name)
                while not parser.done and (lines := await reader.batch()) is not None:
                    for line in lines:
                        for delta in parser.line(line):
                            if not begun:
                                begun = True
                                patience.heard()
                            yield delta
                for delta in parser.end():
                    if isinstance(delta, Usage):
                        estimate.learn_from(f"{place.name}/{request.model}", request, delta.prompt)
                    yield delta
                await self._drain(reader)
        except self._failures() as error:
            raise self._translated(error, request.model, begun) from None

    def defaults(self, model: str) -> dict[str, Any]:
        return dict(self.endpoint.options)

    async def _drain(self, reader: LineReader) -> None:
        """The answer is there: whatever happens now costs no more than the connection."""
        try:
            await reader.drain()
        except (TimeoutError, ProviderError):
            return
        except self._failures():
            return

    async def models(self) -> list[Model]:
        client: Any = await self._open()
        try:
            async with asyncio.timeout(self.endpoint.timeouts.idle):
                raw = await client.models.with_raw_response.list(**self._list_all)
            server = faults.clean(str(raw.http_response.headers.get("server") or ""))
            return [replace(self._model(entry), server=server) for entry in raw.http_response.json()["data"]]
        except TimeoutError:
            raise ProviderError(Fault.TIMEOUT, f"{self.endpoint.name} took too long to list its models") from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ProviderError(Fault.INVALID, f"{self.endpoint.name} sent no list of models") from None
        except self._failures() as error:
            raise self._translated(error, "") from None

    async def check(self, model: str) -> Model:
        await self._open()  # importing the SDK is not the server's time
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                known = {found.name: found for found in await self.models()}
        except TimeoutError:
            raise faults.unreachable(self.endpoint) from None
        if model not in known:
            hint = f"; {nearest(model, known)}" if known else ""
            raise ProviderError(Fault.MODEL, faults.missing_model(self.endpoint, model) + hint)
        return known[model]

    async def close(self) -> None:
        client: Any = self._client
        self._client = None
        if client is not None:
            await client.close()

    @abstractmethod
    def _check_options(self, request: Request) -> None:
        """Raises ProviderError(REFUSED) for options that the adapter does not take."""

    @abstractmethod
    def _call(self, client: Client, request: Request) -> tuple[AbstractAsyncContextManager[Any], Parser]:
        """The call that starts a stream, not yet made, and the parser for what will come."""

    _list_all: ClassVar[dict[str, Any]] = {}
    """Arguments that make the list of models complete."""

    @abstractmethod
    def _model(self, entry: Any) -> Model:
        """One entry of the server's list of models."""

    @abstractmethod
    def _connect(self, sdk: Any, **common: Any) -> Client:
        """A client of the SDK, from arguments that both take."""

    async def _open(self) -> Client:
        if self._client is None:
            secret = self.endpoint.secret()
            opened = await asyncio.to_thread(self._load, secret)
            self._client = self._client or opened
        return self._client

    def _load(self, secret: str | None) -> Client:
        faults.check_url(self.endpoint)
        sdk: Any = importlib.import_module(self.sdk)
        wait = self.endpoint.timeouts
        return self._connect(
            sdk,
            api_key=secret or "none",
            base_url=self.endpoint.url,
            max_retries=0,
            # How long an answer may take is for Patience to say.
            timeout=sdk.Timeout(None, connect=wait.connect, write=wait.idle, pool=wait.connect),
            default_headers=self.endpoint.headers,
        )

    def _failures(self) -> tuple[type[Exception], ...]:
        """What the SDK and its httpx2 raise. Asked for when something was raised, so both are imported."""
        sdk: Any = importlib.import_module(self.sdk)
        http: Any = importlib.import_module("httpx2")
        return (sdk.APIError, http.HTTPError, http.StreamError, http.InvalidURL, OSError)

    def _translated(self, error: Exception, model: str, begun: bool = False) -> ProviderError:
        response = getattr(error, "response", None)
        if response is not None:
            body = getattr(error, "body", None) or response.text
            return faults.from_status(self.endpoint, response.status_code, body, response.headers, model)
        return faults.from_transport(self.endpoint, error.__cause__ or error, begun)
