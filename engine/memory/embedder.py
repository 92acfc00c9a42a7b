"""What turns text into vectors: a model that runs here, or any provider's embeddings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from engine.memory import settings
from engine.providers import weights
from engine.settings.errors import UsageError, nearest

if TYPE_CHECKING:
    from engine.memory.store import Vectors

NONE = "none"
_BATCH = 64


class Embedder(Protocol):
    """`name` tells vectors of one model from those of another; `dim` is how many numbers each has."""

    name: str
    dim: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """float32 of shape (n, dim), each row L2-normalised, or all zero for a text that says nothing to the model.

        Blocks. Raises ProviderError where a provider fails.
        """
        ...


def default() -> Embedder | None:
    """The embedder that memory.yml names, or None while its weights are not here, or where it says `none`.

    Raises UsageError or ProviderError as `named` does.
    """
    name = settings.load().embedder
    if name == NONE or (name in weights.known("embedding") and weights.path(name) is None):
        return None
    return named(name)


def missing() -> str:
    """Why there is no default embedder and how to get one, in one line; "" where there is one."""
    name = settings.load().embedder
    if name == NONE:
        return "recall is by words only: memory.yml says `embedder: none`"
    if name in weights.known("embedding") and weights.path(name) is None:
        return f"recall is by words only until `tertulia models pull {name}` has fetched the embedding model, once"
    return ""


def named(name: str) -> Embedder:
    """The embedder `wordllama`, or `ENDPOINT/MODEL` of a provider. Raises UsageError, ProviderError(MODEL)."""
    known = weights.known("embedding")
    if name in known:
        path = weights.path(name)
        if path is None:
            raise UsageError(f"the embedding model {name} is not here: run `tertulia models pull {name}`")
        return _static(name, path, weights.folder() / known[name].beside[0].file)
    if "/" in name:
        return OfProvider(name)
    raise UsageError(f"memory.yml: embedder: unknown {name!r}: {nearest(name, [*known, NONE])}, or PROVIDER/MODEL")


@cache
def _static(name: str, weights_file: Path, tokenizer: Path) -> Embedder:
    from engine.memory.static_model import StaticModel

    return StaticModel(name, weights_file, tokenizer)


class OfProvider:
    """Embeddings of a provider, `ollama/nomic-embed-text` for one. Its dimension is learnt by asking once."""

    def __init__(self, model: str) -> None:
        """Asks the provider for one vector. Raises UsageError (none of its models embed) and ProviderError."""
        from engine.providers import registry

        endpoint, self._model = registry.split(model)
        self._endpoint = registry.endpoint(endpoint)
        if not registry.adapter_for(self._endpoint).honours.embed:
            raise UsageError(f"memory.yml: embedder: {endpoint} has no embeddings; name another, or wordllama")
        self.name = model
        self.dim = 0
        self.dim = self.embed(["."]).shape[1]

    def embed(self, texts: Sequence[str]) -> Vectors:
        import numpy as np

        from engine.providers.protocol import Fault, ProviderError

        if not texts:
            return np.empty((0, self.dim), np.float32)
        rows = asyncio.run(self._ask(list(texts)))
        if len(rows) != len(texts) or len({len(row) for row in rows}) != 1 or (self.dim and len(rows[0]) != self.dim):
            raise ProviderError(Fault.INVALID, f"{self.name}: did not give one vector of the same length for each text")
        found = np.array(rows, np.float32)
        if not np.isfinite(found).all():
            raise ProviderError(Fault.INVALID, f"{self.name}: gave vectors with numbers that are none")
        return normalised(found)

    async def _ask(self, texts: list[str]) -> list[list[float]]:
        from engine.providers import registry

        adapter = registry.adapter_for(self._endpoint)
        try:
            rows: list[list[float]] = []
            for start in range(0, len(texts), _BATCH):
                rows += await adapter.embed(self._model, texts[start : start + _BATCH])
            return rows
        finally:
            await adapter.close()


def normalised(vectors: Vectors) -> Vectors:
    """Each row at length 1; rows of zeros stay."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
