"""The line `NextPrompt: ...` of a turn; the record reads it too, and so has it."""

from engine.record.next_prompt import find, strip

__all__ = ["find", "strip"]
