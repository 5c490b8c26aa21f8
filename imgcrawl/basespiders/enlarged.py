"""DETAIL and the pages of its images → ITEM: galleries of thumbnails, of which nobody has said that they are."""

from __future__ import annotations

import asyncio
import shlex
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Self, cast

from cachetools import LRUCache
from scrapy import signals
from scrapy.crawler import Crawler
from scrapy.http import Response, TextResponse

from imgcrawl.basespiders.base import is_page
from imgcrawl.basespiders.imagepages import ImagePagesGallerySpider
from imgcrawl.basespiders.manypages import Subpage
from imgcrawl.basespiders.ownimages import own_images, size_of_images
from imgcrawl.basespiders.partpages import GalleryPage
from imgcrawl.images.headers import pixels_of
from imgcrawl.items import Gallery
from imgcrawl.pages.bounds import bounded
from imgcrawl.pages.outside import outside_loop, size_of
from imgcrawl.pages.repeated import MAX_ELEMENTS, PagePlaces
from imgcrawl.pages.thumbnails import (
    LinkedThumbnails,
    are_alike,
    are_larger,
    has_thumbnails,
    named_alike,
    thumbnails_by,
    thumbnails_on,
)
from imgcrawl.urls import host_of

SAMPLE = 3  # pages of images of a gallery that are looked at first
ENOUGH = 2  # of them must name their image
_MOST_OWN = 2  # images of such a page that are its own: the one in sight, and the one for previews
_SMALL = 300 * 300  # pixels: what has no more is a thumbnail, whatever its page shows
TRIES = 3  # galleries of a host whose pages of images are looked at in vain
_LOOKS = 8  # times as long as reading a page takes the look at the places of its images
_MOST_TAGS = 100_000  # of a page that is looked at
_HOSTS, _SELECTORS = 10_000, 5  # that are remembered, of a host: each gallery may have its own


@dataclass(slots=True)
class _Host:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    sure: LRUCache[str, None] = field(default_factory=lambda: LRUCache(_SELECTORS))  # CSS of links to pages of images
    doubtful: LRUCache[str, None] = field(default_factory=lambda: LRUCache(_SELECTORS))  # … and to what may be such
    tries: int = 0


