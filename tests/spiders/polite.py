"""A worker's spider: its own pages, each with its own images, on every host that a test names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import scrapy
from scrapy import Request
from scrapy.http import Response

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
                yield Request(f"{base}/{self.settings['WORKER']}/{page}", cb_kwargs={"base": base})

    def parse(self, response: Response, base: str) -> Any:
        item = Gallery(spider=self.name, url=response.url, title=response.url, images=[])
        item["image_urls"] = [f"{response.url}/{image}.jpg" for image in range(int(self.images))]
        yield item
