from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.memory import embedder
from engine.settings.errors import UsageError
from engine.talk import health
from engine.talk.health import MEASURES, Health
from engine.talk.measures import meaning, planted
from engine.talk.measures.layout import layout
from engine.talk.repetition import repeated

OTHER = Path(__file__).parents[2] / "fixtures" / "planted"
TALKS = planted.load()
BY_WORDS = frozenset({"novelty", "repetition", "structure"})
BY_MEANING = frozenset({"novelty_meaning", "drift"})
WORDS = st.lists(st.sampled_from(["sea", "lamp", "gull", "bell", "tide", "rope"]), max_size=12).map(" ".join)


class Vectors:
    """An embedder that is a function of the text."""

    def __init__(self, name: str, of: Callable[[str], NDArray[np.float32]]) -> None:
        self.name = name
        self.of = of
        self.dim = len(of("anything"))
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked += texts
        return np.stack([self.of(text) for text in texts])


def drawn(text: str, dim: int = 48) -> NDArray[np.float32]:
    """A direction that depends on the text alone."""
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())
    row = np.random.default_rng(seed).normal(size=dim)
    return (row / np.linalg.norm(row)).astype(np.float32)


def mixed(*parts: tuple[float, str]) -> NDArray[np.float32]:
    row = sum((np.float32(weight) * drawn(text, 256) for weight, text in parts), np.zeros(256, np.float32))
    return (row / np.linalg.norm(row)).astype(np.float32)


def knowing(paraphrases: bool) -> Callable[[str], NDArray[np.float32]]:
    """Vectors of a model that knows what each planted text is about, and which one says the same as which."""
    told: dict[str, NDArray[np.float32]] = {}
    for talk in TALKS:
        topic = (1.0, talk.title)
        told[talk.question] = mixed(topic, (0.3, talk.question))
        for _, text in talk.talk:
            told[text] = mixed(topic, (1.0, text))
        for name in ("goes_on", "contradicts"):
            told |= {text: mixed(topic, (1.0, text)) for _, text in talk.ending(name)}
        told |= {text: mixed((1.0, text)) for _, text in talk.ending("switches")}
        for number, (_, text) in enumerate(talk.ending("rewords")):
            same = talk.talk[2 * number + 1][1] if paraphrases else text
            told[text] = mixed(topic, (1.0, same), (0.1, text))
    return lambda text: told.get(text, drawn(text, 256))


def of_all(text: str, before: Sequence[str] = (), question: str = "What is it?") -> dict[str, float]:
    return Health.rebuilt(question, before, shown=BY_WORDS).measure(text)


# What each measure counts


def test_novelty_counts_what_nobody_has_said_the_question_included() -> None:
    assert of_all("the sea was quiet this morning")["novelty"] == 1
    assert of_all("the sea was quiet this morning", ["The sea, was QUIET this morning!"])["novelty"] == 0
    assert of_all("what is it", question="What is it?")["novelty"] == 0
    # the-sea-was, sea-was-quiet are old; was-quiet-today is new
    assert of_all("the sea was quiet today", ["the sea was quiet"])["novelty"] == pytest.approx(1 / 3)


def test_repetition_is_the_share_of_one_earlier_turn_not_of_all_together() -> None:
    before = ["a b c d", "c d e f"]
    values = of_all("a b c d e f", before)
    assert values["novelty"] == 0
    assert values["repetition"] == 0.5
    assert of_all("a b c d", ["a b c x", "a b c y", "a b c d"])["repetition"] == 1


def test_a_turn_repeated_after_a_hundred_others_is_found() -> None:
    fresh = [" ".join(f"w{turn}x{word}" for word in range(8)) for turn in range(100)]
    values = of_all(fresh[0], fresh)
    assert (values["novelty"], values["repetition"]) == (0, 1)


@given(st.lists(WORDS, max_size=15), WORDS)
def test_repetition_agrees_with_that_of_the_duel(before: list[str], text: str) -> None:
    assert of_all(text, before)["repetition"] == pytest.approx(repeated(text, before))


def test_structure_counts_headings_steps_and_bullets() -> None:
    text = "# One\n\n**Two**\n1. a\n 2) b\nStep 3: c\n- d\n* e\n• f\nplain - text 1. here\n2024. A year\n**bold** start"
    counts = layout(text)
    assert (counts.headings, counts.steps, counts.bullets) == (2, 3, 3)
    assert of_all(text)["structure"] == 8


def test_code_is_no_structure() -> None:
    assert layout("```sh\n# comment\n- x\n1. y\n```\n- real").total == 1
    assert layout("~~~~\n# a\n~~~\n# b\n~~~~\n# c").total == 1
    assert layout("```\n# never closed\n- x").total == 0


