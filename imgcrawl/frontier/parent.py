"""The end of a worker whose parent is gone."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Self

from scrapy import signals
from scrapy.exceptions import NotConfigured

if TYPE_CHECKING:
    from scrapy.crawler import Crawler

logger = logging.getLogger(__name__)


class ParentWatchdog:
    """Stops this worker, in order, when the `scrapy crawl --workers` that started it is gone.

    FRONTIER_PARENT is that process' id.
    """

    def __init__(self, crawler: Crawler, parent: int) -> None:
        self.crawler = crawler
        self.parent = parent
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        if not (parent := crawler.settings.getint("FRONTIER_PARENT")):
            raise NotConfigured
        watchdog = cls(crawler, parent)
        crawler.signals.connect(watchdog.spider_opened, signals.spider_opened)
        crawler.signals.connect(watchdog.spider_closed, signals.spider_closed)
        return watchdog

    def spider_opened(self) -> None:
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        # Nobody tells when a parent ends; and Scrapy forgets a stop that comes before its engine runs.
        while os.getppid() == self.parent or not self.crawler.engine.running:  # noqa: ASYNC110 -- see above
            await asyncio.sleep(1)
        logger.error("Process %d, which started this worker, is gone: leaving", self.parent)
        self._stopping = asyncio.create_task(self.crawler.stop_async())

    def spider_closed(self) -> None:
        if self._watching:
            self._watching.cancel()
