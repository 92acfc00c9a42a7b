from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.providers import prices, scripted
from engine.record import runs
from engine.record.connection import open_reader
from engine.runs import pipelines
from engine.runs.control import Control
from engine.settings.errors import UsageError
from engine.talk import duel, loop_spec, seats, spec
from tests.engine.talk.stage import Stage

GOOD = """\
kind: duel
seats:
  - {persona: ann, model: scripted/echo}
  - {persona: bob, model: scripted/echo}
"""


def _refused(stage: Stage, path: Path, sets: list[str] | None = None) -> str:
    """The one line that starting the pipeline ends with; nothing may be written."""
    with pytest.raises(UsageError) as caught:
        Control(stage.database, "test").start(path, sets or [])
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 400
    db = open_reader(stage.database)
    assert runs.count(db) == 0
    assert db.execute("SELECT count(*) FROM content").fetchone()[0] == 0
    db.close()
    return line


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (GOOD + "openning: Hi\n", ["openning: unknown key", "did you mean opening?"]),
        (GOOD.replace("{persona: ann,", "{persona: ann, modle: x,"), ["seats.0.modle: unknown key", "model?"]),
        (GOOD + "limits: {turn: 3}\n", ["limits.turn: unknown key", "turns?"]),
        (GOOD + "context: {strategie: refuse}\n", ["context.strategie", "strategy?"]),
        (GOOD + "repetition: {than: end}\n", ["repetition.than", "then?"]),
        (GOOD.replace("persona: ann", "persona: anne"), ["seats.0.persona: no persona is called 'anne'", "ann?"]),
        (GOOD.replace("model: scripted/echo}\n  - {persona: bob", "x: 1}\n  - {persona: bob"), ["seats.0.x"]),
        (
            GOOD.replace(", model: scripted/echo}\n  - {persona: bob", "}\n  - {persona: bob"),
            ["seats.0.model: missing"],
        ),
        (GOOD.replace("scripted/echo}\n  - {persona: bob", "echo}\n  - {persona: bob"), ["PROVIDER/MODEL", "'echo'"]),
        (GOOD.replace("scripted/echo}\n  - {persona: bob", "olama/x}\n  - {persona: bob"), ["'olama'", "ollama?"]),
        (GOOD.replace("scripted/echo}\n  - {persona: bob", "scripted/none}\n  - {persona: bob"), ["seat Ann", "none"]),
        (GOOD + "  - {persona: ann, model: scripted/echo}\n", ["seats: a duel has two seats, not 3"]),
        (GOOD.rsplit("  -", 1)[0], ["seats: a duel has two seats, not 1"]),
        ("kind: duel\nseats: Ann and Bob\n", ["seats", "list"]),
        ("kind: duel\n", ["seats: missing"]),
        (GOOD + "limits: {turns: many}\n", ["limits.turns", "'many'"]),
        (GOOD + "limits: {turns: -1}\n", ["limits.turns", "-1"]),
        (GOOD + "limits: {turns: true}\n", ["limits.turns", "True"]),
        (GOOD + "limits: {minutes: .inf}\n", ["limits.minutes", "inf"]),
        (GOOD + "limits: {cost: .nan}\n", ["limits.cost", "nan"]),
        (GOOD + "opening: 42\n", ["opening", "42"]),
        (GOOD + "opening: ''\n", ["opening"]),
        (GOOD + "starter: carl\n", ["starter", "'carl'"]),
        (GOOD + "rules: strict\n", ["rules", "'strict'"]),
        (GOOD + "repetition: {threshold: 1.5}\n", ["repetition.threshold", "1.5"]),
        (GOOD + "partial: maybe\n", ["partial", "'maybe'"]),
        (GOOD + "seed: 1.5\n", ["seed", "1.5"]),
        (GOOD.replace("persona: ann", "persona: ann, name: You"), ["seats.0.name", "'You'"]),
        (GOOD.replace("persona: ann", f"persona: ann, name: {'n' * 33}"), ["seats.0.name", "32"]),
        (GOOD.replace("persona: ann", "persona: ann, window: 3"), ["seats.0.window", "256"]),
        (GOOD.replace("kind: duel", "kind: dual"), ["kind", "duel?"]),
        (GOOD.replace("kind: duel\n", ""), ["kind: missing"]),
        (GOOD + "limits: [1\n", ["not valid YAML"]),
        (GOOD + "limits: {turns: 1}\nlimits: {turns: 2}\n", ["'limits' is given twice"]),
        ("- just\n- a list\n", ["key: value"]),
        ("", ["empty"]),
        (
            GOOD.replace("persona: ann", "persona: ann, options: {temprature: 1}"),
            ["seat Ann", "options.temprature", "temperature?"],
        ),
        (
            GOOD.replace("persona: ann", "persona: ann, options: {temperature: hot}"),
            ["seat Ann", "options.temperature", "'hot'"],
        ),
        (GOOD.replace("persona: ann", "persona: ann, options: {max_tokens: 2.5}"), ["options.max_tokens", "2.5"]),
        (GOOD.replace("persona: ann", "persona: ann, options: {max_tokens: 0}"), ["options.max_tokens", "0"]),
        (GOOD.replace("persona: ann", "persona: ann, options: {stop: END}"), ["options.stop", "list"]),
        (GOOD.replace("persona: ann", "persona: ann, options: [1]"), ["seats.0.options"]),
    ],
)
def test_a_bad_pipeline_gets_one_line_and_writes_nothing(
    stage: Stage, tmp_path: Path, text: str, parts: list[str]
) -> None:
    path = tmp_path / "p.yml"
    path.write_text(text, "utf-8")
    line = _refused(stage, path)
    for part in parts:
        assert part in line


