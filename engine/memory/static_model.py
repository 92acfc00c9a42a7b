"""A static embedding model: one vector for each word piece, and a text is the mean of its pieces.

It knows nothing of word order, and reads thousands of passages a second on one core.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from engine.memory.embedder import normalised
from engine.settings.errors import UsageError

if TYPE_CHECKING:
    from engine.memory.store import Vectors

_KINDS = {"F16": "<f2", "F32": "<f4"}
_BATCH = 256


class StaticModel:
    """`engine.memory.embedder.Embedder` over a safetensors file with one matrix and a tokenizer.json."""

    def __init__(self, name: str, weights: Path, tokenizer: Path) -> None:
        """Reads both files (0.1 s). Raises UsageError when either is damaged."""
        self.name = name
        try:
            self._pieces = _matrix(weights)
            self._tokenizer = Tokenizer.from_file(str(tokenizer))
        except Exception as error:  # the tokenizers library raises bare Exception
            raise UsageError(
                f"{weights}: damaged ({error}); delete it, then run `tertulia models pull {name}`"
            ) from None
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.dim = int(self._pieces.shape[1])

    def embed(self, texts: Sequence[str]) -> Vectors:
        found = np.zeros((len(texts), self.dim), np.float32)
        for start in range(0, len(texts), _BATCH):
            batch = [text.encode("utf-8", "replace").decode() for text in texts[start : start + _BATCH]]
            pieces = [one.ids for one in self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
            lengths = np.array([len(ids) for ids in pieces])
            filled = np.flatnonzero(lengths)
            if not len(filled):
                continue
            ids = np.fromiter(chain.from_iterable(pieces), np.int64, int(lengths.sum()))
            begins = np.concatenate([[0], np.cumsum(lengths[filled])[:-1]])
            sums = np.add.reduceat(self._pieces[ids].astype(np.float32), begins, axis=0)
            found[start + filled] = sums / lengths[filled, None]
        return normalised(found)


def _matrix(path: Path) -> NDArray[Any]:
    """The one tensor of a safetensors file: 8 bytes of header length, a JSON header, then the numbers."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    ((_, tensor),) = [(name, about) for name, about in header.items() if name != "__metadata__"]
    begin, end = tensor["data_offsets"]
    numbers: NDArray[Any] = np.frombuffer(data[8 + length + begin : 8 + length + end], _KINDS[tensor["dtype"]])
    return numbers.reshape(tensor["shape"])
