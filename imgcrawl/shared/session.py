"""One loop that talks to a server in rounds, and outlives the server's absence."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from imgcrawl.shared.alarms import Alarm

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds between two tries while the server does not answer


class Session:
    """Calls *exchange* when there is something to say (`wake`), and at the latest each *heartbeat* seconds.

    What is to be said comes together for `batch_window()` seconds, or as long as `wake` says. An exchange that takes
    longer than *timeout* seconds, or raises one of *outages*, is an outage: it is logged once, and tried again after
    growing pauses, of which *on_outage* is told.
    """

    def __init__(
        self,
        exchange: Callable[[], Awaitable[None]],
        *,
        heartbeat: float,
        timeout: float,
        outages: tuple[type[BaseException], ...],
        batch_window: Callable[[], float],
        on_outage: Callable[[], None],
        server: str = "Redis",
    ) -> None:
        self._exchange = exchange
        self._heartbeat = heartbeat
        self._timeout = timeout
        self._outages = outages
        self._batch_window = batch_window
        self._on_outage = on_outage
        self._server = server
        self._due = Alarm()
        self._exchanged = asyncio.Event()
        self._stopping = False
        self._away_since = 0.0
        self._pause = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_started(self) -> bool:
        return bool(self._tasks)

    @property
    def is_away(self) -> bool:
        """Whether the last exchange ended in an outage."""
        return bool(self._away_since)

    def start(self, *steps: Callable[[], Awaitable[None]]) -> None:
        """Begin to talk. Each of *steps* is done again and again beside it, whatever outages there are."""
        self.wake()
        work: list[Coroutine[Any, Any, None]] = [self._talk(), *map(self._repeat, steps)]
        self._tasks = [asyncio.create_task(each) for each in work]

    async def stop(self, patience: float) -> None:
        """Let the exchange that is under way come to its end, and end all else; *patience* seconds at the most."""
        self._stopping = True
        self.wake(0)
        self.notify()
        talk, *others = self._tasks
        await asyncio.wait([talk], timeout=min(self._timeout + 1, patience))
        end = time.monotonic() + patience
        pending = {talk, *others}
        while pending and time.monotonic() < end:
            # Again and again: asyncio.timeout(0), as redis-py has it, can swallow a cancellation.
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=0.05)

    def wake(self, window: float | None = None) -> None:
        """There is something to say: within *window* seconds, if that is not what `batch_window()` says."""
        self._due.within(self._batch_window() if window is None else window)

    def notify(self) -> None:
        """What waits for an exchange goes on."""
        self._exchanged.set()
        self._exchanged = asyncio.Event()

    async def exchanged(self) -> None:
        """Wait for the next exchange that has an answer, whenever it comes."""
        await self._exchanged.wait()

    async def attempt(self) -> bool:
        """One exchange, now. False if it ended in an outage."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._exchange()
        except Exception as error:
            if not isinstance(error, self._outages) and not self._away_since:
                logger.exception("An exchange failed, and is tried again")  # a worker that waits for ever tells less
            await self._outage(error)
            return False
        if self._away_since:
            logger.warning("%s answers again after %.1f s", self._server, time.monotonic() - self._away_since)
        self._away_since = self._pause = 0.0
        self.notify()
        return True

    async def _talk(self) -> None:
        while not self._stopping:
            await self._due.rings(self._heartbeat * random.uniform(0.8, 1))  # workers started together part
            if not self._stopping:
                await self.attempt()

    async def _repeat(self, step: Callable[[], Awaitable[None]]) -> None:
        while not self._stopping:
            try:
                await step()
            except self._outages:
                await asyncio.sleep(random.uniform(0.2, 0.5))  # the exchange tells of the outage
                self.wake()  # what was said meanwhile was said to nobody

    async def _outage(self, error: BaseException) -> None:
        self._on_outage()
        if not self._away_since:
            self._away_since = time.monotonic()
            logger.warning(
                "%s does not answer (%s); going on with what is here and trying again", self._server, one_line(error)
            )
        self._pause = min(LONGEST_PAUSE, self._pause * 2 or FIRST_PAUSE)
        await asyncio.sleep(self._pause * random.uniform(0.5, 1))
        self.wake()


def one_line(error: BaseException | None) -> str:
    """*error* in one line, as a log, a report or another worker is told of it."""
    text = re.sub(r"\s+", " ", f"{error}").strip()
    return (f"{type(error).__name__}: {text}" if text else type(error).__name__)[:300]
