"""The process that holds one local model: llama.cpp's server on a loopback port, for as long as its parent lives.

Started as a script by `local_process`, it imports nothing of ours. It reads one JSON line (`Spec` there) from stdin,
prints one JSON line, `{"url": ...}` or `{"error": ...}`, and serves until stdin closes or the parent dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import select
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_LOG_PREFIX = re.compile(r"^[\d.]+ [EW] ")
_REASONS = (
    (
        re.compile(r"insufficient memory|failed to allocate|out of memory|bad_alloc", re.I),
        "not enough memory for a context of {context} tokens",
    ),
    (re.compile(r"invalid magic characters", re.I), "not a GGUF file"),
    (re.compile(r"corrupted or incomplete|not within the file bounds", re.I), "the file is corrupted or incomplete"),
    (
        re.compile(r"unknown model architecture: '?(?P<what>[\w.-]+)", re.I),
        "llama.cpp here does not know the architecture {what}",
    ),
    (re.compile(r"error loading model: (?P<what>.{1,200})", re.I), "{what}"),
)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C and a closed terminal are the host's to decide on
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    spec = json.loads(sys.stdin.buffer.readline())
    _die_with(int(spec["parent"]))
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # stdout is the handshake: whatever C code prints there goes to the log
    threading.Thread(target=_watch, args=(int(spec["parent"]),), daemon=True).start()
    try:
        server = _load(spec)
    except _LoadError as error:
        print(json.dumps({"error": str(error)}), file=answer, flush=True)
        sys.exit(1)
    print(json.dumps({"url": server.listening_address}), file=answer, flush=True)
    answer.close()
    threading.Event().wait()


class _LoadError(Exception):
    pass


def _load(spec: dict[str, Any]) -> Any:
    """The running server. Raises _LoadError with the reason that llama.cpp wrote to stderr, in few words."""
    os.environ["GGML_NO_BACKTRACE"] = "1"
    try:
        import xllamacpp
    except ImportError as error:
        raise _LoadError(f"xllamacpp cannot be loaded ({error}); reinstall Tertulia") from None
    params = xllamacpp.CommonParams()
    params.model.path = spec["path"]
    params.model_alias = {"local"}
    params.n_ctx = spec["n_ctx"]
    params.n_parallel = spec["n_parallel"]
    params.n_batch = params.n_ubatch = spec["n_batch"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = spec["threads"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [spec["key"]]
    params.ui = False
    params.use_jinja = True
    params.cache_ram_mib = 0  # caches beyond the slots' own would not be in the memory lease
    params.cache_idle_slots = False
    params.fit_params = False
    params.verbosity = 1
    # llama.cpp raises only "failed to init": the reason is what it writes to stderr meanwhile.
    with tempfile.TemporaryFile() as log:
        own = os.dup(2)
        os.dup2(log.fileno(), 2)
        try:
            return xllamacpp.Server(params)
        except (RuntimeError, MemoryError, OSError) as error:
            log.seek(0)
            text = log.read(1 << 16).decode("utf-8", "replace")
            raise _LoadError(_reason(text, str(error), spec)) from None
        finally:
            os.dup2(own, 2)
            os.close(own)


def _reason(log: str, otherwise: str, spec: dict[str, Any]) -> str:
    for pattern, words in _REASONS:
        if found := pattern.search(log):
            named = {key: _printable(value or "") for key, value in found.groupdict().items()}
            return words.format(context=spec["n_ctx"], **named)
    lines = [_LOG_PREFIX.sub("", line) for line in log.splitlines()]
    return _printable(lines[0] if lines else otherwise)[:200]


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in text).strip()


def _die_with(parent: int) -> None:
    """End when the parent ends, however it ends, also while C code is loading a model."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError):  # not every container lets us; the kernel then picks for itself
            Path("/proc/self/oom_score_adj").write_text("500", "ascii")
    if os.getppid() != parent:  # it died before the signal was asked for
        os._exit(1)


def _watch(parent: int) -> None:
    """The same without prctl: stdin closes with the parent; its id is looked at in case a fork keeps stdin open."""
    while os.getppid() == parent:
        ready, _, _ = select.select([0], [], [], 1.0)
        if ready and not os.read(0, 4096):
            break
    os._exit(0)


if __name__ == "__main__":
    main()
