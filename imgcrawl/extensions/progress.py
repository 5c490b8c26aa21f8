"""How far the crawl is: one live display in a terminal, a log line now and then anywhere."""

from __future__ import annotations

import logging
import sys
from heapq import nlargest
from typing import TYPE_CHECKING, Any

from scrapy import signals
from scrapy.exceptions import NotConfigured
from scrapy.settings import SETTINGS_PRIORITIES
from scrapy.utils.asyncio import create_looping_call

from imgcrawl.display import Speed, amount, clock, lines_of, pace, remaining, stored_images
from imgcrawl.engine import pages_left
from imgcrawl.exceptions import InputError
from imgcrawl.extensions.counts import counts_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from scrapy.core.downloader import Slot
    from scrapy.crawler import Crawler
    from scrapy.settings import BaseSettings

    from imgcrawl.livedisplay import LiveDisplay

logger = logging.getLogger(__name__)

REFRESH = 0.5  # seconds between two pictures: enough to look alive, and a thousandth of a core
HOSTS = 3  # busiest hosts whose limits are shown


class Progress:
    """Tells how far the crawl is, from its stats and the downloader's slots. Takes the place of LogStats.

    With PROGRESS_ENABLED, and a terminal at stderr, one live display stays below the log, which then shows
    warnings and worse unless LOG_LEVEL was chosen on the command line, by the spider, or is not INFO. Every
    PROGRESS_INTERVAL seconds (0: never) an INFO line goes to the log, terminal or not. `scrapy crawl` sets
    both; with neither, the extension is off, so that it does not write into `scrapy shell`.
    """

    def __init__(self, crawler: Crawler, *, display: bool, interval: float) -> None:
        self.crawler = crawler
        self.display = display
        self.interval = interval
        self.speed, self.galleries = Speed(), Speed()
        self.live: LiveDisplay | None = None
        self.refreshing = create_looping_call(self.refresh)
        self.logging = create_looping_call(self.log)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        interval = _interval(crawler.settings)
        display = crawler.settings.getbool("PROGRESS_ENABLED") and _has_terminal(crawler.settings)
        if not display and not interval:
            raise NotConfigured
        if display:
            _make_room(crawler.settings)
        progress = cls(crawler, display=display, interval=interval)
        crawler.signals.connect(progress.spider_opened, signals.spider_opened)
        crawler.signals.connect(progress.spider_closed, signals.spider_closed)
        return progress

    def spider_opened(self) -> None:
        self.speed, self.galleries = Speed(), Speed()
        if self.interval:
            self.logging.start(self.interval, now=False)
        if self.display:
            self._start_display()

    def spider_closed(self) -> None:
        self.close()

    def close(self) -> None:
        """Take the display away and give the log its stream back. Does nothing the second time."""
        for call in (self.logging, self.refreshing):
            if call.running:
                call.stop()
        if self.live:
            self.live.stop()
            self.live = None

    def log(self) -> None:
        view = self._view()
        logger.info("%s, %s", amount(view), pace(view), extra={"spider": self.crawler.spider})

    def refresh(self) -> None:
        if self.live:
            first, *lines = lines_of(self._view(), HOSTS)
            shown = [f"{clock(self.speed.seconds)}  {first}", *lines]
            self.live.show(self.crawler.spidercls.name, shown, stopping=not self.crawler.crawling)

    def _start_display(self) -> None:
        from imgcrawl.livedisplay import LiveDisplay  # noqa: PLC0415 -- for who sees it

        # A feed or a pipe at stdout is not the display's business; a terminal is the same one.
        self.live = LiveDisplay(redirect_stdout=sys.stdout.isatty())
        self.live.start()
        self.refreshing.start(REFRESH)

    def _view(self) -> dict[str, Any]:
        stats = self.crawler.stats.get_stats()
        downloader = self.crawler.engine.downloader
        counts = counts_of(stats)
        galleries = counts["galleries"]
        rate = self.galleries.recent(galleries["scraped"] + galleries["failed"])
        view = {**counts, "rate": self.speed.recent(stored_images(stats))}
        return {
            **view,
            "remaining": remaining(view, pages_left(self.crawler), rate),
            "waiting": stats.get("budget/waiting"),
            "hosts": downloader.limits.busiest(HOSTS) if hasattr(downloader, "limits") else _busiest(downloader.slots),
        }


def _busiest(slots: Mapping[str, Slot]) -> list[dict[str, Any]]:
    """The hosts with most to do in Scrapy's own downloader, as ours tells of its own."""
    most = nlargest(HOSTS, slots.items(), key=lambda each: (len(each[1].transferring), len(each[1].active)))
    return [
        {
            "host": host,
            "active": len(slot.transferring),
            "limit": slot.concurrency,
            "delay": slot.delay,
            "reason": "",
            "until": None,
        }
        for host, slot in most
    ]


def _has_terminal(settings: BaseSettings) -> bool:
    feed_in_terminal = sys.stdout.isatty() and any(str(uri).startswith("stdout:") for uri in settings.getdict("FEEDS"))
    if not sys.stderr.isatty() or feed_in_terminal:
        return False
    from imgcrawl.livedisplay import can_be_seen  # noqa: PLC0415 -- for who has a terminal

    return can_be_seen()


def _make_room(settings: BaseSettings) -> None:
    """Log warnings and worse only, unless somebody chose the level, or the log goes elsewhere."""
    priority = settings.getpriority("LOG_LEVEL") or 0
    chosen = settings["LOG_LEVEL"] != "INFO" or priority > SETTINGS_PRIORITIES["project"]
    if not chosen and not settings["LOG_FILE"]:
        settings.set("LOG_LEVEL", "WARNING", priority=priority)


def _interval(settings: BaseSettings) -> float:
    value = settings.get("PROGRESS_INTERVAL", 0)
    try:
        interval = float(value)
    except (TypeError, ValueError):
        interval = -1
    if not 0 <= interval < float("inf"):
        raise InputError(f"PROGRESS_INTERVAL is {value!r}: expected seconds, 0 or more")
    return interval
