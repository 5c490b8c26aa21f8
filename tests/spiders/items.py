"""Spiders that yield what a test's page says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import scrapy
from scrapy.http import Response

from imgcrawl.items import Gallery


class ItemsSpider(scrapy.Spider):
    """The page at `url` is a JSON list of galleries; those without an `url` are on the page itself."""

    name = "items"
    url = ""

    async def start(self) -> AsyncIterator[Any]:
        yield scrapy.Request(self.url, callback=self.parse)

    def parse(self, response: Response) -> Iterator[Any]:
        for fields in response.json():  # type: ignore[attr-defined] # a JSON page has it
            yield Gallery({"spider": self.name, "url": response.url, "title": "t", "images": [], **fields})


class DictsSpider(ItemsSpider):
    """The same, as items that are not ours: dicts, without what imgcrawl's own have."""

    name = "dicts"

    def parse(self, response: Response) -> Iterator[Any]:
        yield from response.json()  # type: ignore[attr-defined] # a JSON page has it


class Videos(Gallery):
    video_urls = scrapy.Field()
    video_names = scrapy.Field()
    videos = scrapy.Field()


class VideosSpider(ItemsSpider):
    """The same, with videos."""

    name = "videos"

    def parse(self, response: Response) -> Iterator[Any]:
        for fields in response.json():  # type: ignore[attr-defined] # a JSON page has it
            yield Videos({"spider": self.name, "url": response.url, "videos": [], **fields})
