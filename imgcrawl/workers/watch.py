"""What is told of the workers while they run, and what a person asks of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Any

from imgcrawl.extensions.counts import counts_of
from imgcrawl.frontier import inspect
from imgcrawl.frontier.verdict import run_stats, run_sums
from imgcrawl.live.board import Board, Control
from imgcrawl.live.leader import Leader

if TYPE_CHECKING:
    from scrapy.settings import BaseSettings

    from imgcrawl.frontier.queues import Queues
    from imgcrawl.hooks.announcer import Announcer
    from imgcrawl.workers.terminal import Terminal

TIMEOUT = 5.0  # seconds for Redis to answer


class Watch:
    """Looks at the workers of *spider* that share *store*. *own_server*: the address of a Redis that is theirs alone;
    *announcer*: who else is told how they are.

    All that asks Redis raises `OUTAGES`.
    """

    def __init__(
        self, settings: BaseSettings, spider: str, store: Queues, terminal: Terminal, own_server: str,
        announcer: Announcer | None,
    ) -> None:  # fmt: skip
        self.store = store
        self.terminal = terminal
        self.announcer = announcer
        self.leader = Leader(settings, spider, own_server)
        self._board = Board(store.home)
        self._before = inf if own_server else 0  # workers that may be there before these, and do not count
        self._began = 0  # milliseconds, by the server's clock
        self._run_before = ""
        self._stats_before: Mapping[str, Any] = {}

    async def begin(self) -> None:
        """Note what there is before the workers begin."""
        self._began = await self._board.now()
        await self._board.forget_control(self._before)
        self._run_before = (await inspect.counts(self.store))["id"]
        # Without what those had under way that were killed: it is done again, and counted by who does it.
        self._stats_before = (await run_sums(self.store, self._run_before)).settled

    async def look(self, workers: int, *, stopping: bool) -> tuple[dict[str, Any], bool]:
        """Tell how far so many *workers* are. Returns how the queue is, and whether somebody asks them to stop."""
        async with asyncio.timeout(TIMEOUT):
            counts = await inspect.counts(self.store)
            stats = await run_stats(self.store, counts["id"])
            control = await self._board.control()
        if control.run != counts["id"]:
            control = Control()
        stop = control.stop > self._began
        told = {"paused": control.paused, "delay_factor": control.delay_factor, "stop": stop}
        stop |= await asyncio.to_thread(self.leader.say, counts, stats, told)
        before = self._stats_before if counts["id"] == self._run_before else {}
        view = counts_of(stats) | {"queue": counts, "hosts": []}
        self.terminal.show(view, before, workers, stopping=stopping)
        if self.announcer:
            now = {"elapsed_time_seconds": self.terminal.speed.seconds, "live/paused": control.paused}
            await self.announcer.look_now_and_then({**stats, **now})
        return counts, stop

    async def remember(self) -> None:
        """Have what the workers told last: it is in Redis, which may be theirs alone."""
        said = await self._board.read()
        self.leader.remember(said.newest, said.failures)
