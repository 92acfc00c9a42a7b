"""OpenAI, and every server that speaks its chat API (LM Studio, llama.cpp, vLLM, ...), over the openai SDK.

Messages go out through `extra_body` and chunks come in as raw lines: the SDK's typed path costs 19 times a bare call
for 200 messages and 7 times for each token, all of it on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from engine.providers import estimate, translate, wire
from engine.providers.endpoint import Endpoint
from engine.providers.over_sdk import OverSdk, Parser
from engine.providers.protocol import Count, Fault, Honours, Model, ProviderError, Request

if TYPE_CHECKING:
    import openai

_OPTIONS = ("temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty")


class OpenAI(OverSdk["openai.AsyncOpenAI"]):
    """`think` is the effort to spend on reasoning, in the server's words (low, medium, high, ...)."""

    sdk = "openai"

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._names = {
            **{name: name for name in _OPTIONS},
            "think": "reasoning_effort",
            "max_tokens": endpoint.token_field,
            **endpoint.extra_options,
        }
        self.honours = Honours(
            options=frozenset(self._names),
            tools=True,
            answer_schema=True,
            prefill=endpoint.prefill,
            thinking=True,
            embed=endpoint.embed,
        )

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        place = self.endpoint
        if not self.honours.embed:
            raise ProviderError(Fault.REFUSED, f"{place.name} has no embeddings; name another model for them")
        client = await self._open()
        try:
            async with asyncio.timeout(place.timeouts.first_token):
                answer = await client.embeddings.create(model=model, input=list(texts), encoding_format="float")
        except TimeoutError:
            raise ProviderError(Fault.TIMEOUT, f"{place.name} took too long to embed") from None
        except self._failures() as error:
            raise self._translated(error, model) from None
        vectors = [item.embedding for item in sorted(answer.data or [], key=lambda item: item.index)]
        if len(vectors) != len(texts):
            raise ProviderError(Fault.INVALID, f"{place.name} sent {len(vectors)} vectors for {len(texts)} texts")
        return vectors

    async def count(self, request: Request) -> Count:
        model = f"{self.endpoint.name}/{request.model}"
        return Count(estimate.request_bounds(model, request).high, exact=False)

    def _check_options(self, request: Request) -> None:
        if isinstance(self._wire_options(request).get("reasoning_effort"), bool):
            raise ProviderError(
                Fault.REFUSED, f"{self.endpoint.name}: think is an effort here, such as low, medium or high"
            )

    def _wire_options(self, request: Request) -> dict[str, Any]:
        return translate.options(self.endpoint, request, self._names)

    def _call(self, client: openai.AsyncOpenAI, request: Request) -> tuple[AbstractAsyncContextManager[Any], Parser]:
        body = {**wire.chat_body(request), **self._wire_options(request)}
        call = client.chat.completions.with_streaming_response.create(
            model=request.model, messages=[], stream=True, extra_body=body
        )
        return call, wire.ChatParser(self.endpoint, request)

    def _model(self, entry: Any) -> Model:
        """Where the window stands, every server decides for itself."""
        meta = entry.get("meta") or {}
        windows = [meta.get("n_ctx"), *(entry.get(n) for n in ("context_length", "max_model_len", "context_window"))]
        return Model(str(entry["id"]), next((int(found) for found in windows if found), None))

    def _connect(self, sdk: Any, **common: Any) -> openai.AsyncOpenAI:
        client: openai.AsyncOpenAI = sdk.AsyncOpenAI(**common)
        return client
