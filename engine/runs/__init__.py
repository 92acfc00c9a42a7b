"""A run's life: a pipeline becomes a checked spec, a row, and a process of its own that outlives every terminal.

`control.Control` is what terminals call; `process` is what they start; `host.Host` is what a kind is given. Kinds of
run (`duel`, ...) are found by name, so that nothing here knows them.
"""
