"""A crawl that is told to stop does so in time: what is under way is then given up, and nothing is lost by it."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

from itemadapter import ItemAdapter
from scrapy import Request, signals
from scrapy.http.request import NO_CALLBACK

from imgcrawl.engine import is_stopping, scheduler_in
from imgcrawl.exceptions import InputError, RequestRefused
from imgcrawl.failures import NOT_OF_THE_SITE
from imgcrawl.followed import page_of

if TYPE_CHECKING:
    from scrapy import Spider
    from scrapy.crawler import Crawler
    from scrapy.settings import BaseSettings

logger = logging.getLogger(__name__)

# Not in `meta`, which travels: whoever wrote it there would have a page asked for again for ever.
_given_up: weakref.WeakSet[Request] = weakref.WeakSet()
# The page whose items are worked on, and those whose items lack something and need not say so: a project's own
# `item_completed` keeps paths alone, or drops the item.
_page: ContextVar[Request | None] = ContextVar("page", default=None)
_lacking: weakref.WeakSet[Request] = weakref.WeakSet()
POLL_INTERVAL = 0.2  # seconds: Scrapy sends no signal when a stop begins, only when it is done

_Result = TypeVar("_Result")
# When each was seen to be told to stop.
_crawls: weakref.WeakKeyDictionary[Crawler, float] = weakref.WeakKeyDictionary()


def stop_with(crawler: Crawler) -> None:
    """Have `are_over` look at *crawler* until its spider is closed, if it crawls."""
    if crawler.crawling:  # `scrapy shell` does not, and fetches pages all the same
        _crawls[crawler] = 0.0
        crawler.signals.connect(_closed, signals.spider_closed)


def _closed(spider: Spider) -> None:
    _crawls.pop(spider.crawler, None)


def are_over() -> bool:
    """Whether all crawls of this process were told to stop SHUTDOWN_TIMEOUT seconds ago: pages that are being read
    then, or wait for it, would take minutes."""
    now, ends = monotonic(), []
    for crawler in [*_crawls]:
        if crawler.crawling:
            return False
        if scheduler_in(crawler) is None:  # it could not begin
            continue
        _crawls[crawler] = _crawls[crawler] or now
        ends.append(_crawls[crawler] + crawler.settings.getfloat("SHUTDOWN_TIMEOUT", 5))
    return bool(ends) and now >= max(ends)


def given_up(request: Request) -> RequestRefused:
    """What is raised for *request*, which is not done: the crawl is being stopped."""
    _given_up.add(page_of(request))
    return RequestRefused("stopped", "the crawl was stopped before it was done")


def leave_undone(request: Request) -> None:
    """Note that the page of *request* is not done, whatever is raised for it: whoever goes on with the crawl has it."""
    _given_up.add(page_of(request))


def was_given_up(request: Request) -> bool:
    """Whether *request* did not get what it would have got in a crawl that goes on: its page is not done."""
    return page_of(request) in _given_up


def cut_short(request: Request) -> None:
    """Note that what *request* waits for is not waited for, as the crawl is being stopped: what is known of it stands,
    and a page of a shared queue goes back there.

    Raises `RequestRefused` (``stopped``) for what a page or its item asks for, which is in no queue.
    """
    _given_up.add(page_of(request))
    if request.callback is NO_CALLBACK or request.meta.get("media"):
        raise RequestRefused("stopped", "the crawl was stopped before it was done")


def leave_within(settings: BaseSettings, reason: str, otherwise: float) -> float:
    """Seconds for which a crawl that ends with *reason* waits for a Redis that does not answer; *otherwise*, if it was
    not told to stop. What could then not be said costs other workers some pages twice, and no more."""
    return min(otherwise, max(1.0, settings.getfloat("SHUTDOWN_TIMEOUT", 5) / 5)) if reason == "shutdown" else otherwise


async def until_given_up(crawler: Crawler) -> None:
    """Return when *crawler* has been told to stop, and SHUTDOWN_TIMEOUT is over."""
    while crawler.crawling:  # noqa: ASYNC110 -- see POLL_INTERVAL
        await asyncio.sleep(POLL_INTERVAL)
    await asyncio.sleep(crawler.settings.getfloat("SHUTDOWN_TIMEOUT", 5))


async def stop_in_order(stop: Callable[[], Awaitable[None]], crawler: Crawler, crawl: asyncio.Task[None]) -> None:
    """*stop*, and return when *crawl*, the task of *crawler*, is done. Scrapy forgets a stop that comes before its
    engine runs, and would end the process as it opens; what takes longer than SHUTDOWN_TIMEOUT for that is left. A
    second stop waits for nothing."""
    is_first = crawler.crawling
    await stop()
    ends = monotonic() + crawler.settings.getfloat("SHUTDOWN_TIMEOUT", 5)
    while is_first and not crawl.done() and (is_stopping(crawler.engine) or monotonic() < ends):
        if crawler.engine.running:
            await crawler.engine.stop_async()
        await asyncio.wait([crawl], timeout=POLL_INTERVAL)


def work_on(request: Request) -> None:
    """From now on, in this context (`contextvars`), the items of *request* are worked on."""
    _page.set(page_of(request))


def note_outcomes(images: Sequence[Any]) -> None:
    """Note of which page *images* are, the outcomes of an item, if `is_cut_short` cannot tell from that item."""
    if (page := _page.get()) is not None and _lacks_some({"images": images}):
        _lacking.add(page)


def is_cut_short(item: Any, page: Any = None) -> bool:
    """Whether *item*, of the response or failure *page*, lacks something that it would have in a crawl that goes on, or
    where another worker keeps it. What a site has not got it has not got there, either: nothing is done again for it. A
    budget is of one crawl."""
    request = getattr(page, "request", None)
    return _lacks_some(item) or (request is not None and page_of(request) in _lacking)


def _lacks_some(item: Any) -> bool:
    adapter = ItemAdapter(item)
    lists = (adapter.get(name) for name in ("failed_pages", "images", "videos"))
    parts = [part for parts in lists if isinstance(parts, list | tuple) for part in parts]
    reasons = [adapter.get("error"), *(part.get("reason") for part in parts if isinstance(part, dict))]
    return any(reason in (*NOT_OF_THE_SITE, "budget") for reason in reasons)


class StopInTime:
    """Lets downloads go on for SHUTDOWN_TIMEOUT seconds (default 5) after Ctrl-C or SIGTERM.

    A Redis that does not answer is then waited for a fifth of that, at each of four places.
    What is then not done fails, waiting or not, with `RequestRefused` (`stopped`). A crawl that ends by itself, or by
    one of the CLOSESPIDER limits, is not hurried. Raises `InputError` for a setting that is no number of seconds.
    """

    def __init__(self, crawler: Crawler) -> None:
        value = crawler.settings.get("SHUTDOWN_TIMEOUT", 5)
        try:
            self.timeout = float(value)
        except (TypeError, ValueError):
            self.timeout = -1
        if not 0 <= self.timeout < float("inf"):
            raise InputError(f"SHUTDOWN_TIMEOUT={value!r}: expected seconds, 0 or more")
        self.crawler = crawler
        self._crawls = crawler.crawling  # `scrapy shell` has an engine, and no crawl that could be stopped
        self._is_over = False
        self._under_way: dict[asyncio.Task[object], int] = {}
        self._watching: asyncio.Task[None] | None = None
        crawler.signals.connect(self._spider_opened, signals.spider_opened)
        crawler.signals.connect(self._spider_closed, signals.spider_closed)

    async def in_time(self, request: Request, download: Coroutine[object, object, _Result]) -> _Result:
        """The result of *download*, which is for *request*. Raises `RequestRefused` if it is given up."""
        task = asyncio.current_task()
        if self._is_over or task is None:
            download.close()
            raise given_up(request)
        self._under_way[task] = self._under_way.get(task, 0) + 1  # a middleware may download in the same task
        try:
            return await download
        except asyncio.CancelledError:
            if not self._is_over:
                raise
            task.uncancel()
            raise given_up(request) from None
        finally:
            self._under_way[task] -= 1
            if not self._under_way[task]:
                del self._under_way[task]

    def _spider_opened(self) -> None:
        if self._crawls:
            self._watching = asyncio.get_running_loop().create_task(self._watch())

    def _spider_closed(self) -> None:
        if self._watching:
            self._watching.cancel()

    async def _watch(self) -> None:
        while self.crawler.crawling:  # noqa: ASYNC110 -- see POLL_INTERVAL
            await asyncio.sleep(POLL_INTERVAL)
        are_over()  # which counts from now
        engine = self.crawler.engine
        while not is_stopping(engine):
            if engine.running:  # Scrapy forgets a stop that comes before its engine runs
                self._stopping = asyncio.create_task(engine.stop_async())
            await asyncio.sleep(POLL_INTERVAL)
        await asyncio.sleep(self.timeout)
        self._is_over = True
        if self._under_way:
            logger.info("Stopping: %d requests that are not done are given up", len(self._under_way))
        for task in tuple(self._under_way):
            task.cancel()
