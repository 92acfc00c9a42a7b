"""What a run, or all of them, show when they are over: table, phrases, flags beside a control, digests, measures.

`study` reads the record once and counts; `markdown` and `page` write what it found. Every number is a count of what
the record holds, with how many runs and turns it was counted in.
"""

from __future__ import annotations

from engine.record.report.settings import Settings
from engine.record.report.study import Report, study

__all__ = ["Report", "Settings", "study"]