def test_meaning_is_the_distance_to_the_nearest_and_drift_that_of_the_last_three() -> None:
    axes = {name: np.eye(4, dtype=np.float32)[number] for number, name in enumerate(["q", "a", "b", "c"])}
    model = Vectors("axes", lambda text: axes.get(text, axes["q"]))
    tracker = Health("q", model, MEASURES)
    assert tracker.measure("q")["drift"] == 0
    first = tracker.measure("a")
    assert first["novelty_meaning"] == 1
    assert first["drift"] == pytest.approx(1 - 1 / np.sqrt(2))
    assert tracker.measure("a")["novelty_meaning"] == 0
    assert tracker.measure("b")["drift"] == 1  # a, a, b: q is forgotten


def test_meaning_over_hundreds_of_turns_is_that_of_comparing_with_each() -> None:
    model = Vectors("drawn", drawn)
    texts = [f"turn {number}" for number in range(300)]
    tracker = Health("the question", model, BY_MEANING)
    values = [tracker.measure(text) for text in texts]
    rows = model.embed(["the question", *texts])
    for number in (0, 1, 62, 63, 64, 128, 299):
        near = float((rows[: number + 1] @ rows[number + 1]).max())
        assert values[number]["novelty_meaning"] == pytest.approx(min(1, max(0, 1 - near)), abs=1e-5)
        window = rows[max(1, number - 1) : number + 2].sum(axis=0)
        drift = 1 - float(window @ rows[0] / np.linalg.norm(window))
        assert values[number]["drift"] == pytest.approx(min(1, drift), abs=1e-5)


def test_a_long_turn_is_embedded_in_pieces_one_at_a_time() -> None:
    model = Vectors("drawn", drawn)
    meaning.vector("word " * 1000, model)
    assert len(model.asked) > 1 and max(map(len, model.asked)) <= 800
    assert "".join(model.asked).replace(" ", "") == "word" * 1000
    model.asked.clear()
    meaning.vector("x" * 1_000_000, model)
    assert sum(map(len, model.asked)) == 12_800


# One transcript, one series


@settings(max_examples=30)
@given(st.lists(WORDS, min_size=1, max_size=12), st.data())
def test_a_rebuilt_health_goes_on_as_the_first_did(texts: list[str], data: st.DataObject) -> None:
    model = Vectors("drawn", drawn)
    tracker = Health("sea and lamp", model, MEASURES)
    values = [tracker.measure(text) for text in texts]
    cut = data.draw(st.integers(0, len(texts)))
    again = Health.rebuilt("sea and lamp", texts[:cut], model, MEASURES)
    assert [again.measure(text) for text in texts[cut:]] == values[cut:]


@given(st.lists(st.text(max_size=60), max_size=8), st.text(max_size=40))
def test_every_value_is_within_its_range(texts: list[str], question: str) -> None:
    tracker = Health(question, Vectors("drawn", drawn), MEASURES)
    for text in texts:
        for name, value in tracker.measure(text).items():
            top = MEASURES[name].highest
            assert value >= 0 and (top is None or value <= top)


def test_a_turn_without_words_has_no_meaning_and_repeats_only_silence() -> None:
    tracker = Health("q", Vectors("drawn", drawn), MEASURES)
    assert tracker.measure("…") == {"novelty": 0, "repetition": 0, "structure": 0}
    assert tracker.measure("\x00\x1b \u202e\n") == {"novelty": 0, "repetition": 1, "structure": 0}
    assert tracker.measure("words at last")["repetition"] == 0


def test_a_megabyte_is_measured_like_a_line() -> None:
    values = of_all("a long story " * 80_000 + "\n" + "#" * 1000 + "\n" * 50_000)
    assert values == {"novelty": 1, "repetition": 0, "structure": 0}


def test_only_what_is_shown_is_taken() -> None:
    model = Vectors("drawn", drawn)
    assert Health("q", model, {"structure"}).measure("- a") == {"structure": 1}
    assert model.asked == []
    assert set(Health("q", model, {"drift", "novelty"}).measure("a b c")) == {"drift", "novelty"}


def test_a_turn_that_could_not_be_embedded_is_as_if_never_said() -> None:
    model = Vectors("drawn", drawn)
    tracker = Health("q", model, MEASURES)
    model.of, fine = lambda text: 1 / 0, model.of  # type: ignore[assignment, return-value]
    with pytest.raises(ZeroDivisionError):
        tracker.measure("the same words again")
    model.of = fine
    assert tracker.measure("the same words again") == Health("q", model, MEASURES).measure("the same words again")


# The planted transcripts


def test_the_words_measures_pass_on_the_shipped_talks_and_on_others() -> None:
    assert health.trusted() == BY_WORDS
    make = lambda question: Health(question, None, BY_WORDS)  # noqa: E731
    assert planted.passing(make, BY_WORDS, planted.load(OTHER)) == BY_WORDS


