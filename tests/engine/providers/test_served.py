"""What providers say of the server and the weights behind a model, and that a run keeps it."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest

from engine.providers.local import Local
from engine.providers.protocol import Model
from engine.providers.scripted import Scripted
from engine.record.export import export
from tests.engine.providers.conformance import adapter_at
from tests.engine.providers.fake_server import Dialect, serving
from tests.engine.talk.conftest import home, stage
from tests.engine.talk.stage import Stage

__all__ = ["home", "stage"]


async def checked(dialect: Dialect, tells_version: bool = True) -> Model:
    async with serving(dialect) as server:
        server.tells_version = tells_version
        adapter = adapter_at(dialect, server.url)
        try:
            return await adapter.check("tiny")
        finally:
            await adapter.close()


async def test_ollama_says_its_version_and_which_weights_it_has() -> None:
    found = await checked("ollama")
    assert (found.server, found.digest, found.file_bytes) == ("Ollama 0.9.1", "sha256:abc123", 123)
    assert found.window, "and the window, as before"


async def test_a_server_too_old_to_say_is_as_good() -> None:
    found = await checked("ollama", tells_version=False)
    assert (found.server, found.digest) == ("", "") and found.window


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_others_say_it_in_a_header(dialect: Dialect) -> None:
    assert (await checked(dialect)).server == "boiler/2.1"


@pytest.mark.model
async def test_the_embedded_model_is_told_by_its_hash(smollm2: Path) -> None:
    found = await Local().check("smollm2")
    assert found.server == f"xllamacpp {importlib.metadata.version('xllamacpp')}"
    assert found.digest.startswith("sha256:") and found.file_bytes == smollm2.stat().st_size


async def test_a_run_keeps_it_once_and_again_where_it_has_changed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = "1.0"

    async def check(self: Any, model: str) -> Model:
        return Model(model, server=f"Boiler {version}", digest="sha256:1", file_bytes=9)

    monkeypatch.setattr(Scripted, "check", check)
    played = await stage.play(stage.pipeline({"otherwise": "echo"}))
    told = {"model": "scripted/play", "server": "Boiler 1.0", "digest": "sha256:1", "bytes": 9}
    assert [event.data for event in stage.events(played.run, "model.found")] == [told]
    stage.change(played.run, ["limits.turns=5"])
    await stage.go_on(played.run)
    assert len(stage.events(played.run, "model.found")) == 1, "nothing new"
    version = "1.1"
    stage.change(played.run, ["limits.turns=6"])
    await stage.go_on(played.run)
    assert [event.data["server"] for event in stage.events(played.run, "model.found")] == ["Boiler 1.0", "Boiler 1.1"]
    manifest = stage.read(lambda db: export(db, stage.row(played.run), "manifest"))
    assert '"server": "Boiler 1.1"' in manifest and '"bytes": 9' in manifest
