"""LIST → DETAIL and its sub-pages → ITEM: sites that show one image of a gallery on each of its sub-pages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.http import Response
from scrapy.http.request import NO_CALLBACK

from imgcrawl.basespiders.base import addresses, is_page, select
from imgcrawl.basespiders.gallery import GallerySpider
from imgcrawl.failures import reason_of
from imgcrawl.items import Gallery, SubpageGallery
from imgcrawl.urls import without_query

# Sub-pages that are asked for together. As many that are not there are the end, whatever number a page claims.
WINDOW = 16
# A site can make up pages for ever.
MAX_SUBPAGES = 5_000
# What comes of a sub-page that is not there: past the end that is how a site says so.
GONE = ("http_404", "http_410", "elsewhere")


@dataclass(frozen=True, slots=True)
class Subpage:
    """What a sub-page shows. *reason* says why it could not be had, and is empty where it was."""

    number: int
    url: str
    images: tuple[str, ...] = ()
    last: int = 0
    has_next: bool = False
    reason: str = ""


class SubpageGallerySpider(GallerySpider):
    """Walks galleries like `GallerySpider`, of which each has its images on sub-pages. A gallery is one item.

    Besides what `GallerySpider` asks for, a site declares:

    - `subpage_url`: the address of a sub-page, with `{gallery}`, the address of the first, and `{number}`, from 2;
    - `last_number`: XPath or CSS of the number of the last sub-page.

    Sub-pages are fetched in parallel as soon as their number is known, within the limits of the site, as part
    of the gallery's page. The number may be wrong: while the last page links to a next one the walk goes on,
    and pages at the end that are not there (404, 410, a redirect to the gallery, or nothing new) are just the end.

    Each image is named by the number of its sub-page (`image_names`), so that one that is missing shifts no
    other, and has that sub-page as its Referer (`image_pages`). A sub-page that could not be had, or that shows
    no image, is in the item's `failed_pages` with its reason.
    """

    item_class = SubpageGallery

    subpage_url = "{gallery}/{number}"
    last_number = ""

    async def parse_gallery(self, response: Response) -> AsyncIterator[Any]:
        item = self.gallery_item(response)
        if not item.get("error"):
            self.fill_images(item, await self.subpages(response))
            self.fill(item, response)
            item = self.judged(item, response)
        yield item

    def fill_images(self, item: Gallery, subpages: list[Subpage]) -> None:
        stats = self.crawler.stats
        item["image_names"], item["image_pages"], item["failed_pages"] = [], [], []
        for subpage in subpages:
            stats.inc_value("subpage/count")
            new = [image for image in subpage.images if image not in item["image_urls"]]
            for position, image in enumerate(new, start=1):
                item["image_urls"].append(image)
                item["image_names"].append(f"{subpage.number}-{position}" if position > 1 else str(subpage.number))
                item["image_pages"].append(subpage.url)
            if reason := subpage.reason or ("" if subpage.images else "no_image"):
                item["failed_pages"].append({"url": subpage.url, "reason": reason})
        if failed := item["failed_pages"]:
            stats.inc_value("subpage/failed", len(failed))
            told = ", ".join(f"{page['reason']}: {page['url']}" for page in failed[:5])
            self.logger.warning(
                "%s: %d of %d sub-pages without an image (%s%s)",
                item["url"],
                len(failed),
                len(subpages),
                told,
                ", …" if len(failed) > 5 else "",
            )

    async def subpages(self, response: Response) -> list[Subpage]:
        """Every sub-page of the gallery whose first page is *response*, by number."""
        gallery = without_query(response.url).rstrip("/")
        first = self.read_subpage(response, 1, gallery)
        subpages = [first]
        shown = set(first.images)
        last = min(max(first.last, 2 if first.has_next else 1), MAX_SUBPAGES)
        while len(subpages) < last:
            start = len(subpages) + 1
            numbers = range(start, min(last, start + WINDOW - 1) + 1)
            fetched = await asyncio.gather(*(self.fetch_subpage(number, gallery, response) for number in numbers))
            subpages += fetched
            if all(
                subpage.reason in GONE or (subpage.images and shown.issuperset(subpage.images)) for subpage in fetched
            ):
                break
            shown.update(*(subpage.images for subpage in fetched))
            newest = subpages[-1]
            if newest.number == last and newest.has_next:
                last = min(max(newest.last, last + 1), MAX_SUBPAGES)
        while subpages[-1].reason in GONE:
            subpages.pop()
        return subpages

    async def fetch_subpage(self, number: int, gallery: str, response: Response) -> Subpage:
        """Sub-page *number*, or why it could not be had. Raises nothing but CancelledError."""
        url = self.subpage_url.format(gallery=gallery, number=number)
        request = Request(url, headers={"Referer": response.url}, meta={"page_url": response.url}, callback=NO_CALLBACK)
        try:
            answer = await self.crawler.engine.download_async(request)
            return self.read_subpage(answer, number, gallery)
        except Exception as error:
            reason = reason_of(error)[1]
            if reason == "error":
                self.logger.exception("Sub-page failed: %s", url)
            return Subpage(number, url, reason=reason)

    def read_subpage(self, response: Response, number: int, gallery: str) -> Subpage:
        url = self.subpage_url.format(gallery=gallery, number=number)
        if not 200 <= response.status < 300:
            return Subpage(number, url, reason=f"http_{response.status}")
        if not is_page(response):
            return Subpage(number, url, reason="not_a_page")
        if number > 1 and f"{_path(gallery)}/".startswith(f"{_path(response.url)}/"):
            return Subpage(number, url, reason="elsewhere")
        found = re.findall(r"[0-9]{1,9}", " ".join(select(response, self.last_number)))
        following = _path(self.subpage_url.format(gallery=gallery, number=number + 1))
        return Subpage(
            number,
            response.url,
            tuple(self.images_of(response)),
            int(found[-1]) if found else 0,
            any(_path(link) == following for link in addresses(response, "//a/@href")),
        )


def _path(url: str) -> str:
    return urlsplit(url).path.rstrip("/")
