"""Real crawls in the test's own event loop, for tests that ask for something and look at what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import scrapy
from scrapy import Request
from scrapy.crawler import AsyncCrawlerRunner, Crawler
from scrapy.http import Response

from imgcrawl import settings as ours

Script = Callable[[Crawler], Awaitable[None]]

SETTINGS: dict[str, Any] = {
    "TWISTED_REACTOR_ENABLED": False,
    "TELNETCONSOLE_ENABLED": False,
    "REMOTE_CONTROL_ENABLED": False,
    "LOG_ENABLED": False,
    "DOWNLOADER": "imgcrawl.downloader.Downloader",
    "DOWNLOAD_HANDLERS": ours.DOWNLOAD_HANDLERS,
    "DOWNLOADER_MIDDLEWARES": {
        "scrapy.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": None,
        "scrapy.downloadermiddlewares.retry.RetryMiddleware": None,
        "scrapy.downloadermiddlewares.redirect.RedirectMiddleware": None,
        "scrapy.downloadermiddlewares.httpcompression.HttpCompressionMiddleware": None,
        "imgcrawl.downloadermiddlewares.addressguard.AddressGuardMiddleware": 75,
        "imgcrawl.downloadermiddlewares.robotstxt.RobotsTxtMiddleware": 100,
        "imgcrawl.downloadermiddlewares.pages.PagesMiddleware": 120,
        "imgcrawl.downloadermiddlewares.retry.RetryMiddleware": 550,
        "imgcrawl.downloadermiddlewares.httpcompression.HttpCompressionMiddleware": 590,
        "imgcrawl.downloadermiddlewares.redirect.RedirectMiddleware": 600,
    },
    "SPIDER_MIDDLEWARES": {"imgcrawl.spidermiddlewares.PageUrlMiddleware": 650},
    "USER_AGENT": "imgcrawl/0.1 (tests)",
    "ROBOTSTXT_USER_AGENT": "imgcrawl",
    "DOWNLOAD_VERIFY_CERTIFICATES": True,
    "DOWNLOAD_TIMEOUT": 20,
    "RETRY_DELAY": 0.02,
    "ROBOTSTXT_WAIT": 0,
}


class _Spider(scrapy.Spider):
    name = "asking"
    script: Script
    failure: BaseException | None = None

    async def start(self) -> Any:
        try:
            await self.script(self.crawler)
        except BaseException as error:
            self.failure = error
        for nothing in ():
            yield nothing


async def crawl(script: Script, **settings: Any) -> Crawler:
    """Open a spider, run *script* in it, close it. An exception of the script is raised here."""
    crawler = AsyncCrawlerRunner({**SETTINGS, **settings}).create_crawler(_Spider)
    await crawler.crawl_async(script=script)
    assert isinstance(crawler.spider, _Spider)
    if crawler.spider.failure:
        raise crawler.spider.failure
    return crawler


async def ask(*requests: Request | str, **settings: Any) -> list[Response | Exception]:
    """What becomes of *requests* (or addresses), all asked for at once as a media pipeline does."""
    answers: list[Any] = []

    async def script(crawler: Crawler) -> None:
        assert crawler.engine
        coroutines = (
            crawler.engine.download_async(Request(each) if isinstance(each, str) else each) for each in requests
        )
        answers.extend(await asyncio.gather(*coroutines, return_exceptions=True))

    await crawl(script, **settings)
    return answers
