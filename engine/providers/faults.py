"""From what went wrong on the wire to one line that says what to do. No message ever holds a key."""

from __future__ import annotations

import email.utils
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

from engine.providers.endpoint import Endpoint
from engine.providers.protocol import Fault, ProviderError
from engine.settings import keys

_LONGEST = 300


def from_status(place: Endpoint, status: int, body: Any, headers: Mapping[str, str], model: str = "") -> ProviderError:
    """The error that an HTTP status stands for. `body` is the answer's JSON or text, as far as there is one."""
    said, code = _said(body)
    wait = retry_after(headers)
    detail = f": {said}" if said else ""

    def error(fault: Fault, message: str) -> ProviderError:
        return ProviderError(fault, message, retry_after=wait, status=status)

    if status in (401, 403) or code == "authentication_error":
        # What providers say here often quotes parts of the key, so it is left out.
        if not place.key:
            return error(
                Fault.KEY, f"{place.name} wants an API key ({status}): name one in providers.yml, {place.name}.key"
            )
        return error(
            Fault.KEY, f"{place.name} refuses the API key ({status}): check it, then `tertulia keys set {place.key}`"
        )
    if "quota" in code or "billing" in code:
        return error(Fault.REFUSED, f"{place.name}: the account has no credit left{detail}")
    if status == 429 or code == "rate_limit_error":
        return error(Fault.RATE, f"{place.name} asks to slow down ({status}){detail}")
    if "model_not_found" in code or (status in (400, 404, 422) and _no_model(said)):
        return error(Fault.MODEL, missing_model(place, model))
    if status == 404:
        return error(Fault.REFUSED, f"{place.url} has no such address (404): is base_url of {place.name} right?")
    if status in (408, 504):
        return error(Fault.TIMEOUT, f"{place.name} took too long ({status}){detail}")
    if status >= 500 or status in (409, 425) or code in ("overloaded_error", "api_error", "server_error"):
        return error(Fault.SERVER, f"{place.name} has trouble of its own ({status}){detail}")
    return error(Fault.REFUSED, f"{place.name} rejects the request ({status}){detail}")


def from_transport(place: Endpoint, error: BaseException, begun: bool = False) -> ProviderError:
    """The error of a broken connection. `begun`: the answer had begun.

    httpx and httpx2 (the SDKs use one each) name their classes alike, so the names decide.
    """
    names = {cls.__name__ for cls in type(error).__mro__}
    if names & {"ConnectError", "ConnectTimeout", "PoolTimeout"} or (isinstance(error, OSError) and not begun):
        return unreachable(place)
    if names & {"UnsupportedProtocol", "InvalidURL", "LocalProtocolError"}:
        return bad_url(place)
    if names & {"TimeoutException", "TimeoutError"}:
        return ProviderError(Fault.TIMEOUT, f"{place.name} took too long to take the request")
    if isinstance(error, ValueError):
        return ProviderError(Fault.INVALID, f"{place.name} sent something that is no JSON")
    when = "in the middle of an answer" if begun else "before it answered"
    return ProviderError(
        Fault.BROKEN, f"{place.name} broke the connection {when}: {clean(str(error)) or type(error).__name__}"
    )


def unreachable(place: Endpoint) -> ProviderError:
    hint = {
        "ollama": "is Ollama running? `ollama serve`",
        "lmstudio": "is LM Studio's server on? `lms server start`",
    }.get(place.name, "check base_url in providers.yml and the network")
    return ProviderError(Fault.UNREACHABLE, f"cannot reach {place.url}: {hint}")


def missing_model(place: Endpoint, model: str) -> str:
    todo = f"`ollama pull {model}`" if place.adapter == "ollama" else "`tertulia models` lists what there is"
    return f"model {clean(model)} is not on {place.url}: {todo}"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from Retry-After in seconds or as an HTTP date, or from retry-after-ms."""
    found = {name.lower(): value for name, value in headers.items()}
    try:
        if "retry-after-ms" in found:
            return max(0.0, float(found["retry-after-ms"]) / 1000)
        value = found.get("retry-after", "").strip()
        if not value:
            return None
        if value.replace(".", "", 1).isdigit():
            return float(value)
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None


def clean(text: str) -> str:
    """One printable line of limited length without any known key."""
    for secret in keys.secrets():
        text = text.replace(secret, "***")
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * _LONGEST]).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def _said(body: Any) -> tuple[str, str]:
    """The provider's message and its error codes, from any of the shapes the dialects use."""
    inner = body.get("error", body) if isinstance(body, Mapping) else body
    if isinstance(inner, Mapping):
        code = " ".join(str(inner.get(name) or "") for name in ("code", "type"))
        return clean(str(inner.get("message") or "")), code.strip()
    return clean(str(inner or "")), ""


def _no_model(said: str) -> bool:
    said = said.lower()
    return "model" in said and any(sign in said for sign in ("not found", "does not exist", "not exist", "unknown"))


def check_url(place: Endpoint) -> None:
    """Raises ProviderError(REFUSED) unless the endpoint has an http or https address."""
    try:
        parts = urllib.parse.urlsplit(place.url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        right = False
    if not right:
        raise bad_url(place)


def bad_url(place: Endpoint) -> ProviderError:
    return ProviderError(
        Fault.REFUSED,
        f"{place.name}: {clean(place.url) or 'nothing'} is no address; set base_url in providers.yml, "
        "such as http://127.0.0.1:8080/v1",
    )
