"""The limits, kept: for images as for pages, and for what has come but is not yet stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import scrapy.core.downloader
from scrapy import Request
from scrapy.core.downloader import Slot
from scrapy.crawler import Crawler
from scrapy.http import Response
from scrapy.utils.asyncio import call_later
from scrapy.utils.defer import _schedule_coro
from twisted.internet.defer import Deferred

# Requests that wait do not keep others from starting, but each costs memory, as does the gallery it belongs
# to: beyond this many times CONCURRENT_REQUESTS they count again.
_FREE_WAITS = 16
_STOP_CHECK = 0.5  # seconds: Scrapy sends no signal when a stop begins, only when it is done


class Downloader(scrapy.core.downloader.Downloader):
    """Scrapy's downloader, with limits that also hold for requests that do not come from the scheduler.

    Settings (Scrapy's own unless said otherwise):

    - ``CONCURRENT_REQUESTS_PER_DOMAIN``, ``DOWNLOAD_SLOTS``, ``DOWNLOAD_DELAY``: kept for every request.
      Scrapy 2.14 to 2.19 counts a request as under way only when its task first runs, so that a burst (the
      images of a page) passes the limit unseen.
    - ``CONCURRENT_REQUESTS``: never more under way in total, 0 for no limit. Scrapy looks at it only when
      it takes requests from the scheduler. Hosts take turns, so that a long queue does not hold up others.
    - ``IMAGES_BACKLOG_BYTES`` (ours, default 64 MiB): while more bytes than that are `held()`,
      nothing new is sent for.
    """

    def __init__(self, crawler: Crawler) -> None:
        super().__init__(crawler)
        self._backlog = crawler.settings.getint("IMAGES_BACKLOG_BYTES", 64 * 1024 * 1024)
        self._held = 0
        self._transferring = 0
        self._waiting = 0
        self._turns: dict[Slot, None] = {}  # an ordered set: the slots that may have something to start

    @contextmanager
    def held(self, nbytes: int) -> Iterator[None]:
        """While this lasts, *nbytes* of a received body count as not yet dealt with."""
        self._held += nbytes
        try:
            yield
        finally:
            self._held -= nbytes
            self._take_turns()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While this lasts, one request in a middleware's hands does not keep others from starting."""
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def wait(self, seconds: float) -> bool:
        """Wait in a middleware. True when *seconds* are over, False as soon as the crawl is being stopped."""
        end = monotonic() + seconds
        with self.waiting():
            while not self._stopping():
                left = end - monotonic()
                if left <= 0:
                    return True
                await asyncio.sleep(min(left, _STOP_CHECK))
        return False

    def needs_backout(self) -> bool:
        busy = len(self.active) - min(self._waiting, _FREE_WAITS * self.total_concurrency)
        return 0 < self.total_concurrency <= busy

    def _stopping(self) -> bool:
        engine = self.crawler.engine
        # `running` falls on Ctrl-C only; a CloseSpider shows nowhere but in the private slot (Scrapy 2.19).
        return engine is None or not engine.running or engine._slot is None or engine._slot.closing is not None

    def _process_queue(self, slot: Slot) -> None:
        self._turns.setdefault(slot)
        self._take_turns()

    def _take_turns(self) -> None:
        while self._turns and self._has_room():
            slot = next(iter(self._turns))
            del self._turns[slot]
            if self._start_one(slot):
                self._turns[slot] = None

    def _has_room(self) -> bool:
        return self._held <= self._backlog and not 0 < self.total_concurrency <= self._transferring

    def _start_one(self, slot: Slot) -> bool:
        """Send the slot's next request if its limits allow that now. False if they do not, or none waits."""
        if slot.latercall or not slot.queue or slot.free_transfer_slots() <= 0:
            return False
        now = monotonic()
        penalty = slot.lastseen + slot.download_delay() - now
        if penalty > 0:
            slot.latercall = call_later(penalty, self._latercall, slot)
            return False
        slot.lastseen = now
        request, result = slot.queue.popleft()
        slot.transferring.add(request)
        self._transferring += 1
        _schedule_coro(self._wait_for_download(slot, request, result))
        return True

    async def _wait_for_download(self, slot: Slot, request: Request, queue_dfd: Deferred[Response]) -> None:
        try:
            await super()._wait_for_download(slot, request, queue_dfd)
        finally:
            self._transferring -= 1
            self._take_turns()


def downloader_of(crawler: Crawler) -> Downloader:
    """The crawl's downloader. Raises TypeError if the setting DOWNLOADER names one that is not ours."""
    downloader = crawler.engine.downloader if crawler.engine else None
    if not isinstance(downloader, Downloader):
        raise TypeError(
            f"DOWNLOADER is {crawler.settings['DOWNLOADER']}, expected imgcrawl.downloader.Downloader "
            "or a subclass of it"
        )
    return downloader
