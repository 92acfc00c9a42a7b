"""The pipeline of a series: what it must say, what each key changes, what is said of mistakes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.runs import pipelines
from engine.settings.errors import UsageError
from engine.talk import evolve_judge, judge, series, series_spec
from engine.talk.series_spec import Series

SEATS = [{"persona": name, "model": "scripted/echo"} for name in ("ann", "bob")]
TALK: dict[str, Any] = {
    "kind": "duel",
    "seats": SEATS,
    "starter": "ann",
    "opening": "Hello.",
    "limits": {"turns": 4, "tokens": 900},
}
LIST: dict[str, Any] = {"kind": "series", "runs": [TALK]}
EVOLVES: dict[str, Any] = {"kind": "series", "pipeline": TALK}


def spec(base: dict[str, Any], **over: Any) -> Series:
    return Series.model_validate(pipelines.resolve({**base, **over}))


def child(base: dict[str, Any], number: int = 0, seed: str | None = None, **over: Any) -> dict[str, Any]:
    return series_spec.child(spec(base, **over), number, "A title", seed)


def test_a_child_is_complete_and_plays_its_pipeline(home: Path) -> None:
    made = child(EVOLVES, seed="What now?")
    assert (made["kind"], made["title"], made["opening"], made["limits"]["turns"]) == (
        "duel",
        "A title",
        "What now?",
        4,
    )
    assert made["seats"][0]["guest"]["prompt"]
    assert child(LIST)["opening"] == "Hello."


def test_what_is_played_and_how_often(home: Path) -> None:
    other = {**TALK, "title": "Other", "limits": {"turns": 2}}
    two = spec(LIST, runs=[TALK, other], repeat=0)
    assert two.repeat == 0 and two.title == "2 runs in series"
    assert [series_spec.child(two, number, "t")["limits"]["turns"] for number in range(3)] == [4, 2, 4]
    (home / "pipelines").mkdir()
    (home / "pipelines" / "mine.yml").write_text(
        "kind: duel\nseats: [{persona: ann, model: scripted/echo}, "
        "{persona: bob, model: scripted/echo}]\nlimits: {turns: 7}\n"
    )
    assert child(LIST, runs=["mine"])["limits"]["turns"] == 7
    assert child(EVOLVES, pipeline="mine", question="Why?")["limits"]["turns"] == 7
    (home / "pipelines" / "mine.yml").unlink()
    stored = spec(EVOLVES).model_dump(mode="json")
    assert pipelines.resolve(stored) == stored  # a resumed series depends on no file


def test_the_question_is_its_own_or_the_pipelines_or_the_seed(home: Path) -> None:
    assert spec(EVOLVES).question == "Hello." and spec(EVOLVES, question="Why?").question == "Why?"
    assert pipelines.resolve(EVOLVES, seed="Where?")["question"] == "Where?" and series.SEED == "question"
    assert spec(EVOLVES).title == "Evolution of: Hello." and spec(EVOLVES, title="Mine").title == "Mine"
    silent = {key: value for key, value in TALK.items() if key != "opening"}
    with pytest.raises(UsageError, match=r"this run: question: missing, and the pipeline has none; .*--seed TEXT"):
        spec(EVOLVES, pipeline=silent)


def test_children_ask_as_their_series_does_and_draw_apart(home: Path) -> None:
    assert child(EVOLVES, answers="fail")["answers"] == "fail" and child(EVOLVES)["answers"] == "ask"
    assert child(EVOLVES, deadline=3)["deadline"] == 3 and child(EVOLVES)["deadline"] is None
    drawn = {**TALK, "seed": 5}
    assert child(EVOLVES, pipeline=drawn)["seed"] == 5
    seeds = {child(EVOLVES, number, pipeline=drawn)["seed"] for number in range(4)}
    assert len(seeds) == 4
    assert child(EVOLVES, 3)["seed"] is None


async def test_a_limit_in_money_needs_prices_and_reaches_the_children(home: Path) -> None:
    assert child(EVOLVES, limits={"cost": 2})["limits"]["cost"] == 2  # else its calls would reserve no money
    own = {**TALK, "limits": {"cost": 1}}
    assert child(EVOLVES, pipeline=own, limits={"cost": 2})["limits"]["cost"] == 1
    caps = spec(EVOLVES, limits={"turns": 1, "tokens": 2, "cost": 3, "minutes": 4}).limits.caps()
    assert caps == {"turns": 1, "tokens": 2, "cost": 3, "minutes": 4}
    assert set(spec(EVOLVES, limits={"turns": 0}).limits.caps().values()) == {None}
    unknown = {**TALK, "seats": [{**seat, "model": "openai/of-tomorrow"} for seat in SEATS]}
    with pytest.raises(UsageError, match=r"price|key"):
        await series.check(pipelines.resolve({**EVOLVES, "pipeline": unknown, "limits": {"cost": 1}}))


def test_the_baseline_spends_what_it_is_given(home: Path) -> None:
    loop = {
        "kind": "loop",
        "question": "?",
        "seats": [{"role": "questioner", "model": "scripted/echo"}, {"role": "creator", "model": "scripted/echo"}],
        "stop": [{"measure": "novelty", "below": 0.2, "turns": 2}],
        "limits": {"turns": 3, "minutes": 1},
    }
    made = series_spec.baseline(spec(EVOLVES, pipeline=loop, question="Why?", limits={"cost": 1, "minutes": 5}), 1234)
    assert made["limits"] == {"turns": 0, "tokens": 1234, "cost": 1.0, "minutes": 5.0}  # without a cap no call reserves
    assert made["question"] == "Why?" and made["stop"] == [] and made["repetition"]["then"] == "ignore"
    for own, whole, cap in ((0.5, 1, 0.5), (2, 1, 1.0), (0.5, 0, 0.5), (0, 0, None)):
        pipeline = {**loop, "limits": {"turns": 3, "cost": own}}
        made = series_spec.baseline(spec(EVOLVES, pipeline=pipeline, limits={"cost": whole}), 1234)
        assert made["limits"] == {"turns": 0, "tokens": 1234, "cost": cap, "minutes": None}
    assert spec(EVOLVES).baseline and not spec(EVOLVES, baseline=False).baseline


async def test_the_judge_is_checked_before_anything_is_spent(home: Path) -> None:
    def judged(**keys: Any) -> dict[str, Any]:
        return pipelines.resolve({**EVOLVES, "judge": {"model": "scripted/echo", **keys}})

    await series.check(judged())
    who = evolve_judge.seat(Series.model_validate(judged(options={"temperature": 0.5})))
    assert (who.model, who.options) == ("scripted/echo", {"temperature": 0.5})
    with pytest.raises(UsageError, match=r"seat Judge: options.temprature: .* did you mean temperature"):
        await series.check(judged(options={"temprature": 1}))
    with pytest.raises(UsageError, match="seat Judge: no script"):
        await series.check(judged(model="scripted/nobody"))
    (home / "trial.yml").write_text('answers: [{question: "Why?", answer: Because.}]\n')
    with pytest.raises(UsageError, match=r"trial\.yml: answers: List should have at least 20 items"):
        await series.check(judged())


async def test_a_trial_that_no_judge_could_pass_is_refused(home: Path) -> None:
    judged = pipelines.resolve({**EVOLVES, "judge": {"model": "scripted/echo"}})

    def write(short: int) -> None:
        told = [{"question": "Why?", "answer": f"One {n}. Two." + " Three." * (n >= short)} for n in range(22)]
        (home / "trial.yml").write_text(json.dumps({"answers": told}))

    write(2)
    await series.check(judged)
    write(3)
    with pytest.raises(UsageError, match=r"trial\.yml: answers\.0\.answer: .* only 19 of 22 answers .* tried on 20$"):
        await series.check(judged)


def test_what_a_judge_is_tried_on_can_be_shuffled_and_drawn_again(home: Path) -> None:
    texts = [item.answer for item in evolve_judge.trial().answers]
    pairs = judge.planted(texts, 0)
    assert len(pairs) == len(texts) >= judge.LEAST_PAIRS and len(set(texts)) == len(texts)
    assert judge.planted(texts, spec(EVOLVES, seed=1).seed) != pairs


@pytest.mark.parametrize(
    ("base", "over", "told"),
    [
        ({}, {}, r"plays `runs: \[PIPELINE, \.\.\.\]`, or a `pipeline` in `generations`: one is needed"),
        (EVOLVES, {"runs": [TALK]}, "not both"),
        (LIST, {"generations": 3}, "generations: only a series of a pipeline that evolves has it"),
        (LIST, {"judge": {"model": "scripted/echo"}}, "judge: only a series of a pipeline that evolves has it"),
        (LIST, {"question": "Why?"}, "question: only a series of a pipeline that evolves has it"),
        (EVOLVES, {"repeat": 2}, "repeat: only a series of runs has it"),
        (EVOLVES, {"generation": 2}, "generation: unknown key; did you mean generations"),
        (EVOLVES, {"limits": {"token": 2}}, r"limits\.token: unknown key; did you mean tokens"),
        (EVOLVES, {"judge": {"modle": "x"}}, r"judge\.modle: unknown key; did you mean model|judge\.model: missing"),
        (EVOLVES, {"generations": 0}, "generations: Input should be greater than or equal to 1, got 0"),
        (EVOLVES, {"children": "two"}, "children: Input should be a valid integer, got 'two'"),
        (
            EVOLVES,
            {"pipeline": "eliza-meets-pary"},
            r"pipeline: no pipeline is called .* did you mean eliza-meets-parry",
        ),
        (EVOLVES, {"pipeline": {**TALK, "titel": "x"}}, "pipeline: titel: unknown key; did you mean title"),
        (LIST, {"runs": [TALK, {"kind": "dual"}]}, r"runs\.1: kind: unknown kind 'dual'; did you mean duel"),
        (LIST, {"runs": [EVOLVES]}, r"runs\.0: series is a series itself; name a duel or a loop"),
        (LIST, {"runs": [3]}, r"runs\.0"),
    ],
)
def test_a_mistake_is_named_with_its_place(home: Path, base: dict[str, Any], over: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told) as error:
        pipelines.resolve({"kind": "series", **base, **over})
    assert "\n" not in str(error.value)


def test_every_key_of_a_series_is_known_here() -> None:
    """A key that is added needs a test that it changes something: below, or in test_series and test_children."""
    assert set(Series.model_fields) == {
        *("kind", "title", "runs", "repeat", "question", "pipeline", "generations", "children", "judge", "baseline"),
        *("limits", "seed", "answers", "deadline"),
    }
