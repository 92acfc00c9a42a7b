"""Ollama, over its own SDK.

Ollama drops the front of a prompt that does not fit its context, system text first, and answers 200. The only sign is
`prompt_eval_count`. The rule here: a prompt is reported as truncated when the count is below what the prompt has at
the very least, and the prompt may be larger than the context. The second half keeps servers that leave cached tokens
out of the count (before 0.2, and some of 0.30) from raising false alarms on prompts that fit.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.providers import estimate, faults, ollama_wire, translate
from engine.providers.endpoint import Endpoint
from engine.providers.protocol import (
    Count,
    Delta,
    Fault,
    Honours,
    Model,
    ProviderError,
    Request,
    Truncated,
    Usage,
)
from engine.providers.reading import DRAIN_SECONDS, Patience

if TYPE_CHECKING:
    import ollama

CHECK_SECONDS = 5.0


class Ollama:
    """`think` is true, false, or an effort (low, medium, high) for models that know efforts."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._names = {**ollama_wire.OPTIONS, **endpoint.extra_options}
        self.honours = Honours(
            options=frozenset(self._names),
            tools=True,
            answer_schema=True,
            prefill=endpoint.prefill,
            thinking=True,
            embed=endpoint.embed,
        )
        self._client: ollama.AsyncClient | None = None

    async def stream(self, request: Request) -> AsyncIterator[Delta]:
        place = self.endpoint
        translate.refuse(place, request, self.honours)
        options = translate.options(place, request, self._names)
        think = options.pop("think", None)
        client = await self._open()
        answer = ollama_wire.Answer(place, request)
        patience = Patience(place.name, place.timeouts)
        begun = False
        try:
            parts = await client.chat(
                model=request.model,
                messages=ollama_wire.messages(request),
                tools=ollama_wire.tools(request),
                stream=True,
                think=think,
                format=dict(request.answer_schema) if request.answer_schema is not None else None,
                options=options,
            )
            async with aclosing(parts):  # type: ignore[type-var]  # the SDK returns an async generator
                while not answer.done:
                    try:
                        part = await patience.wait(anext(parts))
                    except StopAsyncIteration:
                        break
                    except (ValueError, TypeError, AttributeError):  # what the SDK makes of JSON that is no answer
                        raise ProviderError(
                            Fault.INVALID, f"{place.name} sent a part that is not of Ollama's format"
                        ) from None
                    for delta in answer.part(part):
                        begun = True
                        patience.heard()
                        yield delta
                for delta in answer.end():
                    if isinstance(delta, Usage):
                        if truncated := await self._truncated(client, request, options, delta.prompt):
                            yield truncated
                        else:
                            estimate.learn_from(self._known_as(request.model), request, delta.prompt)
                    yield delta
                await self._drain(parts)
        except self._failures() as error:
            raise self._translated(error, request.model, begun) from None

    async def _drain(self, parts: AsyncIterator[Any]) -> None:
        """Read on to the end, briefly: only then is the connection kept for the next call."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                async for _ in parts:
                    pass
        except (TimeoutError, TypeError, AttributeError):
            return
        except self._failures():
            return

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        place = self.endpoint
        if not self.honours.embed:
            raise ProviderError(Fault.REFUSED, f"{place.name} has no embeddings; name another model for them")
        client = await self._open()
        try:
            async with asyncio.timeout(place.timeouts.first_token):
                vectors = [list(map(float, one)) for one in (await client.embed(model, list(texts))).embeddings]
        except TimeoutError:
            raise ProviderError(Fault.TIMEOUT, f"{place.name} took too long to embed") from None
        except self._failures() as error:
            raise self._translated(error, model) from None
        if len(vectors) != len(texts):
            raise ProviderError(Fault.INVALID, f"{place.name} sent {len(vectors)} vectors for {len(texts)} texts")
        return vectors

    async def count(self, request: Request) -> Count:
        return Count(estimate.request_bounds(self._known_as(request.model), request).high, exact=False)

    def defaults(self, model: str) -> dict[str, Any]:
        return dict(self.endpoint.options)

    async def models(self) -> list[Model]:
        client = await self._open()
        try:
            async with asyncio.timeout(self.endpoint.timeouts.idle):
                found = (await client.list()).models
        except TimeoutError:
            raise ProviderError(Fault.TIMEOUT, f"{self.endpoint.name} took too long to list its models") from None
        except self._failures() as error:
            raise self._translated(error, "") from None
        return [Model(one.model or "", None, int(one.size) if one.size else None) for one in found]

    async def check(self, model: str) -> Model:
        """The window is what `num_ctx` sets, what a loaded model has, or else what the model was trained for."""
        client = await self._open()
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                shown = await client.show(model)
                loaded = await self._loaded(client, model)
                served = await self._served(client, model)
        except TimeoutError:
            raise faults.unreachable(self.endpoint) from None
        except self._failures() as error:
            raise self._translated(error, model) from None
        trained = ollama_wire.trained_window(shown.modelinfo or {})
        wanted = self.endpoint.options.get("num_ctx")
        if wanted:
            return replace(served, window=min(wanted, trained or wanted))
        if loaded:
            return replace(served, window=loaded)
        note = "the server decides how much of the window it gives; set num_ctx to be sure" if trained else ""
        return replace(served, window=trained, note=note)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()  # type: ignore[no-untyped-call]

    async def _truncated(
        self, client: ollama.AsyncClient, request: Request, options: Mapping[str, Any], counted: int
    ) -> Truncated | None:
        bounds = estimate.request_bounds(self._known_as(request.model), request)
        if counted >= bounds.low:
            return None
        window = options.get("num_ctx")
        if not window:
            window = await self._loaded_if_known(client, request.model)
        if window and bounds.high < window:
            return None
        return Truncated(bounds.likely, counted)

    async def _loaded_if_known(self, client: ollama.AsyncClient, model: str) -> int | None:
        """`_loaded`, or None from a server that does not say: the answer is there all the same."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return await self._loaded(client, model)
        except TimeoutError:
            return None
        except self._failures():
            return None

    async def _loaded(self, client: ollama.AsyncClient, model: str) -> int | None:
        """The context of the model as it is in the server's memory, None while it is not."""
        named = {model, f"{model}:latest"}
        return next((one.context_length for one in (await client.ps()).models if one.model in named), None)

    async def _served(self, client: ollama.AsyncClient, model: str) -> Model:
        """What the server says of itself and of the model's weights; a server that does not say is as good."""
        raw: Any = client  # the SDK has no call for the version
        try:
            version = (await raw._request_raw("GET", "/api/version")).json()["version"]
            listed = (await client.list()).models
        except (AttributeError, KeyError, TypeError, ValueError):
            return Model(model)
        except self._failures():
            return Model(model)
        found = next((one for one in listed if one.model in {model, f"{model}:latest"}), None)
        digest = f"sha256:{found.digest.removeprefix('sha256:')}" if found and found.digest else ""
        size = int(found.size) if found and found.size else None
        return Model(model, server=f"Ollama {faults.clean(str(version))}", digest=digest, file_bytes=size)

    def _known_as(self, model: str) -> str:
        return f"{self.endpoint.name}/{model}"

    async def _open(self) -> ollama.AsyncClient:
        if self._client is None:
            secret = self.endpoint.secret()
            opened = await asyncio.to_thread(self._connect, secret)
            self._client = self._client or opened
        return self._client

    def _connect(self, secret: str | None) -> ollama.AsyncClient:
        """Importing the SDK takes 0.4 s of CPU: in a thread."""
        sdk: Any = importlib.import_module("ollama")
        http: Any = importlib.import_module("httpx")
        lines: Any = importlib.import_module("engine.providers.ollama_lines")
        place, wait = self.endpoint, self.endpoint.timeouts
        try:
            client: ollama.AsyncClient = sdk.AsyncClient(
                host=place.url,
                headers={**place.headers, **({"Authorization": f"Bearer {secret}"} if secret else {})},
                # How long an answer may take is for Patience to say.
                timeout=http.Timeout(None, connect=wait.connect, write=wait.idle, pool=wait.connect),
                event_hooks={"response": [lines.keep_whole]},
            )
        except (ValueError, http.InvalidURL):
            raise faults.bad_url(place) from None
        return client

    def _failures(self) -> tuple[type[Exception], ...]:
        """What the SDK and its httpx raise. Asked for when something was raised, so both are imported."""
        sdk: Any = importlib.import_module("ollama")
        http: Any = importlib.import_module("httpx")
        pydantic: Any = importlib.import_module("pydantic")
        return (
            sdk.ResponseError, sdk.RequestError, http.HTTPError, http.StreamError, http.InvalidURL, OSError,
            json.JSONDecodeError, pydantic.ValidationError,
        )  # fmt: skip

    def _translated(self, error: Exception, model: str, begun: bool = False) -> ProviderError:
        place = self.endpoint
        status = getattr(error, "status_code", None)
        if status is None:
            return faults.from_transport(place, error, begun)
        said = str(getattr(error, "error", ""))
        if status <= 0:  # the SDK's way to report an error inside a stream
            return ProviderError(Fault.SERVER, f"{place.name} gave up the answer: {faults.clean(said)}")
        # The SDK keeps no headers, but its error was raised while handling httpx's, which has them.
        headers = getattr(getattr(error.__context__, "response", None), "headers", {})
        return faults.from_status(place, status, said, headers, model)