def test_a_bad_file_gets_one_line(stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "p.yml"
    path.write_bytes(GOOD.encode() + b"title: caf\xe9\n")
    line = _refused(stage, path)
    assert str(path) in line and "not UTF-8" in line
    assert "no such pipeline" in _refused(stage, tmp_path / "gone.yml")
    path.write_text(GOOD, "utf-8")
    assert "no place in a list of 2" in _refused(stage, path, ["seats.2.model=x/y"])
    assert "key=value" in _refused(stage, path, ["limits.turns"])
    assert "limits.turn" in _refused(stage, path, ["limits.turn=3"])


def test_a_bad_persona_file_names_the_seat(stage: Stage, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.yml"
    path.write_text(GOOD, "utf-8")
    (home / "personas" / "ann.md").write_text("", "utf-8")
    assert "seats.0.persona: " in (line := _refused(stage, path)) and "empty" in line
    (home / "personas" / "ann.md").write_bytes(b"# A: Ann\n\n\xff")
    assert "not UTF-8" in _refused(stage, path)


def test_an_option_of_the_persona_that_its_model_lacks_is_named(stage: Stage, home: Path, tmp_path: Path) -> None:
    (home / "personas" / "ann.md").write_text("---\noptions: {min_p: 0.1}\n---\n# A: Ann\n\nYou are Ann.\n", "utf-8")
    (home / "keys").write_text("OPENAI_API_KEY=sk-test-0123456789\n", "utf-8")
    path = tmp_path / "p.yml"
    path.write_text(GOOD.replace("scripted/echo}\n  - {persona: bob", "openai/gpt-5}\n  - {persona: bob"), "utf-8")
    line = _refused(stage, path)
    assert "seat Ann" in line and "persona's options.min_p" in line and "openai/gpt-5" in line


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("talk", "limts: {}", "limts: unknown key; did you mean limits?"),
        ("talk", "repetition: {then: boo}", "repetition.then: Input should be"),
        ("prices", "scripted/*: {prompt: 1}", "scripted/*: needs answer"),
        ("models", "mine: {file: x.gguf}", "mine."),
    ],
)
def test_a_fault_in_a_settings_file_names_that_file(
    stage: Stage, home: Path, tmp_path: Path, name: str, text: str, part: str
) -> None:
    path = tmp_path / "p.yml"
    path.write_text(GOOD.replace("scripted/echo}\n  - {persona: bob", "local/x}\n  - {persona: bob"), "utf-8")
    (home / f"{name}.yml").write_text(text, "utf-8")
    prices.table.cache_clear()
    line = _refused(stage, path)
    assert str(home / f"{name}.yml") in line and part in line
    prices.table.cache_clear()


