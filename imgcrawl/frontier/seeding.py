"""One worker of a run runs start(); what it gives is queued for all."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from scrapy import Request

from imgcrawl.frontier.counted import as_text
from imgcrawl.frontier.leases import Page
from imgcrawl.frontier.run import ROOM_INTERVAL, RunState, SharedRun
from imgcrawl.shared.session import one_line


class Seeding:
    """start() of a spider in a *run* with others. *check* raises for a request that cannot travel, which *failed* is
    then told."""

    def __init__(self, run: SharedRun, check: Callable[[Request], object], failed: Callable[[Request], object]) -> None:
        self._run = run
        self._check = check
        self._failed = failed
        self._starts: weakref.WeakSet[Request] = weakref.WeakSet()
        self.once = False  # start() ends for this worker as the run is seeded, and not as it is over

    @property
    def is_under_way(self) -> bool:
        """Whether `seed` waits for its turn, or has it."""
        return self._run.may_seed

    def is_start(self, request: Request) -> bool:
        """Whether *request* came from start()."""
        return request in self._starts

    async def seed(
        self, start: AsyncIterator[Any], again: Callable[[], Coroutine[Any, Any, AsyncIterator[Any]]]
    ) -> AsyncIterator[Any]:
        """The output of start() if this worker is the one that seeds the run, or nothing, until the run is over.

        Until then the server may come back older than it was, with a run that is not seeded: what *again* brings is
        then seeded from the beginning. What is there already is known by its fingerprint.
        """
        run = self._run
        run.may_seed = True
        run.wake()
        fresh: AsyncIterator[Any] | None = start
        about = Page(b"", "", b"")  # to count by
        try:
            while await self._is_to_seed():
                before = run.lost_reports
                begun, fresh = fresh or await again(), None
                about = Page(b"", "", b"")
                async for output in run.counted.counting(about, begun):
                    if not isinstance(output, Request) or self._can_travel(output):
                        yield output
                    else:
                        await asyncio.sleep(0)  # there may be very many
                    while self._must_wait() and run.is_open:
                        if not run.has_room:
                            await asyncio.sleep(ROOM_INTERVAL)  # pages that are done make room
                        await run.next_exchange()
                    if run.lost_reports != before:
                        break
                else:
                    run.report("seeded", "", self._counts(about))
                    await run.flushed()
        except Exception as error:
            run.start_error = one_line(error)
            run.report("seeded", run.start_error, self._counts(about))
            raise
        finally:
            run.may_seed = False

    def _can_travel(self, request: Request) -> bool:
        try:
            self._check(request)
        except Exception:  # it takes no other's turn
            self._failed(request)
            return False
        self._starts.add(request)
        return True

    @staticmethod
    def _counts(about: Page) -> str:
        """What start() has counted. No lease is told of it before, and its items leave the pipelines elsewhere."""
        about.is_over = about.is_told = True
        return as_text(about.counted)

    def _must_wait(self) -> bool:
        return not self._run.has_room or not all(shard.outbox.has_room() for shard in self._run.shards)

    async def _is_to_seed(self) -> bool:
        run = self._run
        while not run.is_seeding:
            run.start_is_over = self.once and run.home.reply.seeded
            if run.state is not RunState.RUNNING or run.start_is_over:
                return False
            await run.home.session.exchanged()  # asking until another has seeded would be a spin
        return run.state is RunState.RUNNING
