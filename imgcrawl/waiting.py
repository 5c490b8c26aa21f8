"""What the downloader middlewares need of a downloader, also where that is Scrapy's own: to wait, to keep a delay."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from imgcrawl.backpressure import Backpressure
from imgcrawl.engine import is_stopping

if TYPE_CHECKING:
    from scrapy import Request
    from scrapy.crawler import Crawler

_STOP_CHECK = 0.5  # seconds between two looks for the end of the crawl


class Waiting:
    """Waits in middlewares, for something that has a `crawler` and counts what is under way (`backpressure`)."""

    crawler: Crawler
    backpressure: Backpressure

    async def wait(self, seconds: float) -> bool:
        """Wait in a middleware. True when *seconds* are over, False as soon as the crawl is being stopped."""
        end = monotonic() + seconds
        with self.backpressure.not_counted():
            while not self._stopping():
                left = end - monotonic()
                if left <= 0:
                    return True
                await asyncio.sleep(min(left, _STOP_CHECK))
        return False

    def _stopping(self) -> bool:
        engine = self.crawler.engine
        return engine is None or not engine.running or is_stopping(engine)


class ScrapysDownloader(Waiting):
    """Scrapy's own downloader, or another that is not ours, as the middlewares see it.

    Its limits are those of this process, nothing is told to other workers, and a host that asks for time keeps only
    that request waiting.
    """

    host_notes = None
    backpressure = Backpressure(0, 0, lambda host: 0, lambda: None)  # nothing is counted in it

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler

    async def wait_for(self, request: Request, seconds: float) -> bool:
        """As `wait`; *request* alone waits."""
        return await self.wait(seconds)

    async def keep_delay(self, request: Request, seconds: float) -> None:
        """No gap between two requests to the host of *request* is shorter than this (Crawl-delay)."""
        downloader = self.crawler.engine.downloader
        slot = downloader.slots.get(downloader.get_slot_key(request))
        if slot and slot.delay * (1 - slot.jitter) < seconds:
            slot.delay, slot.jitter = seconds, 0.0
