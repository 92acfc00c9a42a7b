from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.providers import registry, scripted
from engine.providers.protocol import (
    Delta,
    Fault,
    Message,
    ProviderError,
    Request,
    Stop,
    StopReason,
    Text,
    Thinking,
    ToolCall,
    Usage,
)

SCRIPT = """
pace: {chunk: 5}
seats:
  ELIZA:
    - How do you feel today?
    - text: Tell me more about your mother.
      thinking: He dodges.
      stop: length
      tools: [{name: lookup, arguments: '{"word": "mother"}'}]
    - text: A third, which breaks.
      faults:
        - {attempt: 1, fault: rate_limited, status: 429, retry_after: 2}
        - {attempt: 2, fault: broken_stream, after: 7}
  "*":
    0: Hello from anyone.
"""


def ask(model: str, turns: int = 0, slot: str = "run/ELIZA", prefill: str = "", **options: Any) -> Request:
    history = [Message("system", "be kind")]
    for turn in range(turns):
        history += [Message("user", f"q{turn}"), Message("assistant", f"a{turn}")]
    return Request(model, [*history, Message("user", "and now")], options, slot=slot, prefill=prefill)


async def play(adapter: Any, request: Request) -> list[Delta]:
    return [delta async for delta in adapter.stream(request)]


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, Text))


@pytest.fixture
def adapter() -> Any:
    return registry.open_adapter("scripted")


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "script.yml"
    path.write_text(SCRIPT)
    return str(path)


async def test_the_answer_depends_on_seat_and_turn_not_on_the_number_of_calls(adapter: Any, model: str) -> None:
    second = text(await play(adapter, ask(model, 1)))
    assert second == "Tell me more about your mother."
    assert text(await play(adapter, ask(model, 0))) == "How do you feel today?"
    assert text(await play(adapter, ask(model, 1))) == second
    assert text(await play(adapter, ask(model, 0, slot="other/PARRY"))) == "Hello from anyone."


async def test_thinking_tools_stop_and_chunks_come_as_written(adapter: Any, model: str) -> None:
    deltas = await play(adapter, ask(model, 1))
    assert "".join(d.text for d in deltas if isinstance(d, Thinking)) == "He dodges."
    assert next(d for d in deltas if isinstance(d, ToolCall)).arguments == '{"word": "mother"}'
    assert all(len(d.text) <= 5 for d in deltas if isinstance(d, Text))
    assert deltas[-2:] == [Usage(prompt=6, answer=8, thinking=2), Stop(StopReason.LENGTH)]


async def test_faults_come_on_their_try_and_after_their_characters(adapter: Any, model: str) -> None:
    got: list[Delta] = []
    with pytest.raises(ProviderError) as first:
        await play(adapter, ask(model, 2))
    assert (first.value.fault, first.value.status, first.value.retry_after) == (Fault.RATE, 429, 2.0)
    with pytest.raises(ProviderError) as second:
        async for delta in adapter.stream(ask(model, 2)):
            got.append(delta)
    assert second.value.fault is Fault.BROKEN and text(got) == "A third"
    assert text(await play(adapter, ask(model, 2))) == "A third, which breaks."


async def test_prefill_is_never_doubled_and_limits_cut(adapter: Any, model: str) -> None:
    assert text(await play(adapter, ask(model, 0, prefill="How do "))) == "you feel today?"
    cut = await play(adapter, ask(model, 0, max_tokens=2))
    assert text(cut) == "How do" and cut[-1] == Stop(StopReason.LENGTH)
    stopped = await play(adapter, ask(model, 0, stop=[" feel"]))
    assert text(stopped) == "How do you" and stopped[-1] == Stop(StopReason.STOP)


async def test_echo_is_the_same_in_every_process_and_differs_by_turn(adapter: Any) -> None:
    first = text(await play(adapter, ask("echo", 0)))
    assert first == "ELIZA 0: answer one that small closes boats speak under warm because seven paper bridges wind."
    assert first != text(await play(adapter, ask("echo", 1)))


async def test_a_script_in_memory_and_as_json(adapter: Any, tmp_path: Path) -> None:
    scripted.register("mine", {"seats": {"A": ["one"]}, "otherwise": "repeat", "window": 99})
    assert text(await play(adapter, ask("mine", 5, slot="r/A"))) == "one"
    assert (await adapter.check("mine")).window == 99
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"seats": {"A": ["from json"]}}))
    assert text(await play(adapter, ask(str(path), 0, slot="r/A"))) == "from json"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("seats: {A: [{txt: hi}]}", "seats.A.0: unknown key 'txt'; did you mean text?"),
        ("seats: {A: [{text: hi, stop: never}]}", "seats.A.0.stop: 'never'"),
        ("seats: {A: [{text: hi, faults: [{fault: flood}]}]}", "fault 'flood'"),
        ("otherwise: ehco", "otherwise: 'ehco'; did you mean echo?"),
        ("seats: [", "not valid YAML"),
    ],
)
async def test_a_bad_script_is_one_line(adapter: Any, tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "bad.yml"
    path.write_text(content)
    with pytest.raises(ProviderError) as caught:
        await adapter.check(str(path))
    assert says in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.fault is Fault.MODEL


async def test_missing_scripts_and_turns_are_named(adapter: Any, model: str) -> None:
    with pytest.raises(ProviderError, match=r"no script nowhere\.yml"):
        await adapter.check("nowhere.yml")
    with pytest.raises(ProviderError, match="no answer for seat ELIZA, turn 9"):
        await play(adapter, ask(model, 9))
