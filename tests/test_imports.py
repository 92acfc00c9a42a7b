"""Who imports whom, seen from outside: each package alone in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from engine.record import schema
from tests.fixtures import write_record

SDKS = ["openai", "anthropic", "ollama", "httpx", "xllamacpp", "genai_prices", "stamina"]
APP = ["textual", "tui", "rich"]

PACKAGES = {
    "engine": [*APP, *SDKS, "torch", "pydantic", "sqlite_utils", "click", "yaml"],
    "engine.settings.layers": [*APP, *SDKS, "torch", "pydantic", "sqlite_utils", "engine.record", "engine.runs"],
    "engine.record.reader": [*APP, *SDKS, "torch", "pydantic", "sqlite_utils", "yaml", "engine.runs"],
    "engine.record.writer": [*APP, *SDKS, "torch", "pydantic", "sqlite_utils", "yaml", "engine.runs"],
    "engine.record.export": [*APP, *SDKS, "torch", "pydantic", "sqlite_utils", "engine.runs", "engine.talk"],
    "engine.record.search": [*APP, *SDKS, "torch", "pydantic", "sqlite_utils"],
    "engine.record.backup": [*APP, *SDKS, "torch", "pydantic", "sqlite_utils"],
    "engine.runs.control": [*APP, *SDKS, "torch", "pydantic", "sqlite_utils", "engine.talk", "engine.providers"],
    "engine.runs.process": [*APP, *SDKS, "torch", "pydantic", "sqlite_utils", "engine.talk", "engine.providers"],
    "engine.runs.catalog": [*APP, *SDKS, "torch", "pydantic", "engine.talk", "engine.providers"],
    "engine.providers.registry": [*APP, *SDKS, "torch", "engine.talk", "engine.runs"],
    "engine.memory.sqlite_store": [
        *APP,
        *SDKS,
        "torch",
        "numpy",
        "tokenizers",
        "pypdf",
        "pydantic",
        "engine.talk",
        "engine.runs",
    ],
    "engine.talk.duel": [*APP, *SDKS, "torch", "engine.cli"],
    "engine.cli.main": [*APP, *SDKS, "torch", "pydantic", "sqlite_utils", "yaml", "engine.talk", "engine.providers"],
    "tui.main": ["textual", *SDKS, "torch", "pydantic", "sqlite_utils"],
    "tui.state.conversation": [*APP[:1], "rich", *SDKS, "torch", "pydantic", "engine.talk", "engine.providers"],
}


@pytest.mark.parametrize("package", PACKAGES)
def test_importing_a_package_brings_only_what_it_may_use(package: str) -> None:
    code = f"import sys, json, {package}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, text=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert package in loaded
    assert loaded & set(PACKAGES[package]) == set()


@pytest.mark.parametrize("words", [["--help"], ["runs"], ["show", "last"], ["runs", "--json"]])
def test_looking_is_light(words: list[str], database: Path) -> None:
    write_record.load(schema.VERSION, database)
    code = "import sys; from engine.cli.main import main\n"
    code += "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
    code += "import json; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, timeout=60, text=True, check=True)
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert words == ["--help"] or "A question evolves" in done.stdout
    assert "engine.cli.main" in loaded
    assert loaded & {*APP, *SDKS, "pydantic", "sqlite_utils", "asyncio", "engine.talk", "engine.providers"} == set()
