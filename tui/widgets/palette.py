"""`:` or ctrl+p: every command of the place one is in, found by its words; a command that is off says why."""

from __future__ import annotations

from functools import partial

from rich.text import Text
from textual.command import DiscoveryHit, Hit, Hits, Provider

from tui.keymap import Entry, entries


class Commands(Provider):
    """Offers the same table that the footer and the help are made from."""

    async def startup(self) -> None:
        hidden = ("Down", "Up", "First", "Last", "Page down", "Page up")
        self._entries = [entry for entry in entries(self.screen) if entry.label not in hidden]

    async def discover(self) -> Hits:
        for entry in self._entries:
            yield DiscoveryHit(self._display(entry), partial(self._run, entry), entry.label, entry.off or None)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for entry in self._entries:
            score = max(matcher.match(_name(entry)), matcher.match(entry.label))
            if score > 0:
                yield Hit(score, self._display(entry), partial(self._run, entry), entry.label, entry.off or None)

    def _display(self, entry: Entry) -> Text:
        text = Text(_name(entry), style="dim" if entry.off else "", no_wrap=True, overflow="ellipsis")
        text.append(f"   {entry.shown_keys}", style="dim")
        return text

    async def _run(self, entry: Entry) -> None:
        if entry.off:
            self.app.notify(entry.off, severity="warning", markup=False)
        else:
            await self.app.run_action(entry.action, entry.node)


def _name(entry: Entry) -> str:
    return entry.detail[0].upper() + entry.detail[1:]
