"""SITEMAP → DETAIL → ITEM: sites that name their galleries in a sitemap."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import failed_reason, request_of
from imgcrawl.basespiders.gallery import Besides, GallerySpider
from imgcrawl.basespiders.losses import lost_list, was_stopped
from imgcrawl.exceptions import InputError
from imgcrawl.items import Gallery
from imgcrawl.pages.outside import in_pieces
from imgcrawl.pages.sitemaps import SitemapEntry, read_sitemap, sitemaps_named
from imgcrawl.patterns import UserPattern
from imgcrawl.urls import OUTSIDE, is_on_machine_of, is_public
from imgcrawl.webrequest import WebRequest

# Sitemaps that name sitemaps that name sitemaps: the protocol knows one level.
MAX_LEVEL = 3


class SitemapGallerySpider(GallerySpider):
    """Walks the galleries that a sitemap names, in place of list pages. For the rest it is a `GallerySpider`.

    A site declares:

    - `sitemap_url`: the address of a sitemap, of an index of sitemaps, in gzip or not, or of a robots.txt that names
      some; without it there are list pages;
    - `sitemap_galleries`: a regular expression; addresses with a match are galleries. Without it all are.

    The images that a sitemap states for an address belong to that gallery, together with those on its page. `pages`
    bounds how many sitemaps are read of those that an index names, GALLERIES_RANGE counts in each. A sitemap that
    cannot be had or has nothing in it is counted (`list/failed`), and is the crawl's verdict where it is the first.
    """

    sitemap_url = ""
    sitemap_galleries = ""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        try:
            pattern = self.sitemap_galleries
            self._are_galleries = UserPattern(pattern, "-a only=", late=True) if pattern else None
        except re.error as error:
            raise InputError(f"-a only={self.sitemap_galleries}: expected a regular expression ({error})") from error
        self._sitemaps_asked = 0

    async def start(self) -> AsyncIterator[Any]:
        if self.sitemap_url:
            yield self.sitemap_request(self.at_home(self.sitemap_url), 0)
            return
        async for request in super().start():
            yield request

    def sitemap_request(self, url: str, level: int) -> Request:
        return WebRequest(
            url,
            callback=self.parse_sitemap,
            errback=self.sitemap_failed,
            cb_kwargs={"level": level},
            meta={"task": "sitemap"},
        )

    async def parse_sitemap(self, response: Response, level: int) -> AsyncIterator[Any]:
        count, galleries = 0, 0
        try:
            async for entry in in_pieces(len(response.body), self.entries_of(response)):
                if entry.is_sitemap:
                    count += 1
                    if level == MAX_LEVEL:
                        self.sitemap_lost(entry.address, level + 1, f"sitemaps in {MAX_LEVEL} others are the last read")
                    elif self._is_wanted():
                        yield self.sitemap_request(self.at_home(entry.address), level + 1)
                elif self._are_galleries is None or self._are_galleries.is_in(entry.address):
                    count, galleries = count + 1, galleries + 1
                    if galleries in self.galleries_range:
                        yield self.gallery_of(entry)
        except ValueError as error:
            self.sitemap_lost(response.url, level, str(error))
            return
        if count:
            self.crawler.stats.inc_value("list/count")
        else:
            self.sitemap_lost(response.url, level, self.looked_for())

    def entries_of(self, response: Response) -> Iterator[SitemapEntry]:
        """What a sitemap names. Raises ValueError for one that is none."""
        if response.url.endswith("/robots.txt"):
            yield from sitemaps_named(response.body, response.url)
        else:
            yield from read_sitemap(response.body, response.url)

    def gallery_of(self, entry: SitemapEntry) -> Request:
        request = self.gallery_request(self.at_home(entry.address))
        if entry.images:
            request.meta["sitemap_images"] = list(entry.images)
        return request

    async def fill_item(self, item: Gallery, response: Response) -> None:
        await super().fill_item(item, response)
        if unsure := self.unsure_images(response):
            urls = item["image_urls"]
            pages = item.get("image_pages") or [response.url] * len(urls)
            item["image_pages"] = [OUTSIDE if url in unsure else page for url, page in zip(urls, pages, strict=True)]

    def unsure_images(self, response: Response) -> set[str]:
        """Those of the stated images that are not for *response*, a private page, to name: that a sitemap has stated
        them came through a shared queue, where anybody may write, and they are not on the page's own machine."""
        ip = response.ip_address
        if "lease" not in response.meta or ip is None or response.meta.get("proxy") or is_public(str(ip)):
            return set()
        return {image for image in self.stated_images(response) if not is_on_machine_of(response.url, image)}

    def images_of(self, response: Response, besides: Besides | None = None) -> list[str]:
        return list(dict.fromkeys([*super().images_of(response, besides), *self.stated_images(response)]))

    def stated_images(self, response: Response) -> list[str]:
        """The images that the sitemap which named the gallery *response* states for it."""
        return [self.image_url(self.at_home(image)) for image in response.meta.get("sitemap_images", ())]

    def sitemap_failed(self, failure: Failure) -> None:
        request = request_of(failure)
        if not was_stopped(failure):
            self.sitemap_lost(request.url, request.cb_kwargs["level"], failed_reason(failure))

    def sitemap_lost(self, url: str, level: int, reason: str) -> None:
        sentence = f"{url}: the sitemap could not be read ({reason})"
        if level:
            lost_list(self, url, reason, sentence)
        else:
            self.report(sentence)

    def looked_for(self) -> str:
        if not self.sitemap_url:
            return super().looked_for()
        matching = f" that match {self.sitemap_galleries!r}" if self.sitemap_galleries else ""
        return f"no addresses{matching}"

    def _is_wanted(self) -> bool:
        self._sitemaps_asked += 1
        return self.max_pages is None or self._sitemaps_asked <= self.max_pages
