"""The end of a crawl, told to others; and, while it goes on, how it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

from scrapy import signals

from imgcrawl.cancelling import cancel_all
from imgcrawl.exceptions import BAD_INPUT
from imgcrawl.extensions.runsummary import findings_of
from imgcrawl.extensions.verdict import JUDGED, STOPPED_AT_ONCE, Verdict
from imgcrawl.hooks.announcer import Announcer
from imgcrawl.hooks.trouble import INTERVAL
from imgcrawl.samples import samples_of

if TYPE_CHECKING:
    from scrapy.crawler import Crawler


class Announcements:
    """Has an `Announcer` told of a crawl, in threads: at its end, when it is judged, and every twenty seconds before.

    Of workers that share a queue the last one speaks for all; a file with a summary each of them has.
    """

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler
        self.announcer = Announcer(crawler.settings, crawler.spidercls.name)
        self._watching: asyncio.Task[None] | None = None
        connect = crawler.signals.connect
        connect(self.spider_opened, signals.spider_opened)
        connect(self.judged, JUDGED)
        connect(self.engine_stopped, signals.engine_stopped)
        connect(self.stopped_at_once, STOPPED_AT_ONCE)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    async def spider_opened(self) -> None:
        await asyncio.to_thread(self.announcer.start)
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            await self.announcer.look_now_and_then(self.crawler.stats.get_stats())
            await asyncio.sleep(INTERVAL + 0.1)

    async def engine_stopped(self) -> None:
        if self.crawler.get_extension(Verdict) is None:  # in a project that does without
            await self.judged(True)

    async def judged(self, speaks_for_all: bool) -> None:
        if self._watching is None:  # it was never opened
            return
        await cancel_all(self._watching)
        self._watching = None
        stats = self.crawler.stats
        now = dict(stats.get_stats())
        if str(now.get("finish_reason", "")).startswith(BAD_INPUT):
            return
        samples = samples_of(self.crawler)
        changed = await asyncio.to_thread(
            self.announcer.end, now, findings_of(now), samples, speaks_for_all=speaks_for_all
        )
        for name, value in changed.items():
            stats.set_value(name, value)

    def stopped_at_once(self) -> None:
        self.announcer.end_at_once(self.crawler.stats.get_stats(), samples_of(self.crawler))
