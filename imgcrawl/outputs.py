"""What a callback gives is worked on by and by: of a page with very many links, as the crawl gets there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sized
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from scrapy import Request
from scrapy.utils.asyncgen import as_async_generator
from scrapy.utils.defer import aiter_errback, iter_errback
from twisted.python.failure import Failure

from imgcrawl.engine import in_progress, is_stopping, on_output, on_start, take_output
from imgcrawl.longwork import WorkGivenUp

if TYPE_CHECKING:
    from scrapy.core.engine import ExecutionEngine
    from scrapy.http import Response

    from imgcrawl.unfinished import Unfinished

logger = logging.getLogger(__name__)

_AT_ONCE = 32  # requests that are taken without a turn for others
# Requests of one page, or of start(), that wait in this process, some kilobytes each, before more of them are made; and
# how often (seconds) it is asked whether there are fewer: a scheduler tells nobody.
AHEAD = 5_000
_PAUSE = 0.02
_FEW = 100  # requests of a page that are not looked after
# Bytes of pages that wait for this. One that comes when there are more is worked on to its end at once.
_MOST_WAITING = 64 * 1024 * 1024


def start_few_tasks(engine: ExecutionEngine, unfinished: Unfinished | None = None) -> None:
    """Have *engine* work on what a callback gives, CONCURRENT_ITEMS of a response at a time, in as many tasks as that
    takes. Scrapy starts CONCURRENT_ITEMS (100) for each response, whatever it gives: a millisecond of each page.

    A page that gives very many requests is worked on as the crawl gets there (`AHEAD`). What a stop leaves of it, and a
    page that is given up while it is read (`WorkGivenUp`), goes to *unfinished*."""
    on_output(engine, partial(_handle_output, engine, unfinished))


def start_by_and_by(engine: ExecutionEngine) -> None:
    """Have *engine* take what start() gives as the crawl gets there (`AHEAD`); Scrapy takes all of it at once."""
    made = Made(engine)
    on_start(engine, partial(_by_and_by, made), lambda: made.newest)


async def _by_and_by(made: Made, start: AsyncIterator[Any]) -> AsyncIterator[Any]:
    try:
        async for output in start:
            if isinstance(output, Request):
                made.add(output)
                made.newest = output
            yield output
            made.newest = None
            del output  # it waits where the engine has put it
            if not await made.room():
                return
    finally:
        made.close()
        if aclose := getattr(start, "aclose", None):
            await aclose()


async def _handle_output(
    engine: ExecutionEngine,
    unfinished: Unfinished | None,
    result: Iterable[Any] | AsyncIterator[Any],
    request: Request,
    response: Response | Failure,
) -> None:
    failed = partial(engine.scraper.handle_spider_error, request=request, response=response)
    outputs = as_async_generator(
        aiter_errback(result, failed) if isinstance(result, AsyncIterator) else iter_errback(result, failed)
    )
    await _Outputs(engine, outputs, response, failed, Made(engine, response, unfinished)).process()


class _Outputs:
    """*outputs* of *response*'s callback; *failed* is told what one of them raises. (Functions that begin one another
    would be a circle, in which a page of some megabytes stays until the next collection of garbage.)"""

    def __init__(
        self,
        engine: ExecutionEngine,
        outputs: AsyncGenerator[Any],
        response: Response | Failure,
        failed: Callable[[Failure], None],
        made: Made,
    ) -> None:
        self._engine = engine
        self._failed = failed
        self._outputs = outputs
        self._response = response
        self._turn = asyncio.Lock()  # an asynchronous generator is asked by one at a time
        self._tasks: list[asyncio.Task[None]] = []
        self._made = made

    async def process(self) -> None:
        """Return when all are worked on."""
        self._begin_another()
        try:
            while not all(task.done() for task in self._tasks):
                await asyncio.wait(self._tasks)
        finally:
            self._made.close()

    def _begin_another(self) -> None:
        if len(self._tasks) < self._engine.scraper.concurrent_items:
            self._tasks.append(asyncio.create_task(self._work()))

    async def _work(self) -> None:
        is_last = self._tasks[-1]
        for number in count(1):
            async with self._turn:
                if not await self._made.room():
                    await self._outputs.aclose()
                    return
                try:
                    output = await anext(self._outputs, self)
                except WorkGivenUp:  # at whatever depth of the callback
                    self._made.leave()
                    return
            if output is self:
                return
            if self._tasks[-1] is is_last:
                self._begin_another()  # for the next one, should this take long
            if isinstance(output, Request):
                self._made.add(output)
            else:
                self._made.has_items = True
            try:
                await take_output(self._engine, output, self._response)
            except Exception:  # of a queue, or of somebody's own part: the others that the page gives are not lost
                self._failed(Failure())  # type: ignore[no-untyped-call] # Twisted has no types
            del output
            if not number % _AT_ONCE:  # a page may give a hundred thousand requests, for which nothing waits
                await asyncio.sleep(0)


class Made:
    """The requests that one page, or start() where *response* is None, has given so far.

    From `AHEAD` on it `is_long`: while so many wait in this process no more are made, so that what a list of any length
    takes in memory is bounded. It does not count any more for SCRAPER_SLOT_MAX_ACTIVE_SIZE, above which the engine
    takes no request: it would take none until the page is done, and the page would wait for it. Requests that wait
    elsewhere (JOBDIR, a queue that workers share) are not waited for, but that they are reported to the queue.
    """

    def __init__(
        self,
        engine: ExecutionEngine,
        response: Response | Failure | None = None,
        unfinished: Unfinished | None = None,
    ) -> None:
        self._engine = engine
        self._response = response
        self._unfinished = unfinished
        self._waiting: WeakSet[Request] = WeakSet()  # dropped or kept elsewhere, they are gone from here
        self._count = 0
        self._size = 0
        self._is_left = False
        self.newest: Request | None = None  # of start(): what the engine queues now
        self.has_items = False
        self.is_long = False

    def add(self, request: Request) -> None:
        self._count += 1
        if self._count > _FEW:
            self._waiting.add(request)
        if self._count == _FEW:
            in_progress(self._engine).made.append(self)
        elif self._count == AHEAD:
            self._becomes_long()

    def taken(self, request: Request) -> None:
        """The engine has taken *request*, of this page or of another."""
        self._waiting.discard(request)

    async def room(self) -> bool:
        """Wait until there is room for another one. False if no more are to be made: the crawl is being stopped."""
        if not self.is_long:
            return True
        scheduler: Any = self._engine.scheduler
        while not is_stopping(self._engine):
            if len(self._waiting) >= AHEAD and _in_memory(scheduler) < AHEAD:
                self._waiting.clear()  # the spider has kept what was dropped, or waits elsewhere
            if len(self._waiting) < AHEAD and not getattr(scheduler, "is_behind", False):
                return True
            await asyncio.sleep(_PAUSE)
        return self._goes_on_at_stop()

    def close(self) -> None:
        """All are made, or no more are."""
        if self._count >= _FEW and self._engine.scheduler is not None:
            progress = in_progress(self._engine)
            progress.made.remove(self)
            progress.long_bytes -= self._size
        if self._size and self._engine.scraper.slot is not None:
            self._engine.scraper.slot.active_size += self._size

    def _becomes_long(self) -> None:
        slot, progress = self._engine.scraper.slot, in_progress(self._engine)
        size = 0
        if self._response is not None and slot is not None:
            size = max(len(getattr(self._response, "body", b"")), slot.MIN_RESPONSE_SIZE)
        if size and progress.long_bytes and progress.long_bytes + size > _MOST_WAITING:
            return
        self.is_long = True
        self._size = size
        progress.long_bytes += size
        if slot is not None:
            slot.active_size -= size

    def leave(self) -> None:
        """The page was given up while it was read."""
        if self._response is not None and self._unfinished is not None and not self._is_left:
            self._is_left = True
            self._unfinished.leave(self._response)

    def _goes_on_at_stop(self) -> bool:
        """Whether the rest is to be made though the crawl is being stopped. Where another one goes on with it, that has
        the page again, and filters what it knows already."""
        page = self._response
        if page is None or self._unfinished is None or self._is_left:
            return False
        if self.has_items and self._unfinished.keeps:  # they would be in the feed twice
            return True
        if self._unfinished.give_back(page) is None:
            return True
        self._is_left = True
        logger.info("Stopping: %.500s named more than the %d pages that were queued", page, self._count)
        return False


def _in_memory(scheduler: Any) -> int:
    """How many requests wait in this process. A scheduler without a length keeps them elsewhere."""
    queue = getattr(scheduler, "mqs", scheduler)
    return len(queue) if isinstance(queue, Sized) else 0