def test_an_option_of_the_endpoint_that_it_lacks_is_named(stage: Stage, home: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.yml"
    path.write_text(GOOD, "utf-8")
    (home / "providers.yml").write_text("scripted: {options: {hotness: 9}}\n", "utf-8")
    line = _refused(stage, path)
    assert "seat Ann" in line and "scripted's options.hotness" in line


def _resolved(over: dict[str, Any], sets: list[str] | None = None) -> spec.Duel:
    seats = [{"persona": "ann", "model": "scripted/echo"}, {"persona": "bob", "model": "scripted/echo"}]
    return spec.Duel.model_validate(pipelines.resolve({"kind": "duel", "seats": seats, **over}, sets or []))


def test_a_human_needs_neither_persona_nor_model(home: Path) -> None:
    ann = {"persona": "ann", "model": "scripted/echo"}
    duel = _resolved({"seats": [ann, {"human": True}]})
    assert [(seat.name, seat.persona, seat.model) for seat in duel.seats][1] == ("Visitor", "", None)
    assert _resolved({"seats": [ann, {"human": True, "name": "Zoe"}]}).seats[1].name == "Zoe"
    with pytest.raises(UsageError, match=r"seats.1.persona: missing"):
        _resolved({"seats": [ann, {"model": "scripted/echo"}]})


def test_two_seats_of_one_name_get_numbers(home: Path) -> None:
    twice = [{"persona": "ann", "model": "scripted/echo"}] * 2
    assert [seat.name for seat in _resolved({"seats": twice}).seats] == ["Ann 1", "Ann 2"]
    long = [{"persona": name, "name": "x" * 32, "model": "scripted/echo"} for name in ("ann", "bob")]
    names = [seat.name for seat in _resolved({"seats": long}).seats]
    assert names[0] != names[1] and max(map(len, names)) <= 32


def test_a_persona_with_a_long_name_can_sit_down(home: Path) -> None:
    name = "Karl Friedrich Hieronymus Freiherr von Münchhausen"
    (home / "personas" / "baron.md").write_text(f"# A baron: {name} (de)\n\nYou are he.\n", "utf-8")
    twice = [{"persona": "baron", "model": "scripted/echo"}] * 2
    one, two = _resolved({"seats": twice}).seats
    assert one.name != two.name and name.startswith(one.name.removesuffix(" 1"))


def test_what_a_seat_has_of_its_persona_and_of_its_own(home: Path) -> None:
    (home / "personas" / "ann.md").write_text(
        "---\nmodel: scripted/echo\noptions: {top_k: 3}\nexamples: [{user: Hi., assistant: Ho.}]\n---\n"
        "# A: Ann\n\nYou are Ann.\n",
        "utf-8",
    )
    found = _resolved({"seats": [{"persona": "ann"}, {"persona": "bob", "model": "scripted/echo", "name": " Robert "}]})
    first, second = found.seats
    assert (first.name, first.model, second.name) == ("Ann", "scripted/echo", "Robert")
    assert first.guest is not None and first.guest.examples == [["Hi.", "Ho."]]
    assert not first.sends_examples and not first.ends_whole
    first.model = "local/smollm2"
    assert first.sends_examples and first.ends_whole


def test_overrides_reach_every_key(home: Path) -> None:
    found = _resolved({}, ["limits.turns=7", "seats.1.options.temperature=0.3", "title=An evening", "limits.cost=1"])
    assert (found.limits.turns, found.limits.cost, found.title) == (7, 1, "An evening")
    assert found.seats[1].options == {"temperature": 0.3}


def test_zero_is_no_limit(home: Path) -> None:
    caps = _resolved({"limits": {"turns": 0, "tokens": 0, "cost": 0, "minutes": 0}}).limits.caps()
    assert caps == {"turns": None, "tokens": None, "cost": None, "minutes": None}


def test_a_random_starter_is_drawn_with_the_seed(home: Path) -> None:
    drawn = [_resolved({"starter": "random", "seed": seed}).starter for seed in range(20)]
    assert set(drawn) == {"Ann", "Bob"}
    assert drawn == [_resolved({"starter": "random", "seed": seed}).starter for seed in range(20)]
    assert {_resolved({}).starter for _ in range(40)} == {"Ann", "Bob"}


def test_a_starter_is_named_by_seat_before_persona(home: Path) -> None:
    crossed = [
        {"persona": "ann", "name": "Bob", "model": "scripted/echo"},
        {"persona": "bob", "name": "Eve", "model": "scripted/echo"},
    ]
    found = _resolved({"seats": crossed, "starter": "bob"})
    assert found.starter == "Bob"
    assert _resolved({"seats": crossed, "starter": "eve"}).starter == "Eve"
    again = spec.validate(found.model_dump(mode="json"), "again")
    assert again == found


def test_a_spec_once_made_does_not_need_its_files(home: Path) -> None:
    found = _resolved({"starter": "ann"})
    for path in (home / "personas").glob("*.md"):
        path.unlink()
    assert spec.validate(found.model_dump(mode="json"), "stored") == found


# -- what the check before a run finds


def _check(over: dict[str, Any]) -> None:
    asyncio.run(duel.check(_resolved(over).model_dump(mode="json")))


def _with_model(model: str, **over: Any) -> dict[str, Any]:
    return {"seats": [{"persona": "ann", "model": model}, {"persona": "bob", "model": "scripted/echo"}], **over}


def test_a_server_that_is_down_is_found_before_the_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("OLLAMA_HOST", f"http://127.0.0.1:{port}")
    with pytest.raises(UsageError, match="seat Ann: ") as caught:
        _check(_with_model("ollama/llama3.2"))
    assert str(port) in str(caught.value) and "\n" not in str(caught.value)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that accepts and says nothing."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        monkeypatch.setenv("OLLAMA_HOST", f"http://127.0.0.1:{listener.getsockname()[1]}")
        yield


def test_a_silent_server_is_not_waited_for(home: Path, silent: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "PATIENCE", -0.8)
    with pytest.raises(UsageError, match=r"no answer within .* from ollama/llama3.2, scripted/echo"):
        _check(_with_model("ollama/llama3.2"))


def test_a_missing_key_is_found_before_the_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UsageError, match="seat Ann: no API key for openai: run `tertulia keys set OPENAI_API_KEY`"):
        _check(_with_model("openai/gpt-5"))


