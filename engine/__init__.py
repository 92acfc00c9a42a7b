"""The headless engine: what happens in a run, and the record of it. Never imports Textual."""
