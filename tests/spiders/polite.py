"""A worker's spider: its own pages, each with its own images, on every host that a test names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import scrapy
from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from imgcrawl.failures import reason_of
from imgcrawl.items import Gallery


class PoliteSpider(scrapy.Spider):
    """Asks each of `bases` (with commas between) in turn for `pages` pages, and for `images` images of each page."""

    name = "polite"
    bases = ""
    pages = "1"
    images = "0"

    async def start(self) -> AsyncIterator[Any]:
        for base in self.bases.split(","):
            for page in range(int(self.pages)):
                yield self.request(f"{base}/{self.settings['WORKER']}/{page}", base)

    def request(self, url: str, base: str) -> Request:
        return Request(url, cb_kwargs={"base": base})

    def parse(self, response: Response, base: str) -> Any:
        item = Gallery(spider=self.name, url=response.url, title=response.url, images=[])
        item["image_urls"] = [f"{response.url}/{image}.jpg" for image in range(int(self.images))]
        yield item


class TellingSpider(PoliteSpider):
    """The same, with an item for each page that could not be had, too, as spiders of ours have it."""

    name = "telling"

    def request(self, url: str, base: str) -> Request:
        return super().request(url, base).replace(errback=self.failed)

    def failed(self, failure: Failure) -> Any:
        url = failure.request.url  # type: ignore[attr-defined] -- Scrapy's
        yield Gallery(spider=self.name, url=url, title=url, image_urls=[], images=[], error=reason_of(failure.value)[1])
