"""What the tables of a report say, the same in Markdown and on a page: heads, and rows of plain text."""

from __future__ import annotations

from engine.record.export import facts
from engine.record.report.control import Expected
from engine.record.report.flags import Flags
from engine.record.report.study import Report, Row

RUNS = ["run", "parent", "state", "start", "end", "models", "turns >", "tokens >", "cost >", "title"]
"""A head that ends in ` >` is that of a column of numbers."""


def run(row: Row) -> list[str]:
    item = row.run
    start = facts.moment(item.started) if item.started else ""
    end = facts.moment(item.ended) if item.ended and not item.active else ""
    parent = f"{item.parent} at {item.forked_at}" if item.forked_at is not None else item.parent or ""
    tokens = f"{item.tokens_in + item.tokens_out:,}"
    models = ", ".join(row.models)
    return [
        item.id,
        parent,
        facts.state(item),
        start,
        end,
        models,
        str(item.turns),
        tokens,
        facts.cost(item),
        item.title,
    ]


def sample(report: Report) -> str:
    """What all counts are counts of."""
    once = "" if report.one else " Turns that forks share count once."
    return f"Counted over {_runs(len(report.rows))}, {report.turns:,} turns, {report.words:,} words of models.{once}"


def phrases_about(report: Report) -> str:
    whose = ", ".join(report.seats) or "nobody"
    unit = "rounds" if report.one else "runs, oldest first"
    return (
        f"Phrases of one to three words in {report.texts:,} texts (turns of {whose}, and seeds), by the words they"
        f" cover (times said x words). The course is the count over {report.units:,} {unit}, in at most 12 equal"
        " stretches."
    )


def tracked_about(report: Report) -> str:
    return f"Watched phrases in the same {report.texts:,} texts; those that are missing here were never said."


def flags_about(report: Report) -> str:
    return (
        "Words of each family / what a stretch of the same length has of them in control text: the mean of its"
        f" stretches, in brackets their least and most. Control text: {report.control}; {report.control_words:,} words."
        " Where a run is longer, the control count is scaled up. A family is a list of words; a count says that they"
        " were said, nothing more."
    )


def flag_heads(report: Report) -> list[str]:
    families = list(report.flags[0].counts) if report.flags else []
    return ["run", "words >", *(f"{family} >" for family in families), "all in 1,000 words >", "control >"]


def flag_row(item: Flags) -> list[str]:
    counts = [f"{count} / {expected(item.expected[family])}" for family, count in item.counts.items()]
    control = f"{1000 * item.control / item.words:.2f}" if item.words else ""
    density = f"{item.density:.2f}" if item.words else ""
    return [item.run, f"{item.words:,}", *counts, density, control]


def expected(item: Expected) -> str:
    return f"{item.mean:.1f} ({item.least}–{item.most})" if item.stretches > 1 else f"{item.mean:.1f}"


def ranked(report: Report) -> list[Flags]:
    """By density of the words of all families, most first; runs without words are left out."""
    return sorted((item for item in report.flags if item.words), key=lambda item: (-item.density, item.run))


def courses_about(report: Report) -> str:
    whole = "Each measure over the turns of the run."
    return whole if report.one else "The mean of each measure in each run that has it, oldest run first."


def _runs(count: int) -> str:
    return f"{count:,} run" if count == 1 else f"{count:,} runs"
