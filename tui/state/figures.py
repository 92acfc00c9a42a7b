"""Numbers and times as the screens show them: at most three digits, with their unit, `unknown` when unknown."""

from __future__ import annotations

import time

_STEPS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_AGES = ((365 * 86400, "y"), (7 * 86400, "w"), (86400, "d"), (3600, "h"), (60, "m"))


def count(value: float) -> str:
    """940, 3.1k, 48k, 9.7M: at most three digits."""
    for size, unit in _STEPS:
        if value >= size * 0.9995:
            scaled = value / size
            return f"{scaled:.1f}{unit}" if scaled < 9.95 else f"{scaled:.0f}{unit}"
    return f"{value:.0f}"


def money(dollars: float, unpriced: int = 0) -> str:
    """What calls cost; `unpriced` of them have no known price, and a sum without them is a lower bound."""
    if unpriced and not dollars:
        return "cost unknown"
    digits = 0 if not dollars else 3 if dollars < 0.1 else 2 if dollars < 100 else 0
    text = f"${dollars:.{digits}f}" if not 0 < dollars < 0.0005 else "under $0.001"
    return f"over {text}" if unpriced else text


def age(seconds: float) -> str:
    """How long ago: now, 40s, 2m, 3h, yest., 5d, 3w, 2y."""
    if seconds < 5:
        return "now"
    if seconds < 60:
        return f"{seconds:.0f}s"
    if 86400 <= seconds < 2 * 86400:
        return "yest."
    for size, unit in _AGES:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "1m"


def clock(at: float) -> str:
    """The local time of day, as 14:32."""
    return time.strftime("%H:%M", time.localtime(at))


def started(at: float, now: float) -> str:
    """14:02 today, else 19 Nov 14:02, with the year when it is another one."""
    then, today = time.localtime(at), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%-d %b %H:%M" if then[0] == today[0] else "%-d %b %Y", then)