def test_a_missing_model_is_found_before_the_run(home: Path) -> None:
    with pytest.raises(UsageError, match=r"seat Ann: .*no-such-model"):
        _check(_with_model("local/no-such-model"))


def test_the_model_of_a_humans_seat_need_not_be_there(home: Path) -> None:
    seats = [{"persona": "ann", "human": True}, {"persona": "bob", "model": "scripted/echo"}]
    _check({"seats": seats})


def test_a_limit_in_money_needs_a_price(home: Path) -> None:
    (home / "prices.yml").write_text("scripted/*: null\nscripted/paid: {prompt: 1, answer: 2}\n", "utf-8")
    scripted.register("paid", {"otherwise": "echo"})
    with pytest.raises(UsageError, match=r"limits\.cost needs the price of scripted/echo"):
        _check({"limits": {"cost": 1.0}})
    _check({"limits": {"cost": 0}})
    paid = [{"persona": name, "model": "scripted/paid"} for name in ("ann", "bob")]
    _check({"limits": {"cost": 1.0}, "seats": paid})


def test_a_seat_takes_back_what_its_persona_wants(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test-0123456789")
    (home / "personas" / "ann.md").write_text("---\noptions: {temperature: 0.9}\n---\n# A: Ann\n\nAnn.\n", "utf-8")
    sets = ["seats.0.model=anthropic/claude", "seats.0.options.max_tokens=100"]
    wanting = _resolved({}, sets).seats[0]
    with pytest.raises(UsageError, match=r"the persona's options\.temperature: anthropic/claude does not honour it"):
        seats.check_options(seats.Seating(), wanting)
    content = _resolved({}, [*sets, "seats.0.options.temperature=null"]).seats[0]
    seats.check_options(seating := seats.Seating(), content)
    assert seating.options(content) == {"max_tokens": 100}


@pytest.mark.parametrize("model", ["ollama/m", "openai/m", "anthropic/m", "lmstudio/m"])
def test_one_word_gives_a_shipped_pipeline_another_provider(
    home: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.setenv(name, "sk-test-0123456789")
    for name in pipelines.available():
        shipped = pipelines.resolve(name)
        if "seats" not in shipped:  # a series has those of its runs
            continue
        told = pipelines.resolve(name, [f"seats.{number}.model={model}" for number in range(len(shipped["seats"]))])
        model_of = {"duel": spec.Duel, "loop": loop_spec.Loop}[told["kind"]]
        for seat in model_of.model_validate(told).seats:
            seats.check_options(seats.Seating(), seat)
