"""What is to be done at the earliest of several moments."""

from __future__ import annotations

import asyncio
from time import monotonic

from imgcrawl.shared.alarms import Alarm


async def test_it_rings_once_at_the_earliest_moment_that_was_named_also_while_one_waits() -> None:
    alarm, begun = Alarm(), monotonic()
    alarm.within(30)
    waiting = asyncio.create_task(alarm.rings(60))
    await asyncio.sleep(0)
    alarm.within(0.05)
    alarm.within(20)
    await asyncio.wait_for(waiting, 10)
    assert monotonic() - begun >= 0.05
    again = asyncio.create_task(alarm.rings(60))
    await asyncio.sleep(0.1)
    assert not again.done(), "what was named before it rang is over"
    alarm.within(0)
    await asyncio.wait_for(again, 10)
    await alarm.rings(0.01)
