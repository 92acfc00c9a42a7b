"""A series in a terminal: what is told as it goes, its family tree, its place among the runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cli import narration, series
from engine.cli.plain import Plain
from engine.record import lineage, runs, turns
from engine.record.connection import write_once
from engine.record.events import Event, Kind
from tests.watch import wait_for

from .conftest import Cli

FIGURES = {"wins": 2, "ties": 1, "losses": 1, "rate": 0.625, "low": 0.2, "high": 0.9, "p": 0.5}


@pytest.fixture
def evolving(home: Path) -> Path:
    """Two generations of one run each, without a judge."""
    script = home / "loop.json"
    said = {"Questioner": ["What else?"], "Creator": ["It loses its bells.", "It loses 3 signals.\n- Bells\n- Trams"]}
    script.write_text(json.dumps({"seats": said, "otherwise": "repeat"}))
    options = {"max_tokens": 20}
    seats = [{"role": role, "model": f"scripted/{script}", "options": options} for role in ("questioner", "creator")]
    talk = {"kind": "loop", "question": "?", "seats": seats, "limits": {"turns": 4}, "repetition": {"then": "ignore"}}
    path = home / "evolving.yml"
    path.write_text(json.dumps({"kind": "series", "title": "Quiet", "pipeline": talk, "children": 1}))
    return path


def test_an_evolution_is_told_shown_and_listed(cli: Cli, evolving: Path, database: Path) -> None:
    result = cli("run", evolving, "--plain", "--seed", "What does a city lose?")
    assert result.code == 0 and result.out == ""
    listed = cli("runs", "--json").lines
    whole = next(run for run in listed if run["kind"] == "series")
    ids = {run["title"].removeprefix("Quiet: "): run["id"] for run in listed if run is not whole}
    first, second, plain = ids["1.1"], ids["2.1"], ids["unevolved"]
    told = result.err.splitlines()
    assert told[1:3] == ["started", f"generation 1, child 1 of 1: run {first}"]
    assert told[3].startswith(f"run {first} finished (limit:turns, the limit of 4 turns is reached): 4 turns, ")
    by_form = "selected by form, not by quality (the series names no judge)"
    assert f"generation 1: of 2 answers turn 4 of run {first} is {by_form}" in told
    assert f"generation 2, child 1 of 1: run {second}, mutation calibration, from turn 4 of run {first}" in told
    assert f"unevolved, with the same budget: run {plain}" in told
    assert told[-2].startswith("no comparison of quality is possible: the series names no judge; the unevolved run")
    assert told[-1] == "finished (generations: 2 generations played)"

    parts = [run for run in listed if run is not whole]
    assert {run["parent"] for run in parts} == {whole["id"]} and {run["forked_at"] for run in parts} == {None}
    assert whole["turn_count"] == sum(run["turn_count"] for run in parts) > 8
    assert whole["usage"]["tokens_in"] == sum(run["usage"]["tokens_in"] for run in parts) > 0

    shown = cli("show", whole["id"]).out.splitlines()
    tree = shown[shown.index("generation 1") :]
    assert tree[1].startswith(f"  {first}  finished (limit:turns")
    assert tree[2].startswith("    * 1. turn 4: 0 headings, 0 steps, 2 bullets, ")
    assert tree[2].endswith(": It loses 3 signals. - Bells - Trams")
    assert next(line for line in tree if line.startswith(f"  {second}")).endswith(
        f"calibration · from turn 4 of {first}"
    )
    assert any(line.startswith(f"  unevolved {plain}") for line in tree)
    assert f"Part of:      series {whole['id']}" in cli("show", second).out
    data = json.loads(cli("show", whole["id"], "--json").out)
    assert [(child["id"], child["purpose"], child["mutation"]) for child in data["children"]] == [
        (first, "evolve", None),
        (second, "evolve", "calibration"),
        (plain, "baseline", None),
    ]
    assert data["generations"][0]["selected"] == {"child": first, "seq": 4} and data["judge"] is None
    assert data["generations"][0]["principles"][0] == "It loses 3 signals."
    assert data["comparison"]["why"] == "the series names no judge" and data["lineage"]["reason"] == "generations"

    document = cli("export", whole["id"], "--format", "md").out
    assert f"- Turns: {whole['turn_count']}\n" in document and "\n## Generation 2\n" in document
    ranking = document[document.index("| rank |") :].splitlines()
    assert ranking[2].startswith(f"| 1 | {first} | 4 | ") and ranking[3].startswith(f"| 2 | {first} | 2 | ")
    assert "> It loses 3 signals.\n> - Bells\n> - Trams\n\n### Principles\n\n- It loses 3 signals." in document
    assert document.index("## Not evolved") < document.index("no comparison of quality is possible")

    page = cli("export", whole["id"], "--format", "html").out
    assert page.index("<h2>Generation 2</h2>") < page.index("no comparison of quality is possible")
    assert "<table>" in page and "It loses 3 signals." in page

    report = cli("report", whole["id"]).out
    assert all(f"run-{name}" in report for name in (whole["id"], first, second, plain))

    assert f"series {whole['id']}; remove that" in cli("rm", first, "--yes").err
    assert cli("rm", whole["id"], "--yes").code == 0 and cli("runs", "--json").lines == []


def test_the_run_that_would_follow_is_written_as_a_pipeline(cli: Cli, evolving: Path, tmp_path: Path) -> None:
    cli("run", evolving, "--plain", "--seed", "What does a city lose?", "--set", "baseline=false")
    series = next(run["id"] for run in cli("runs", "--json").lines if run["kind"] == "series")
    file = tmp_path / "next.yml"
    assert cli("pipelines", "next", series, "-o", file).code == 0
    text = file.read_text()
    assert "# Goal: What does a city lose?" in text and "# - It loses 3 signals." in text and "# 3. " in text
    data = yaml.safe_load(text)
    best = next(part for part in data["question"].split("\n") if part.startswith("It loses"))
    assert data["kind"] == "loop" and best and "calibration error" in data["question"]
    assert cli("pipelines", "next", series, "-o", file).code == 2, "a file that is there stays"
    other = cli("pipelines", "next", series, "--mutation", "failure-guard").out
    assert "uncertainty budget" in other and "calibration error" not in yaml.safe_load(other)["question"]
    assert "known are calibration, failure-guard" in cli("pipelines", "next", series, "--mutation", "x").err
    child = next(run["id"] for run in cli("runs", "--json").lines if run["kind"] == "loop")
    assert "no series whose question evolves" in cli("pipelines", "next", child).err
    assert cli("run", file, "--plain").code == 0


def test_what_has_ended_says_how_it_goes_on(cli: Cli, evolving: Path) -> None:
    started = cli("run", evolving, "--plain", "--seed", "Why?", "--set", "generations=1", "--set", "baseline=false")
    run = started.err.split()[1].rstrip(":")
    refused = cli("resume", run)
    assert refused.code == 2 and f"`tertulia resume {run} --set generations=2`" in refused.err
    assert cli("resume", run, "--set", "generations=2").code == 0
    assert "generation 2, child 1 of 1" in cli("follow", run).err
    refused = cli("run", evolving, "--set", "childs=2", "--seed", "Why?")
    assert refused.code == 2 and "childs: unknown key; did you mean children?" in refused.err


def test_a_child_that_asks_is_asked_for_at_its_series(cli: Cli, evolving: Path) -> None:
    human = ["--set", "pipeline.seats.0.human=true", "--set", "baseline=false", "--set", "generations=1"]
    result = cli("run", evolving, "--plain", "--seed", "Why?", *human)
    assert result.code == 3 and "Your turn as Questioner (`tertulia answer 1 TEXT`)" in result.err
    run = result.err.split()[1].rstrip(":")
    [ask] = cli("asks", run, "--json").lines
    assert ask["question"] == "Your turn as Questioner" and ask["run"] != run
    waiting = f"State:        waiting (run {ask['run']} asks (ask 1): Your turn as Questioner)"
    shown = wait_for(lambda: waiting in (told := cli("show", run).out) and told, "the series says what it waits for")
    assert "ask 1: Your turn as Questioner" in shown
    cli("stop", run)


def test_a_trial_says_what_it_rests_on() -> None:
    data = {"model": "x/judge", "trusted": False, "pairs": 22, **FIGURES, "unusable": 1}
    text = series.NARRATED[Kind.JUDGE_TRIED](data)
    assert text.startswith(
        "judge x/judge is not trusted (text against the same with its sentences shuffled: the real one"
    )
    assert "preferred in 62% of 4 pairs (95 % interval 20% to 90%: 2 won, 1 tied, 1 lost), p 0.5" in text
    assert "the other 18 pairs could not have changed that; in 1 of those asked an answer could not be used" in text
    assert "is trusted" in series.NARRATED[Kind.JUDGE_TRIED]({**data, "trusted": True, "pairs": 4})
    untried = {"model": "x\x1b/y", "pairs": 22, "trusted": False, "why": "no\x1bkey"}
    assert series.NARRATED[Kind.JUDGE_TRIED](untried) == "judge x␛/y could not be tried: no␛key"


def test_a_judge_says_how_far_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def told(level: narration.Level) -> list[str]:
        monkeypatch.setattr(narration, "_least", level)
        plain = Plain([])
        for done in range(3):
            data = {"model": "x/y", "purpose": "trial", "generation": 0, "done": done, "total": 22}
            plain.show(Event(done, "r", 0.0, "judge.progress", None, data))
        return capsys.readouterr().err.splitlines()

    what = "judge x/y is tried on texts against the same with their sentences shuffled"
    assert told(narration.Level.INFO) == [f"{what}: 0 of at most 22 pairs"]
    assert [line[-22:] for line in told(narration.Level.DEBUG)] == [f" {n} of at most 22 pairs" for n in range(3)]


def test_a_comparison_is_a_rate_with_its_interval_or_none_at_all() -> None:
    data = {"child": "abcd1234", "tokens": 900, "budget": 1000}
    text = series.NARRATED[Kind.BASELINE_COMPARED]({**data, "pairs": 4, **FIGURES})
    assert text.startswith(
        "against the unevolved run the lineage was preferred in 62% of 4 pairs (95 % interval 20% to"
    )
    assert "run abcd1234 has used 900 tokens of 1,000" in text
    text = series.NARRATED[Kind.BASELINE_COMPARED]({**data, "why": "the judge has not told real text from shuffled"})
    assert text.startswith("no comparison of quality is possible: the judge") and "%" not in text


def test_what_models_wrote_cannot_steer_the_terminal(database: Path, cli: Cli) -> None:
    def write(db: Any) -> str:
        whole = runs.find(db, runs.create(db, "series", "Quiet", {"kind": "series", "title": "Quiet"}))
        spec = {"kind": "loop", "title": "Quiet: 1.1", "seats": []}
        child = lineage.add(db, whole, spec, "evolve", 1, 1, of=1, seed="Why?")
        runs.start(db, child.run.n, 1, resumed=False)
        turns.say(db, child.run.n, 1, "Creator", "A \x1b[31mred\x07 answer.\n1. \u202eStep", "end")
        row = turns.get(db, child.run.n, 1)
        assert row
        counts = dict.fromkeys(("headings", "steps", "bullets", "metric_lines", "number_lines", "form"), 0)
        lineage.put_candidate(db, child.n, row.n, {"distance": None, **counts}, 1)
        lineage.keep_principles(db, whole.n, 1, ["1. \x1b[2J gone"])
        return whole.id

    run = write_once(database, write)
    shown = cli("show", run).out
    assert "A ␛[31mred␇ answer. 1. ⟨202E⟩Step" in shown and "1. ␛[2J gone" in shown
    assert "\x1b[31m" not in shown and "\u202e" not in shown
