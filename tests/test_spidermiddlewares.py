from __future__ import annotations

from typing import Any

import scrapy
from scrapy import Request
from scrapy.crawler import AsyncCrawlerRunner
from scrapy.http import Response

from tests.support.asking import SETTINGS
from tests.support.server import Server


class Walk(scrapy.Spider):
    name = "walk"
    first: str
    then: list[str]
    metas: dict[str, dict[str, Any]]

    async def start(self) -> Any:
        yield Request(self.first)

    def parse(self, response: Response) -> Any:
        self.metas[response.url] = response.meta
        if response.url == self.first:
            yield Request(self.then[0])
            yield Request(self.then[1], meta={"page_url": "http://named.example/"}, errback=self.refused)

    def refused(self, failure: Any) -> None:
        self.metas[failure.request.url] = failure.request.meta


async def test_a_page_signs_what_it_names(server: Server) -> None:
    first, second, third = (server.url(path) for path in ("/html?1", "/html?2", "/html?3"))
    metas: dict[str, dict[str, Any]] = {}
    crawler = AsyncCrawlerRunner(SETTINGS).create_crawler(Walk)
    await crawler.crawl_async(first=first, then=[second, third], metas=metas)
    assert "page_url" not in metas[first], "the user named it"
    assert metas[second]["page_url"] == first
    assert metas[second]["page_private"] is True
    assert metas[third]["page_url"] == "http://named.example/", "the callback knows better"
    assert "page_private" not in metas[third]
