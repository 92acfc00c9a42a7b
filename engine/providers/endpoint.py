"""What `config/providers.yml` says of one endpoint, checked."""

from __future__ import annotations

import os
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.providers.protocol import Fault, ProviderError
from engine.settings import keys


class Timeouts(BaseModel):
    """Seconds to wait for a connection, for the first token, and between two chunks of a stream."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connect: float = Field(5.0, gt=0)
    first_token: float = Field(120.0, gt=0)
    idle: float = Field(60.0, gt=0)


class Limits(BaseModel):
    """What the provider allows per minute, over all runs of this machine. None: no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests_per_minute: int | None = Field(None, gt=0)
    tokens_per_minute: int | None = Field(None, gt=0)


class Retries(BaseModel):
    """How often a failed call is tried in all, and how long (in seconds) a wait between two tries may be.

    A provider that asks for a longer wait than `patience` is not waited for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    attempts: int = Field(5, ge=1)
    longest: float = Field(30.0, gt=0)
    patience: float = Field(120.0, ge=0)


class Endpoint(BaseModel):
    """One place that answers: an adapter, where it is, and how it differs from others of its kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    adapter: str
    base_url: str = ""
    base_url_env: str = ""
    """An environment variable that, where set, replaces `base_url`."""
    key: str = ""
    """The name (never the value) of the API key; empty when the server wants none."""
    headers: dict[str, str] = {}
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    retries: Retries = Retries()
    options: dict[str, Any] = {}
    """Options sent unless the request says otherwise."""
    extra_options: dict[str, str] = {}
    """Options this server understands beyond the adapter's own: our name -> its name."""
    token_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    prefill: bool = False
    embed: bool = True

    @property
    def url(self) -> str:
        """Where the endpoint is, as set, without a trailing slash."""
        return ((os.environ.get(self.base_url_env) if self.base_url_env else None) or self.base_url).rstrip("/")

    @property
    def limited(self) -> bool:
        """Whether the endpoint has any rate limit."""
        return self.limits != Limits()

    def secret(self) -> str | None:
        """The API key, or None where none is needed. Raises ProviderError(KEY) where it is needed and missing."""
        if not self.key:
            return None
        value = keys.get(self.key)
        if not value:
            raise ProviderError(
                Fault.KEY,
                f"no API key for {self.name}: run `tertulia keys set {self.key}`, or set {self.key} in the environment"
                " or in a .env file of the folder you start from",
            )
        return value
