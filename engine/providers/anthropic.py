"""Anthropic's Messages API over the anthropic SDK; also other servers that offer this format.

Events are read as raw lines, so that the server's pings count as life: a model may think for minutes in silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from engine.providers import anthropic_wire, translate
from engine.providers.endpoint import Endpoint
from engine.providers.over_sdk import OverSdk, Parser
from engine.providers.protocol import Count, Fault, Honours, Model, ProviderError, Request

if TYPE_CHECKING:
    import anthropic


class Anthropic(OverSdk["anthropic.AsyncAnthropic"]):
    """`think` is true (the model decides how much), false, or a budget in tokens of at least 1024.

    The current version of the API refuses temperature, top_p and top_k, so they are not declared; an endpoint pinned
    to an older version by `headers` may name them in `extra_options`. max_tokens must be set somewhere.
    """

    sdk = "anthropic"

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__(endpoint)
        self._names = {
            "max_tokens": "max_tokens",
            "stop": "stop_sequences",
            "think": "thinking",
            **endpoint.extra_options,
        }
        self.honours = Honours(
            options=frozenset(self._names),
            tools=True,
            answer_schema=True,
            prefill=endpoint.prefill,
            thinking=True,
            exact_count=True,
        )

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        raise ProviderError(Fault.REFUSED, f"{self.endpoint.name} has no embeddings; name another model for them")

    async def count(self, request: Request) -> Count:
        client = await self._open()
        try:
            async with asyncio.timeout(self.endpoint.timeouts.idle):
                raw = await client.messages.with_raw_response.count_tokens(
                    model=request.model, messages=[], extra_body=anthropic_wire.conversation(request)
                )
            return Count(int(raw.http_response.json()["input_tokens"]), exact=True)
        except TimeoutError:
            raise ProviderError(Fault.TIMEOUT, f"{self.endpoint.name} took too long to count tokens") from None
        except (KeyError, TypeError, ValueError):
            raise ProviderError(Fault.INVALID, f"{self.endpoint.name} sent no count of tokens") from None
        except self._failures() as error:
            raise self._translated(error, request.model) from None

    def _check_options(self, request: Request) -> None:
        if "max_tokens" not in self._wire_options(request):
            raise ProviderError(Fault.REFUSED, f"{self.endpoint.name} needs the option max_tokens; set it for the seat")

    def _wire_options(self, request: Request) -> dict[str, Any]:
        options = translate.options(self.endpoint, request, self._names)
        think = options.pop("thinking", None)
        if think is True:
            options["thinking"] = {"type": "adaptive", "display": "summarized"}
        elif think is False:
            options["thinking"] = {"type": "disabled"}
        elif isinstance(think, int):
            options["thinking"] = {"type": "enabled", "budget_tokens": think, "display": "summarized"}
        elif think is not None:
            raise ProviderError(
                Fault.REFUSED, f"{self.endpoint.name}: think is true, false or a number of tokens, not {think!r}"
            )
        return options

    def _call(
        self, client: anthropic.AsyncAnthropic, request: Request
    ) -> tuple[AbstractAsyncContextManager[Any], Parser]:
        options = self._wire_options(request)
        call = client.messages.with_streaming_response.create(
            model=request.model,
            max_tokens=options.pop("max_tokens"),
            messages=[],
            stream=True,
            extra_body={**anthropic_wire.conversation(request), **options},
        )
        return call, anthropic_wire.EventParser(self.endpoint, request)

    _list_all: ClassVar[dict[str, Any]] = {"limit": 1000}

    def _model(self, entry: Any) -> Model:
        return Model(str(entry["id"]), entry.get("max_input_tokens"), note=str(entry.get("display_name") or ""))

    def _connect(self, sdk: Any, **common: Any) -> anthropic.AsyncAnthropic:
        client: anthropic.AsyncAnthropic = sdk.AsyncAnthropic(**common, open_telemetry=False)
        return client
