"""Reading files in a process of its own, with limits of time and memory: a hostile file ends that process, not ours.

Run as `python -m engine.memory.reading` it is that process: one JSON request a line in, one JSON answer a line out.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import select
import signal
import stat
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any

from engine.memory.settings import Ingest
from engine.memory.store import Document, Passage
from engine.memory.walk import Source

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "TMPDIR")
_KEY = "memory.yml: ingest."
_AHEAD = 16_384
"""Bytes of requests that may be under way: less than a pipe holds, so that neither side ever waits for the other."""
_GRACE = 5.0
"""Seconds more than its own limit after which the process ends itself, should nobody be left to end it."""


class UnreadableError(Exception):
    """A file that is not kept: one line that says why. `lasting` where that lies in the file and the limits alone."""

    def __init__(self, why: str, *, lasting: bool = True) -> None:
        super().__init__(why)
        self.lasting = lasting


class Reading:
    """Reads files one after another. A context manager; the process is started when first needed."""

    def __init__(self, limits: Ingest) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._pending = b""
        """What the process has said beyond the answers that were taken."""

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def read(
        self, wanted: Iterable[tuple[Source, bytes]]
    ) -> Iterator[tuple[Source, Document | UnreadableError | None]]:
        """Each file, in order, with its document, or None where its bytes still have the SHA-256 beside it, or why it
        is not kept. A few files are asked for ahead, so that one side reads while the other stores."""
        waiting: deque[tuple[Source, bytes]] = deque()
        left = iter(wanted)
        try:
            while True:
                while sum(len(request) for _, request in waiting) < _AHEAD and (pair := next(left, None)):
                    request = {"path": pair[0].path, "kind": pair[0].kind, "known": pair[1].hex()}
                    waiting.append((pair[0], json.dumps(request).encode() + b"\n"))
                    if pair[0].size <= self._limits.max_bytes:
                        self._send(waiting[-1][1])
                if not waiting:
                    return
                source, _ = waiting.popleft()
                yield (
                    source,
                    self._taken(source, [request for at, request in waiting if at.size <= self._limits.max_bytes]),
                )
        finally:
            self._end()

    def _taken(self, source: Source, others: Sequence[bytes]) -> Document | UnreadableError | None:
        """The answer on `source`; should the process end over it, another is asked for the `others`."""
        limits = self._limits
        if source.size > limits.max_bytes:
            size, most = source.size / 1e6, limits.max_bytes / 1e6
            return UnreadableError(f"{size:.1f} MB, more than the {most:g} MB that are read ({_KEY}max_bytes)")
        assert self._process and self._process.stdout
        line = self._line(self._process.stdout.fileno(), time.monotonic() + limits.seconds)
        answer = json.loads(line) if line else {}
        if not line or answer.get("last"):
            code = self._process.wait(_GRACE) if line == b"" else 0
            self._end()
            for request in others:
                self._send(request)
            if line is None or code == -signal.SIGALRM:
                return UnreadableError(f"takes more than {limits.seconds:g} s to read ({_KEY}seconds)")
            if not line:
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                room = f"{_KEY}megabytes is {limits.megabytes}"
                return UnreadableError(f"ends the process that reads it ({how}), perhaps for want of memory ({room})")
        if answer.get("same"):
            return None
        if "error" in answer:
            return UnreadableError(answer["error"], lasting=not answer.get("passing"))
        passages = [Passage(place, text) for place, text in answer["passages"]]
        size, digest = answer["size"], bytes.fromhex(answer["hash"])
        title, links = answer["title"], answer["links"]
        return Document(source.path, source.kind, title, digest, size, source.mtime_ns, passages, links)

    def _line(self, stream: int, deadline: float) -> bytes | None:
        """The next line of the process, "" when it ended, None when it let the deadline pass."""
        parts = [self._pending]
        while b"\n" not in parts[-1]:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([stream], [], [], left)[0]:
                return None
            parts.append(os.read(stream, 1 << 20))
            if not parts[-1]:
                return b""
        line, _, self._pending = b"".join(parts).partition(b"\n")
        return line

    def _send(self, request: bytes) -> None:
        process = self._process or self._start()
        assert process.stdin
        try:
            process.stdin.write(request)
            process.stdin.flush()
        except BrokenPipeError:  # it ended; whoever waits for its answer will see that
            return

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.memory.reading"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        )
        self._send(json.dumps(self._limits.model_dump()).encode() + b"\n")
        return self._process

    def _end(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(BrokenPipeError):
                    if stream:
                        stream.close()
            self._process, self._pending = None, b""


def _too_big(megabytes: int) -> str:
    return f"cannot be read within {megabytes} MB of memory ({_KEY}megabytes)"


def main() -> None:
    """Answer requests until there are no more; the first line holds the limits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    limits = Ingest.model_validate_json(sys.stdin.buffer.readline())
    resource.setrlimit(resource.RLIMIT_AS, (limits.megabytes << 20, limits.megabytes << 20))
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_REAL, limits.seconds + _GRACE)
        try:
            answer = _answer(json.loads(line), limits)
        except OSError as error:
            answer = {"error": f"cannot be read: {error.strerror}", "passing": True}
        except ValueError as error:
            answer = {"error": " ".join(str(error).split())[:300]}
        except MemoryError:
            answer = {"error": _too_big(limits.megabytes), "last": True}
        except RecursionError:
            answer = {"error": "nested too deeply", "last": True}
        signal.setitimer(signal.ITIMER_REAL, 0)
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
        if "last" in answer:
            return


def _answer(request: dict[str, Any], limits: Ingest) -> dict[str, Any]:
    from engine.memory import extract, kinds
    from engine.memory.chunks import cut
    from engine.memory.loglike import why_log

    path, kind = request["path"], request["kind"]
    data = _bytes(path, limits.max_bytes)
    digest = hashlib.sha256(data).hexdigest()
    if digest == request["known"]:
        return {"same": True}
    text = extract.extract(data, kind)
    length = sum(len(section.text) for section in text.sections)
    if length > limits.max_text:
        raise ValueError(
            f"{length:,} characters of text, more than the {limits.max_text:,} that are kept ({_KEY}max_text)"
        )
    if limits.logs == "refuse" and kind in (kinds.TEXT, kinds.MARKDOWN):
        why = why_log("\n".join(section.text for section in text.sections))
        if why:
            raise ValueError(f"{why}; not kept ({_KEY}logs)")
    passages = []
    for section in text.sections:
        line = section.line
        for piece in cut(section.text, limits.chunk):
            blank = len(piece) - len(piece.lstrip("\n"))
            at = f"line {line + blank}" if line else ""
            if piece.strip():
                passages.append((", ".join(filter(None, [section.place, at])), piece))
            line += piece.count("\n") if line else 0
    if not passages:
        raise ValueError("holds no text")
    title = text.title or path.rpartition("/")[2]
    links = extract.links(path, text.targets)
    return {"hash": digest, "size": len(data), "title": title, "passages": passages, "links": links}


def _bytes(path: str, most: int) -> bytes:
    """All of a regular file; what became a pipe or a device since it was found is not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"more than the {most / 1e6:g} MB that are read ({_KEY}max_bytes)")
    return data


if __name__ == "__main__":
    main()
