from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engine.providers import registry
from engine.providers.protocol import ProviderError
from engine.settings.errors import UsageError


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("OLLAMA_HOST", "OPENAI_BASE_URL", "OPENAI_API_KEY", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "tertulia"
    folder.mkdir()
    return folder / "providers.yml"


def test_a_model_may_hold_slashes() -> None:
    assert registry.split("lmstudio/qwen/qwen3-8b") == ("lmstudio", "qwen/qwen3-8b")
    for wrong in ("llama3", "/llama3", "ollama/", ""):
        with pytest.raises(UsageError, match="PROVIDER/MODEL"):
            registry.split(wrong)


def test_every_shipped_endpoint_is_valid_and_opens() -> None:
    assert set(registry.endpoints()) == {"local", "ollama", "openai", "anthropic", "lmstudio", "scripted"}
    for name in registry.endpoints():
        assert registry.open_adapter(name).honours.options


def test_the_users_file_is_merged_over_the_shipped_one(config: Path) -> None:
    config.write_text(
        "openai: {limits: {requests_per_minute: 5}}\n"
        "box: {adapter: openai, base_url: 'http://10.0.0.7:8080/v1/', extra_options: {top_k: top_k}}\n"
    )
    assert registry.endpoint("openai").limits.requests_per_minute == 5
    assert registry.endpoint("openai").key == "OPENAI_API_KEY"
    assert registry.endpoint("box").url == "http://10.0.0.7:8080/v1"
    assert "top_k" in registry.open_adapter("box").honours.options


def test_an_environment_variable_moves_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "10.1.2.3:9999")
    assert registry.endpoint("ollama").url == "10.1.2.3:9999"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("box: {adapter: openai, bas_url: x}", "box.bas_url: unknown key; did you mean base_url?"),
        ("box: {adapter: openai, timeouts: {connnect: 2}}", "timeouts.connnect: unknown key; did you mean connect?"),
        ("box: {adapter: openia}", "unknown adapter 'openia': did you mean openai?"),
        ("box: {base_url: x}", "box.adapter: missing"),
        ("box: 7", "must be `key: value` pairs"),
        ("box: {adapter: openai, timeouts: {idle: -1}}", "timeouts.idle: Input should be greater than 0, got -1"),
        ("box: [", "not valid YAML"),
    ],
)
def test_a_fault_in_the_file_is_one_clear_line(config: Path, content: str, says: str) -> None:
    config.write_text(content)
    with pytest.raises(UsageError) as caught:
        registry.endpoints()
    assert says in str(caught.value) and str(config) in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_provider_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown provider 'olama': did you mean ollama\?"):
        registry.open_adapter("olama")


def test_a_missing_key_says_how_to_set_it() -> None:
    with pytest.raises(ProviderError, match="no API key for openai: run `tertulia keys set OPENAI_API_KEY`"):
        registry.endpoint("openai").secret()


def test_opening_adapters_imports_no_sdk() -> None:
    code = (
        "import sys\nfrom engine.providers import registry\n"
        "for name in ('openai', 'anthropic', 'ollama', 'scripted'): registry.open_adapter(name)\n"
        "print([m for m in ('openai', 'anthropic', 'ollama', 'httpx', 'httpx2', 'genai_prices') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
