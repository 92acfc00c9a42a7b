"""A run that waits for memory names those that hold it, also when they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from engine.record.runs import Status
from engine.talk.memory_wait import MemoryWait

from .stage import Live, Stage


@dataclass
class Other:
    who: str


async def told(live: Live, why: str | None) -> None:
    await live.until(lambda db: live.stage.row(live.run).detail == why, f"{why}")


def holders(*names: str) -> Sequence[Other]:
    return [Other(name) for name in names]


async def test_who_holds_the_memory_is_told_anew_when_it_changes(stage: Stage) -> None:
    run = stage.create(stage.pipeline({"seats": {}}, ann={"human": True}, bob={"human": True}))
    async with stage.host(run, crash=True) as live:
        await live.asked()
        wait = MemoryWait(live.host)
        wait.begin(holders("first", "second", "first"))
        await told(live, "memory held by first, second")
        wait.begin(holders("second"))
        await told(live, "memory held by second")
        assert stage.row(run).status is Status.WAITING
        wait.begin(holders())
        await told(live, "memory held by other programs")
        await wait.end()
        await told(live, "Your turn as Ann")
        why = [event.data["why"] for event in stage.events(run, "run.waiting")]
        assert dict.fromkeys(why) == dict.fromkeys(
            [
                "Your turn as Ann",
                "memory held by first, second",
                "memory held by second",
                "memory held by other programs",
            ]
        )
