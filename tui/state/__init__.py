"""View state as plain Python: events and rows in, what to show out. Never imports Textual or Rich."""
