"""One pane a file: a pane owns its keys and its layout, follows the shared feed and keeps its state when hidden.

A pane is a widget with `apply(events)` (take in what happened, draw nothing) and `tick(now)` (draw what has changed;
called only while it is on screen).
"""