class EnlargedGallerySpider(ImagePagesGallerySpider):
    """Walks galleries like `ImagePagesGallerySpider`; where nothing is declared about images, the pages that those of
    a gallery link to are read, too, if it is sure that they show the same ones larger.

    It is where all images of the gallery's page but the site's own (which the other pages show, too) stand in links, in
    one place, to pages of its host with addresses unlike that of the gallery, and each of the first ones shows one
    image, or two, that are its own, and whose address has a word or a number of just that thumbnail's. Up to SAMPLE
    pages are looked at for it, and whether the first one's has more pixels than its thumbnail, once for a host, or for
    each gallery until one has been found out. What such a page shows that is named so takes the place of its thumbnail;
    where there is nothing, the thumbnail stays.

    Where it is not sure, but such pages show images of their own, a line at the end of the crawl says so.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._hosts: LRUCache[str, _Host] = LRUCache(_HOSTS)
        self._walked: dict[str, str] = {}  # galleries that are being read, whose images have pages
        self._looked_at: LRUCache[str, Subpage] = LRUCache(_HOSTS)  # of these
        self._in_doubt = ("", "")  # the first gallery, with CSS of its links, …
        self._doubts = 0  # … of so many

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider._tell_doubt, signals.spider_closed)
        return spider

    def _tell_doubt(self) -> None:
        if self._doubts:
            gallery, css = self._in_doubt
            self.logger.info(
                "Galleries whose images are links to pages with others: %d, as %.500s; where those are the originals, "
                "%s brings them",
                self._doubts,
                gallery,
                f"-a {shlex.quote(f'image_pages={css}')}",
            )

    async def fill_item(self, item: Gallery, response: Response) -> None:
        if not (self.image_links or self.image_page_links) and (query := await self._pages_of_images(response)):
            self._walked[response.url] = query
        try:
            await super().fill_item(item, response)
        finally:
            self._walked.pop(response.url, None)

    def image_pages_of(self, gallery: str) -> str:
        return super().image_pages_of(gallery) or self._walked.get(gallery, "")

    def read_gallery_page(self, response: Response, number: int, gallery: str) -> GalleryPage:
        page = super().read_gallery_page(response, number, gallery)
        if not page.links or gallery not in self._walked:
            return page
        root: Any = cast("TextResponse", response).selector.root
        for name in ("a", "img"):  # of more of them it is not known what they are
            deque(bounded(root.iter(name), MAX_ELEMENTS), 0)
        led_to = _led_to(response, self._walked[gallery])
        shown = {self.at_home(link): tuple(map(self.image_url, images)) for link, images in led_to.items()}
        return replace(page, thumbnails=shown, links=tuple(link for link in page.links if link in shown))

    async def fetch_image_page(self, number: int, url: str, response: Response) -> Subpage:
        if looked_at := self._looked_at.pop(url, None):
            return replace(looked_at, number=number)
        return await super().fetch_image_page(number, url, response)

    def own_pages(
        self, found: list[Subpage], pages: list[GalleryPage], links: list[str], gallery: str
    ) -> list[Subpage]:
        own = super().own_pages(found, pages, links, gallery)
        if gallery not in self._walked:
            return own
        thumbnails: dict[str, tuple[str, ...]] = {}
        for page in pages:
            for link, images in page.thumbnails.items():
                thumbnails[link] = (*thumbnails.get(link, ()), *images)
        larger = [page for page in own if page.images and not page.reason]
        its_links = [links[page.number - 1] for page in larger]
        its_thumbnails = [thumbnails.get(link, ()) for link in its_links]
        alike = named_alike(its_links, its_thumbnails, [page.images for page in larger])
        of_number = {
            page.number: its for page, its in zip(larger, alike, strict=True) if its or len(page.images) > _MOST_OWN
        }
        gone = set(chain.from_iterable(each for each, its in zip(its_thumbnails, alike, strict=True) if its))
        times = Counter(chain.from_iterable(set(page.images) for page in found))
        small = set(chain.from_iterable(thumbnails.values()))
        shown = dict.fromkeys(image for page in pages for image in page.images)
        of_site = [image for image in shown if times[image] > 1 and image not in small]
        others = [
            image for page in larger for image in page.images if image not in of_number.get(page.number, page.images)
        ]
        if of_site or others:
            self.logger.info(
                "%.500s: images left out, which pages of its images show besides: %d, %.500s",
                gallery,
                len(of_site) + len(others),
                ", ".join([*of_site, *others][:5]),
            )
        gone.update(of_site)
        own = [page if page.reason else replace(page, images=of_number.get(page.number, page.images)) for page in own]
        for page in pages:
            if left := tuple(image for image in page.images if image not in gone):
                own.append(replace(page, number=len(links) + page.number, images=left))
        return own

    # Whether the pages of a gallery's images show them larger

    async def _pages_of_images(self, response: Response) -> str:
        """CSS of the links to these on the page of a gallery; empty where it is not sure."""
        if not isinstance(response, TextResponse) or not is_page(response):
            return ""
        if response.text.count("<") > _MOST_TAGS:
            self.logger.info("%.500s: whether its images are thumbnails is not looked at: too large", response.url)
            return ""
        host = self._hosts.setdefault(host_of(response.url), _Host())
        size = _LOOKS * size_of(response.body)
        known = await self._known_of(host, response, size)
        if known is not None:
            return known
        async with host.lock:  # those before may have shown what there is to know
            known = await self._known_of(host, response, size)
            if known is not None:
                return known
            found = await outside_loop(size, lambda: thumbnails_on(_places(response), self.ends))
            if found is None:
                return ""
            host.tries += 1
            await self._look_at(found, response, host)
            return found.css if found.css in host.sure else ""

    async def _known_of(self, host: _Host, response: Response, size: int) -> str | None:
        """CSS of the links to these that *host* is known for, empty where it is not sure; None for what is unknown."""
        is_settled = host.tries >= TRIES
        for css in (*host.sure, *(host.doubtful if is_settled else ())):
            if await outside_loop(size, lambda css: has_thumbnails(_places(response), css), css):
                self._doubts += css not in host.sure
                return css if css in host.sure else ""
        return "" if is_settled else None

    async def _look_at(self, found: LinkedThumbnails, response: Response, host: _Host) -> None:
        links = [self.at_home(link) for link in found.images][:SAMPLE]
        fetch = super().fetch_image_page
        pages = await asyncio.gather(*(fetch(number, link, response) for number, link in enumerate(links, 1)))
        shown = frozenset(chain.from_iterable(found.images.values())) | found.others
        size, galleries = size_of_images(pages), [GalleryPage(1, response.url, tuple(shown))]
        own, _ = await outside_loop(size, own_images, list(pages), galleries, links, response.url)
        good = [page for page in own if page.images and not page.reason and page.url != response.url]
        if not good or any(shown.intersection(page.images) for page in good):
            return
        of_site = set(chain.from_iterable(page.images for page in pages))
        is_sure = found.others <= of_site and await outside_loop(size, self._are_sure, found, response.url, links, good)
        if is_sure and await self._has_more_pixels(found, links[good[0].number - 1], good[0], response):
            host.sure[found.css] = None
            host.tries = 0
            self._looked_at.update(zip(links, pages, strict=True))
            self.logger.info(
                "%.500s: its images are thumbnails of those on the pages that they link to, which are read, too: %s",
                response.url,
                f"-a {shlex.quote(f'image_pages={found.css}')}",
            )
        else:
            host.doubtful[found.css] = None
            self._in_doubt = self._in_doubt if self._doubts else (response.url, found.css)
            self._doubts += 1

    async def _has_more_pixels(self, found: LinkedThumbnails, link: str, page: Subpage, response: Response) -> bool:
        """Whether what *page* shows is larger than its thumbnail, which *link* is around; also where nobody can say."""
        thumbnail = next(images[0] for each, images in found.images.items() if self.at_home(each) == link)
        pixels = await self._pixels_of(self.image_url(thumbnail), response)
        if pixels <= _SMALL:
            return True
        shown = [await self._pixels_of(image, response) for image in page.images[:_MOST_OWN]]
        return not all(shown) or max(shown) > pixels

    async def _pixels_of(self, address: str, response: Response) -> int:
        found: list[int] = []

        def read(answer: Response) -> Subpage:
            found.append(pixels_of(answer.body))
            return Subpage(0, address)

        await self.fetch_page(0, address, response, read)
        return sum(found)

    def _are_sure(self, found: LinkedThumbnails, gallery: str, links: list[str], good: Sequence[Subpage]) -> bool:
        if len(good) < ENOUGH or are_alike(gallery, found.images):
            return False
        thumbnails = {self.at_home(link): images for link, images in found.images.items()}
        its_links = [links[page.number - 1] for page in good]
        its_thumbnails = [thumbnails[link] for link in its_links]
        images = named_alike(its_links, its_thumbnails, [page.images for page in good])
        return all(0 < len(each) <= _MOST_OWN for each in images) and are_larger(its_thumbnails, images)


def _led_to(response: Response, css: str) -> dict[str, tuple[str, ...]]:
    """The pages that links lead to which *css* finds, each with the images in these."""
    return thumbnails_by(_places(response), css).images


def _places(response: Response) -> PagePlaces:
    page = cast("TextResponse", response)
    return PagePlaces(page.selector, page.url, page.encoding)
