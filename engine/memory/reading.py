"""Reading files in a process of its own, with limits of time and memory: a hostile file ends that process, not ours.

Run as `python -m engine.memory.reading` it is that process: one JSON request a line in, one JSON answer a line out.
"""

from __future__ import annotations

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
from types import TracebackType
from typing import Any

from engine.memory.settings import Ingest
from engine.memory.store import Document, Passage
from engine.memory.walk import Source

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "PYTHONPATH", "TMPDIR")
_GRACE = 5.0
"""Seconds more than its own limit after which the process ends itself, should nobody be left to end it."""


class UnreadableError(Exception):
    """A file that is not kept: one line that says why."""


class Reading:
    """Reads files one after another. A context manager; the process is started when first needed."""

    def __init__(self, limits: Ingest) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._pending = b""

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def read(self, source: Source, known: bytes) -> Document | None:
        """The document, or None where its bytes still have the SHA-256 `known`. Raises UnreadableError."""
        if source.size > self._limits.max_bytes:
            raise UnreadableError(
                f"{source.size / 1e6:.1f} MB, more than the {self._limits.max_bytes / 1e6:g} MB that are read"
                " (ingest.max_bytes in memory.yml)"
            )
        answer = self._ask({"path": source.path, "kind": source.kind, "known": known.hex()})
        if answer.get("same"):
            return None
        if "error" in answer:
            raise UnreadableError(answer["error"])
        return Document(
            source.path,
            source.kind,
            answer["title"],
            bytes.fromhex(answer["hash"]),
            answer["size"],
            source.mtime_ns,
            [Passage(place, text) for place, text in answer["passages"]],
            answer["links"],
        )

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        process = self._process or self._start()
        assert process.stdin and process.stdout
        answer = None
        try:
            process.stdin.write(json.dumps({**request, **self._limits.model_dump()}).encode() + b"\n")
            process.stdin.flush()
            answer = self._line(process.stdout.fileno(), time.monotonic() + self._limits.seconds)
        except BrokenPipeError:
            pass
        except BaseException:
            self._end()
            raise
        if answer is None:
            late = process.poll() is None
            self._end()
            seconds, megabytes = self._limits.seconds, self._limits.megabytes
            raise UnreadableError(
                f"takes more than {seconds:g} s to read (ingest.seconds in memory.yml)"
                if late
                else f"cannot be read within {megabytes} MB of memory (ingest.megabytes in memory.yml)"
            )
        found: dict[str, Any] = json.loads(answer)
        if found.get("last"):
            self._end()
        return found

    def _line(self, stream: int, deadline: float) -> bytes | None:
        """The next line of the process, or None when it ended or let the deadline pass."""
        parts = []
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([stream], [], [], left)[0]:
                return None
            block = os.read(stream, 1 << 20)
            if not block:
                return None
            parts.append(block)
            if block.endswith(b"\n"):
                return b"".join(parts)

    def _start(self) -> subprocess.Popen[bytes]:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.memory.reading"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
        )
        return self._process

    def _end(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream:
                    try:
                        stream.close()
                    except BrokenPipeError:
                        continue
            self._process = None


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    limited = False
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if not limited:
            most = int(request["megabytes"]) << 20
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            limited = True
        signal.setitimer(signal.ITIMER_REAL, request["seconds"] + _GRACE)
        try:
            answer = _answer(request)
        except OSError as error:
            answer = {"error": f"cannot be read: {error.strerror}"}
        except ValueError as error:
            answer = {"error": " ".join(str(error).split())[:300]}
        except (MemoryError, RecursionError) as error:
            needs = f"cannot be read within {request['megabytes']} MB of memory (ingest.megabytes in memory.yml)"
            answer = {"error": needs if isinstance(error, MemoryError) else "nested too deeply", "last": True}
        signal.setitimer(signal.ITIMER_REAL, 0)
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    from engine.memory import extract, kinds
    from engine.memory.chunks import cut
    from engine.memory.loglike import why_log

    path, kind = request["path"], request["kind"]
    data = _bytes(path, request["max_bytes"])
    digest = hashlib.sha256(data).hexdigest()
    if digest == request["known"]:
        return {"same": True}
    text = extract.extract(data, kind)
    length = sum(len(section.text) for section in text.sections)
    if length > request["max_text"]:
        raise ValueError(
            f"{length:,} characters of text, more than the {request['max_text']:,} that are kept"
            " (ingest.max_text in memory.yml)"
        )
    if request["logs"] == "refuse" and kind in (kinds.TEXT, kinds.MARKDOWN):
        why = why_log("\n".join(section.text for section in text.sections))
        if why:
            raise ValueError(f"{why}; not kept (ingest.logs in memory.yml)")
    passages = []
    for section in text.sections:
        line = section.line
        for piece in cut(section.text, request["chunk"]):
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
        raise ValueError(f"more than the {most / 1e6:g} MB that are read (ingest.max_bytes in memory.yml)")
    return data


if __name__ == "__main__":
    main()
