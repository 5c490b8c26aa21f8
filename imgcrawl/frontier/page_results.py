"""What a callback, its items and the feed say of the page that a worker holds."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.http import Response
from twisted.python.failure import Failure

from imgcrawl.engine import is_stopping
from imgcrawl.exceptions import GalleryUnfinished
from imgcrawl.frontier.leases import Leases
from imgcrawl.shared.session import one_line
from imgcrawl.stopping import is_cut_short

logger = logging.getLogger(__name__)


class PageResults:
    """Marks pages of *leases* that are not done, as the signals of *crawler* tell."""

    def __init__(self, crawler: Crawler, leases: Leases) -> None:
        self._crawler = crawler
        self._leases = leases
        self._items_not_fed = 0
        self._stopping: asyncio.Task[None] | None = None

    def listen(self) -> None:
        connect = self._crawler.signals.connect
        connect(self._failed_callback, signals.spider_error)
        connect(self._failed_callback, signals.item_error)
        connect(self._item_scraped, signals.item_scraped)
        connect(self._item_dropped, signals.item_dropped)

    def fail(self, response: Response | Failure | None, error: BaseException | None) -> None:
        """The page of *response* is not done: it goes back to the queue when the engine lets go of it."""
        page = self._leases.of(response)
        if page is not None:
            page.failed = page.failed or one_line(error)

    def leave(self, response: Response | Failure | None) -> None:
        """The page of *response* is not done to its end: others shall do it."""
        page = self._leases.of(response)
        if page is not None:
            page.unfinished = True

    def give_back(self, response: Response | Failure | None) -> None:
        """What came of the page of *response* cannot be kept here: others shall do it, and this worker leaves."""
        self.leave(response)
        self._leave_unwritable_feed()

    def _failed_callback(self, failure: Failure, response: Response | Failure | None) -> None:
        self.fail(response, failure.value)

    def _item_scraped(self, item: Any, response: Response | Failure | None) -> None:
        self._leave_cut_short(item, response)
        # FeedExporter was connected first, so what it has just counted is this item's.
        lost = self._crawler.stats.get_value("feed/lost", 0)
        if lost > self._items_not_fed:
            self._items_not_fed = lost
            self.give_back(response)

    def _item_dropped(self, item: Any, response: Response | Failure | None, exception: Exception) -> None:
        if isinstance(exception, GalleryUnfinished):
            self.leave(response)
        else:
            self._leave_cut_short(item, response)

    def _leave_cut_short(self, item: Any, response: Response | Failure | None) -> None:
        if is_stopping(self._crawler.engine) and is_cut_short(item, response):
            self.leave(response)

    def _leave_unwritable_feed(self) -> None:
        """Leave the pages to workers whose feeds can be written: here each would be lost."""
        if self._stopping is None and not is_stopping(self._crawler.engine):
            logger.info("The pages whose items cannot be written go back to the queue, and this worker leaves")
            self._stopping = asyncio.create_task(self._crawler.engine.close_spider_async(reason="feed_error"))
