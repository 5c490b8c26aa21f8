"""A crawl that asks for no image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrapy.exceptions import NotConfigured

from imgcrawl.exceptions import RequestRefused

if TYPE_CHECKING:
    from typing import Self

    from scrapy import Request
    from scrapy.crawler import Crawler


class SimulationMiddleware:
    """With IMAGES_SIMULATE, refuses every request for an image, after all others had their say: `simulated`."""

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        if not crawler.settings.getbool("IMAGES_SIMULATE"):
            raise NotConfigured
        return cls()

    def process_request(self, request: Request) -> None:
        if "image_path" in request.meta:
            raise RequestRefused("simulated")
