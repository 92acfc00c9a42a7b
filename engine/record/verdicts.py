"""What a judge of a series found, in words: always how often and of how many, with an interval, or why nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.record.visible import one_line


def interval(data: Mapping[str, Any]) -> str:
    """How often one side was preferred, with its interval and what it is of."""
    n = data["wins"] + data["ties"] + data["losses"]
    return (
        f"preferred in {data['rate']:.0%} of {n} pairs (95 % interval {data['low']:.0%} to {data['high']:.0%}:"
        f" {data['wins']} won, {data['ties']} tied, {data['losses']} lost)"
    )


def trial(data: Mapping[str, Any]) -> str:
    """What came of the judge's trial."""
    return f"judge {one_line(str(data['model']))} {tried(data)}"


def tried(data: Mapping[str, Any]) -> str:
    """What came of the trial, for a line that names the judge."""
    if data.get("why"):
        return f"could not be tried: {one_line(str(data['why']))}"
    asked = data["wins"] + data["ties"] + data["losses"]
    rest = "" if asked == data["pairs"] else f"; the other {data['pairs'] - asked} pairs could not have changed that"
    unusable = data.get("unusable")
    rest += f"; in {unusable} of those asked an answer could not be used" if unusable else ""
    shown = f"text against the same with its sentences shuffled: the real one was {interval(data)}, p {data['p']:.2g}"
    return f"{'is trusted' if data['trusted'] else 'is not trusted'} ({shown}{rest})"


def progress(data: Mapping[str, Any]) -> str:
    """How far the judge is."""
    what = {
        "trial": "is tried on texts against the same with their sentences shuffled",
        "selection": f"compares the answers of generation {data['generation']}",
        "baseline": "compares the answers with those of the unevolved run",
    }[data["purpose"]]
    most = "at most " if data["purpose"] == "trial" else ""
    return f"judge {one_line(str(data['model']))} {what}: {data['done']} of {most}{data['total']} pairs"


def selection(data: Mapping[str, Any]) -> str:
    """How a generation was selected, and what was taken."""
    return (
        f"generation {data['generation']}: of {len(data['ranking'])} answers turn {data['selected']['seq']} of run"
        f" {data['selected']['child']} is {how(data)}"
    )


def how(data: Mapping[str, Any]) -> str:
    """What the selection of a generation rests on."""
    first = [item for item in data["ranking"] if item["rank"] == 1]
    by = (
        f"selected by the judge: {interval(first[0])}" if data["how"] == "judge" else "selected by form, not by quality"
    )
    why = f" ({one_line(str(data['why']))})" if data.get("why") else ""
    why += f"; {len(first)} are equal, the first is taken" if len(first) > 1 else ""
    return by + why


def comparison(data: Mapping[str, Any]) -> str:
    """The lineage against the run that was not evolved."""
    used = f"run {data['child']} has used {data['tokens']:,} tokens of {data['budget']:,}, what the lineage had spent"
    if data.get("why"):
        return f"no comparison of quality is possible: {one_line(str(data['why']))}; the unevolved {used}"
    return f"against the unevolved run the lineage was {interval(data)}, p {data['p']:.2g}; the unevolved {used}"
