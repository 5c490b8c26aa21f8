"""Between a spider and the queue: start() in one worker, and nothing yielded that cannot travel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, Self

from scrapy import Request
from scrapy.crawler import Crawler
from scrapy.exceptions import CloseSpider
from scrapy.http import Response

from imgcrawl.exceptions import InputError
from imgcrawl.frontier.scheduler import Scheduler


class FrontierMiddleware:
    """Lets one worker run start(), and refuses what cannot travel where it is yielded."""

    def __init__(self, crawler: Crawler) -> None:
        self.crawler = crawler

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    async def process_start(self, start: AsyncIterator[Any]) -> AsyncIterator[Any]:
        seeding = self._scheduler().seeding
        seeded = start if seeding.is_under_way else seeding.seed(start, self._again)
        async for output in seeded:
            yield output

    async def _again(self) -> AsyncIterator[Any]:
        # All middlewares have their part in it, and `process_start` here passes it on.
        start: AsyncIterator[Any] | None = await self.crawler.engine.scraper.spidermw.process_start()
        if start is None:
            raise InputError(f"start() of {self.crawler.spidercls.name} gives nothing a second time")
        return start

    def process_spider_output(self, response: Response, result: Iterable[Any]) -> Iterable[Any]:
        for output in result:
            yield self._checked(output, response)

    async def process_spider_output_async(self, response: Response, result: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for output in result:
            yield self._checked(output, response)

    def process_spider_exception(self, response: Response, exception: Exception) -> None:
        if isinstance(exception, CloseSpider):  # of which Scrapy sends no `spider_error`
            self._scheduler().results.fail(response, exception)

    def _checked(self, output: Any, response: Response) -> Any:
        if isinstance(output, Request):
            output.meta.pop("lease", None)  # a page of its own, though the spider handed on all it knew of another
            self._scheduler().check(output, response)
        return output

    def _scheduler(self) -> Scheduler:
        scheduler = self.crawler.engine.scheduler
        if not isinstance(scheduler, Scheduler):
            raise InputError(f"SCHEDULER={type(scheduler).__name__}: expected the frontier's, as REDIS_URL is set")
        return scheduler
