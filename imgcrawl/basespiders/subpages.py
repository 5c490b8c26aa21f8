"""LIST → DETAIL and its sub-pages → ITEM: sites that show one image of a gallery on each of its sub-pages."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit

from scrapy.http import Response

from imgcrawl.basespiders.base import addresses, is_page, select
from imgcrawl.basespiders.gallery import Besides, reason_gone
from imgcrawl.basespiders.manypages import MAX_SUBPAGES, WINDOW, ManyPagesGallerySpider, Subpage
from imgcrawl.pages.bounds import leave_out
from imgcrawl.pages.outside import outside_loop, size_of
from imgcrawl.urls import without_query

# What comes of a sub-page that is not there: past the end that is how a site says so.
GONE = ("http_404", "http_410", "elsewhere", "gone")


class SubpageGallerySpider(ManyPagesGallerySpider):
    """Walks galleries like `GallerySpider`, of which each has its images on sub-pages. A gallery is one item.

    Besides what `GallerySpider` asks for, a site declares:

    - `subpage_url`: the address of a sub-page, with `{gallery}`, the address of the first, and `{number}`, from 2;
    - `last_number`: XPath or CSS of the number of the last sub-page.

    Sub-pages are fetched in parallel as soon as their number is known, within the limits of the site, as part
    of the gallery's page. The number may be wrong: while the last page links to a next one the walk goes on,
    and pages at the end that are not there (404, 410, a redirect to the gallery, or nothing new) are just the end.

    `ManyPagesGallerySpider` says what is in the item.
    """

    subpage_url = "{gallery}/{number}"
    last_number = ""

    async def subpages(self, response: Response) -> list[Subpage]:
        """Every sub-page of the gallery whose first page is *response*, by number."""
        gallery = without_query(response.url).rstrip("/")
        first = await outside_loop(size_of(response.body), self.read_subpage, response, 1, gallery)
        subpages = [first]
        shown = set(first.images)
        named = max(first.last, 2 if first.has_next else 1)
        while len(subpages) < (last := min(named, MAX_SUBPAGES)):
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
                named = max(newest.last, last + 1)
        else:
            if named > MAX_SUBPAGES:
                leave_out("pages")
        while subpages[-1].reason in GONE:
            subpages.pop()
        return subpages

    async def fetch_subpage(self, number: int, gallery: str, response: Response) -> Subpage:
        url = self.subpage_url.format(gallery=gallery, number=number)
        return await self.fetch_page(number, url, response, lambda answer: self.read_subpage(answer, number, gallery))

    def read_subpage(self, response: Response, number: int, gallery: str) -> Subpage:
        url = self.subpage_url.format(gallery=gallery, number=number)
        if not 200 <= response.status < 300:
            return Subpage(number, url, reason=f"http_{response.status}")
        if not is_page(response):
            return Subpage(number, url, reason="not_a_page")
        if number > 1 and f"{_path(gallery)}/".startswith(f"{_path(response.url)}/"):
            return Subpage(number, url, reason="elsewhere")
        found = re.findall(r"[0-9]{1,9}", " ".join(select(response, self.last_number)))
        images = tuple(self.images_of(response, besides := Besides()))
        if number > 1 and (reason := reason_gone(response, images)):
            return Subpage(number, url, reason=reason)
        following = _path(self.subpage_url.format(gallery=gallery, number=number + 1))
        return Subpage(
            number,
            response.url,
            images,
            int(found[-1]) if found else 0,
            any(_path(link) == following for link in addresses(response, "//a/@href")),
            captions=besides.captions,
        )


def _path(url: str) -> str:
    return urlsplit(url).path.rstrip("/")
