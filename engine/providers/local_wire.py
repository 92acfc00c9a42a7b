"""Requests to one llama.cpp server, and its answers as deltas. httpx is imported with the first request."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from engine.providers.endpoint import Timeouts
from engine.providers.faults import clean
from engine.providers.protocol import (
    Delta,
    Fault,
    Progress,
    ProviderError,
    Request,
    Stop,
    StopReason,
    Text,
    Thinking,
    Usage,
)
from engine.providers.reading import LineReader, Patience

if TYPE_CHECKING:
    import httpx

_NAME = "the local model"
_FINISH = {"stop": StopReason.END, "length": StopReason.LENGTH}
_STOP_TYPE = {"eos": StopReason.END, "limit": StopReason.LENGTH, "word": StopReason.STOP}


class Wire:
    """A client of the server at `url`. Each request has its own connection, which closing the request closes."""

    def __init__(self, url: str, key: str, timeouts: Timeouts) -> None:
        import httpx

        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(timeouts.first_token, connect=timeouts.connect),
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
            verify=False,  # plain HTTP on loopback: spares reading the certificates, 50 ms
        )
        self._timeouts = timeouts
        self._thinks: bool | None = None

    async def close(self) -> None:
        await self._http.aclose()

    async def stream(self, request: Request, options: Mapping[str, Any], slot: int) -> AsyncGenerator[Delta, None]:
        """The answer to `request` from the server's slot `slot`; `options` are checked and complete."""
        sent = {key: value for key, value in options.items() if key not in ("num_ctx", "max_tokens", "think")}
        sent |= {"stream": True, "return_progress": True, "cache_prompt": True, "id_slot": slot}
        # The chat endpoint parses thinking, but doubles a prefill where the answer is not streamed and does not tell
        # a stop string from the model's own end; the completion endpoint is exact about both.
        parts: _Completion | _Chat
        if request.prefill or ("stop" in options and not await self._template_thinks()):
            path, parts = "/completion", _Completion()
            sent |= {"prompt": await self.prompt(request, options), "n_predict": options.get("max_tokens", -1)}
            if request.answer_schema is not None:
                sent["json_schema"] = request.answer_schema
        else:
            path, parts = "/v1/chat/completions", _Chat()
            sent |= {**_chat(request, options), "stream_options": {"include_usage": True}}
            if "max_tokens" in options:
                sent["max_tokens"] = options["max_tokens"]
            if request.answer_schema is not None:
                sent["response_format"] = {"type": "json_schema", "json_schema": {"schema": request.answer_schema}}
        with _faults():
            async with self._http.stream("POST", path, json=sent) as response:
                if response.status_code != 200:
                    raise _refusal(response.status_code, await response.aread())
                async for chunk in _events(response, self._timeouts):
                    for delta in parts.deltas(chunk):
                        yield delta
        if parts.usage is None or parts.stop is None:
            raise ProviderError(Fault.BROKEN, "the local model's answer broke off before its end")
        yield parts.usage
        yield Stop(parts.stop)

    async def prompt(self, request: Request, options: Mapping[str, Any]) -> str:
        """The text that the model reads for `request`: its chat template filled in, and the prefill."""
        answer = await self._post("/apply-template", _chat(request, options))
        return str(answer["prompt"]) + request.prefill

    async def tokens(self, text: str) -> int:
        """How many tokens `text` is, special tokens parsed as in a prompt."""
        answer = await self._post("/tokenize", {"content": text, "add_special": True, "parse_special": True})
        return len(answer["tokens"])

    async def _template_thinks(self) -> bool:
        if self._thinks is None:
            with _faults():
                response = await self._http.get("/props")
            self._thinks = "think" in str(response.json().get("chat_template", ""))
        return self._thinks

    async def _post(self, path: str, body: Mapping[str, Any]) -> Any:
        with _faults():
            response = await self._http.post(path, json=body)
            if response.status_code != 200:
                raise _refusal(response.status_code, response.content)
            return response.json()


def _chat(request: Request, options: Mapping[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "messages": [{"role": message.role, "content": message.content} for message in request.messages]
    }
    if "think" in options or request.prefill:  # an answer already begun has no thinking before it
        body["chat_template_kwargs"] = {"enable_thinking": bool(options.get("think")) and not request.prefill}
    return body


class _Chat:
    """Chunks of /v1/chat/completions, which are OpenAI's with llama.cpp's progress."""

    usage: Usage | None = None
    stop: StopReason | None = None

    def deltas(self, chunk: Mapping[str, Any]) -> Iterator[Delta]:
        if progress := chunk.get("prompt_progress"):
            yield Progress(int(progress["processed"]), int(progress["total"]))
        for choice in chunk.get("choices") or ():
            delta = choice.get("delta") or {}
            if thought := delta.get("reasoning_content"):
                yield Thinking(str(thought))
            if text := delta.get("content"):
                yield Text(str(text))
            if choice.get("finish_reason"):
                self.stop = _FINISH.get(str(choice["finish_reason"]), StopReason.END)
        if usage := chunk.get("usage"):
            cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            self.usage = Usage(int(usage["prompt_tokens"]), int(usage["completion_tokens"]), cached=int(cached))


class _Completion:
    """Chunks of /completion, llama.cpp's own."""

    usage: Usage | None = None
    stop: StopReason | None = None

    def deltas(self, chunk: Mapping[str, Any]) -> Iterator[Delta]:
        if progress := chunk.get("prompt_progress"):
            yield Progress(int(progress["processed"]), int(progress["total"]))
        if text := chunk.get("content"):
            yield Text(str(text))
        if chunk.get("stop") is True:
            self.stop = _STOP_TYPE.get(str(chunk.get("stop_type")), StopReason.END)
            cached = (chunk.get("timings") or {}).get("cache_n") or 0
            self.usage = Usage(int(chunk["tokens_evaluated"]), int(chunk["tokens_predicted"]), cached=int(cached))


async def _events(response: httpx.Response, timeouts: Timeouts) -> AsyncIterator[Mapping[str, Any]]:
    """The JSON of each `data:` line."""
    patience = Patience(_NAME, timeouts)
    reader = LineReader(response.aiter_bytes(), patience, _NAME)
    while (lines := await reader.batch()) is not None:
        for line in lines:
            data = line.removeprefix(b"data:").strip()
            if line.startswith(b"data:") and data != b"[DONE]":
                patience.heard()
                chunk = json.loads(data.decode("utf-8", "replace"))
                if error := chunk.get("error"):
                    raise _refusal(int(error.get("code") or 500), data)
                yield chunk


def _refusal(status: int, body: bytes) -> ProviderError:
    try:
        error = json.loads(body.decode("utf-8", "replace"))["error"]
        message, kind = str(error["message"]), str(error.get("type"))
    except (ValueError, KeyError, TypeError):
        error, message, kind = {}, f"status {status}", ""
    if kind == "exceed_context_size_error":
        message = (
            f"the prompt has {error.get('n_prompt_tokens')} tokens and the context {error.get('n_ctx')}: "
            "raise num_ctx, or shorten what is said"
        )
    fault = Fault.REFUSED if status == 400 else Fault.SERVER
    return ProviderError(fault, f"{_NAME}: {clean(message)}", status=status)


@contextmanager
def _faults() -> Iterator[None]:
    import httpx

    try:
        yield
    except httpx.TimeoutException:
        raise ProviderError(Fault.TIMEOUT, "the local model's process does not answer") from None
    except httpx.TransportError:
        raise ProviderError(Fault.BROKEN, "the connection to the local model's process broke off") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ProviderError(Fault.INVALID, f"the local model's server sent what cannot be read: {error!r}") from None
