"""Pages that a stop leaves undone: whoever goes on with the crawl has them again, from a shared queue or a JOBDIR."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from scrapy import Request, signals

from imgcrawl.engine import before_scraping, is_stopping, when_given_up
from imgcrawl.exceptions import GalleryUnfinished
from imgcrawl.followed import page_of
from imgcrawl.jobdir import JobDir
from imgcrawl.pages.outside import give_up_when
from imgcrawl.stopping import are_over, is_cut_short, stop_with, was_given_up, work_on

if TYPE_CHECKING:
    from scrapy.crawler import Crawler
    from scrapy.http import Response
    from twisted.python.failure import Failure

logger = logging.getLogger(__name__)


class Unfinished:
    """Has pages of *crawler* done again that are not done when it is stopped, from its spider's opening on.

    A queue that workers share hears of most by itself, and is told of the others. A JOBDIR has let go of a page as it
    was asked for: that is put back. Without either there is nothing to put it into, and the next start begins anew.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._queued: WeakSet[Request] = WeakSet()
        self._jobdir = JobDir(crawler)
        stop_with(crawler)
        give_up_when(are_over)  # where it is known what becomes of a page that is given up, and not otherwise
        before_scraping(crawler.engine, self._begun)
        when_given_up(crawler.engine, self.leave)
        crawler.signals.connect(self._item_scraped, signals.item_scraped)
        crawler.signals.connect(self._item_dropped, signals.item_dropped)

    @property
    def keeps(self) -> bool:
        """Whether there is a JOBDIR, or another scheduler's own place, that pages may be put back into."""
        return self._queue is not None

    def leave(self, page: Response | Failure) -> None:
        """*page* was given up while it was read."""
        kept = ", and is queued again" if self.give_back(page) else ""
        logger.info("Stopping: %.500s was being read%s", page, kept)

    def give_back(self, page: Response | Failure) -> bool | None:
        """*page* is not done. False where nobody does it again, None where it cannot be kept."""
        scheduler: Any = self._crawler.engine.scheduler
        if getattr(scheduler, "shared_run", None) is not None:
            scheduler.results.leave(page)
            return True
        return self._put_back(getattr(page, "request", None))

    @property
    def _queue(self) -> Any:
        scheduler = self._crawler.engine.scheduler
        return None if getattr(scheduler, "shared_run", None) is not None else getattr(scheduler, "dqs", scheduler)

    def _put_back(self, request: Request | None) -> bool | None:
        queue = self._queue
        if queue is None:
            return False
        if queue is self._crawler.engine.scheduler or request is None:
            return None
        request = page_of(request)
        if request not in self._queued:
            meta = {key: value for key, value in request.meta.items() if key != "budgeted"}  # it is asked for once more
            try:
                queue.push(request.replace(dont_filter=True, meta=meta))
            except (ValueError, OSError) as error:  # no JSON or pickle, a full disk
                logger.warning("%.500s could not be kept for the next start: %s", request, error)
                return None
            self._queued.add(request)
        return True

    def _begun(self, request: Request) -> None:
        work_on(request)
        if was_given_up(request):
            self._put_back(request)

    def _item_scraped(self, item: Any, response: Response | Failure | None) -> None:
        if response is not None and is_stopping(self._crawler.engine) and is_cut_short(item, response):
            self._put_back(getattr(response, "request", None))

    def _item_dropped(self, item: Any, response: Response | Failure | None, exception: Exception) -> None:
        if response is not None and isinstance(exception, GalleryUnfinished):
            self._put_back(getattr(response, "request", None))
        else:
            self._item_scraped(item, response)