def test_enough_talks_are_shipped_for_every_check() -> None:
    for name, check in planted.CHECKS.items():
        having = [talk for talk in TALKS if talk.endings.keys() >= {*check.moves, *check.stays}]
        assert len(having) >= (3 if name == "structure" else 5)
    assert planted.CHECKS.keys() == {name for name, measure in MEASURES.items() if measure.needs != "model"}


def test_the_shipped_talks_are_not_those_that_the_checks_were_tuned_on() -> None:
    assert not {talk.question for talk in TALKS} & {talk.question for talk in planted.load(OTHER)}


class Rigged:
    """A tracker whose measures are what the test says."""

    def __init__(self, value: Callable[[int, str], float | None]) -> None:
        self.value = value
        self.turn = 0

    def measure(self, text: str) -> dict[str, float]:
        self.turn += 1
        value = self.value(self.turn, text)
        return {} if value is None else dict.fromkeys(planted.CHECKS, value)


def fakes() -> list[Callable[[int, str], float | None]]:
    draw = random.Random(4)
    return [
        lambda turn, text: 0.5,
        lambda turn, text: turn / 100,
        lambda turn, text: min(1, len(text) / 300),
        lambda turn, text: draw.random(),
        lambda turn, text: None,
        lambda turn, text: float("nan"),
    ]


@pytest.mark.parametrize("number", range(6), ids=["constant", "clock", "length", "random", "absent", "nan"])
def test_a_measure_that_measures_nothing_fails_every_check(number: int) -> None:
    value = fakes()[number]
    assert planted.passing(lambda question: Rigged(value), planted.CHECKS, TALKS) == set()


def test_a_measure_that_moves_the_wrong_way_or_on_everything_fails() -> None:
    pasted = {text for talk in TALKS for _, text in talk.talk}
    right = planted.passing(lambda question: Rigged(lambda turn, text: float(text in pasted)), ["repetition"], TALKS)
    wrong = planted.passing(lambda question: Rigged(lambda turn, text: float(text in pasted)), ["novelty"], TALKS)
    late = planted.passing(lambda question: Rigged(lambda turn, text: float(turn > 6)), ["repetition"], TALKS)
    assert (right, wrong, late) == ({"repetition"}, set(), set())


def test_no_talk_proves_nothing() -> None:
    assert planted.passing(lambda question: Health(question, None, BY_WORDS), BY_WORDS, []) == set()


def test_an_embedder_that_knows_meaning_is_trusted_and_one_that_knows_topics_for_the_drift() -> None:
    assert health.trusted(Vectors("knowing", knowing(paraphrases=True))) == BY_WORDS | BY_MEANING
    assert health.trusted(Vectors("half-knowing", knowing(paraphrases=False))) == BY_WORDS | {"drift"}


@pytest.mark.model
def test_the_default_embedder_is_trusted_with_both() -> None:
    model = embedder.default()
    assert model is not None, "run `tertulia models pull wordllama`"
    assert health.trusted(model) == BY_WORDS | BY_MEANING
    make = lambda question: Health(question, model, BY_MEANING)  # noqa: E731
    assert "drift" in planted.passing(make, BY_MEANING, planted.load(OTHER))


@pytest.mark.parametrize(
    ("name", "of"),
    [
        ("random", drawn),
        ("constant", lambda text: np.full(4, 0.5, np.float32)),
        ("zeros", lambda text: np.zeros(4, np.float32)),
        ("nan", lambda text: np.full(4, np.nan, np.float32)),
    ],
)
def test_an_embedder_that_knows_nothing_is_not_trusted(name: str, of: Callable[[str], NDArray[np.float32]]) -> None:
    model = Vectors(name, of)
    assert health.trusted(model) == BY_WORDS
    assert set(Health("q", model).measure("some words here")) == BY_WORDS
    model.asked.clear()
    assert health.trusted(model) == BY_WORDS
    assert model.asked == []  # checked once


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("title: x\nquestion: q\ntalk: [[A, b]]\nendings: {repeats: [2]}", "endings.repeats: there is no turn 2"),
        ("title: x\nquestion: q\ntalk: [[A]]\nendings: {}", "talk.0"),
        ("title: x\ntalk: [[A, b]]\nendings: {}", "question"),
        ("title: x\nquestion: q\ntalk: [[A, b]]\nendings: {}\nextra: 1", "extra"),
    ],
)
def test_a_broken_planted_talk_names_its_file_and_key(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "one.yml").write_text(text)
    with pytest.raises(UsageError, match=rf"one\.yml: {fault}"):
        planted.load(tmp_path)


def test_every_measure_says_what_it_counts_its_range_and_its_direction() -> None:
    for name, measure in MEASURES.items():
        assert measure.name == name
        assert measure.definition.count(".") == 1 and measure.definition.endswith(".")
        assert ("0 to 1" in measure.definition or "0 or 1" in measure.definition) == (measure.highest == 1)
