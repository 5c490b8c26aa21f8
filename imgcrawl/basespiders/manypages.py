"""DETAIL and more pages → ITEM: galleries whose images stand on several pages, fetched as part of the first."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from scrapy import Request
from scrapy.http import Response
from scrapy.http.request import NO_CALLBACK

from imgcrawl.basespiders.base import addresses, content_type, is_page
from imgcrawl.basespiders.gallery import GallerySpider
from imgcrawl.failures import reason_of
from imgcrawl.items import Gallery, SubpageGallery
from imgcrawl.pages.outside import let_go, outside_loop

# Pages of a gallery that are asked for together.
WINDOW = 16
# A site can make up pages for ever.
MAX_SUBPAGES = 5_000


@dataclass(frozen=True, slots=True)
class Subpage:
    """What a page of a gallery shows. *reason* says why it could not be had, and is empty where it was."""

    number: int
    url: str
    images: tuple[str, ...] = ()
    last: int = 0
    has_next: bool = False
    reason: str = ""


class ManyPagesGallerySpider(GallerySpider):
    """Walks galleries like `GallerySpider`, of which each has its images on several pages. A gallery is one item.

    Each image is named by the number of its page (`image_names`), so that one that is missing shifts no other, and has
    that page as its Referer (`image_pages`). A page that could not be had, or that shows no image, is in the item's
    `failed_pages` with its reason.

    A kind of gallery says which pages these are: `subpages`.
    """

    item_class = SubpageGallery

    @abstractmethod
    async def subpages(self, response: Response) -> list[Subpage]:
        """Every page that shows images of the gallery whose first page is *response*, by number."""

    async def fill_item(self, item: Gallery, response: Response) -> None:
        size = len(response.body)
        await outside_loop(size, self.read_page, item, response)
        self.fill_images(item, await self.subpages(response))
        await outside_loop(size, self.fill, item, response)

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

    async def fetch_page(
        self, number: int, url: str, response: Response, read: Callable[[Response], Subpage]
    ) -> Subpage:
        """What *read* makes of page *number* of the gallery *response*, or why it could not be had.

        Raises nothing but CancelledError.
        """
        meta = {"page_url": response.url, "task": "subpage"}
        request = Request(url, headers={"Referer": response.url}, meta=meta, callback=NO_CALLBACK)
        try:
            answer = await self.crawler.engine.download_async(request)
            page = await outside_loop(len(answer.body), read, answer)
            await let_go(answer)
            return page
        except Exception as error:
            reason = reason_of(error)[1]
            if reason == "error":
                self.logger.exception("Sub-page failed: %s", url)
            return Subpage(number, url, reason=reason)


class ImagePagesGallerySpider(ManyPagesGallerySpider):
    """Walks galleries like `GallerySpider`, whose thumbnails may link to pages that show the images themselves.

    Besides what `GallerySpider` asks for, a site declares:

    - `image_page_links`: XPath or CSS of the links on a gallery's page to the pages of its images. Without it the
      gallery's page is all there is.

    `image_links` is then about an image's page. Without it all images of such a page are the gallery's, but for those
    that the gallery's page shows too, and those that another image's page shows: thumbnails, logos. A link to an image
    itself is that image. `ManyPagesGallerySpider` says what is in the item.
    """

    image_page_links = ""

    async def fill_item(self, item: Gallery, response: Response) -> None:
        fill = super().fill_item if self.image_page_links else partial(GallerySpider.fill_item, self)
        await fill(item, response)

    async def subpages(self, response: Response) -> list[Subpage]:
        size = len(response.body)
        found = await outside_loop(size, addresses, response, self.image_page_links)
        links = [self.at_home(link) for link in found]
        links = [link for link in dict.fromkeys(links) if link != response.url][:MAX_SUBPAGES]
        if not links:
            self.logger.warning("%s: no pages of images; nothing matches %r", response.url, self.image_page_links)
        pages: list[Subpage] = []
        for start in range(0, len(links), WINDOW):
            numbered = enumerate(links[start : start + WINDOW], start + 1)
            pages += await asyncio.gather(*(self.fetch_image_page(number, url, response) for number, url in numbered))
        if self.image_links:
            return pages
        shown = Counter(image for page in pages for image in page.images)
        shown.update(await outside_loop(size, self.images_of, response))
        return [replace(page, images=tuple(image for image in page.images if shown[image] == 1)) for page in pages]

    async def fetch_image_page(self, number: int, url: str, response: Response) -> Subpage:
        return await self.fetch_page(
            number, url, response, lambda answer: self.read_image_page(answer, number, url, response.url)
        )

    def read_image_page(self, response: Response, number: int, url: str, gallery: str) -> Subpage:
        if not 200 <= response.status < 300:
            return Subpage(number, url, reason=f"http_{response.status}")
        if content_type(response).lower().startswith("image/"):
            return Subpage(number, gallery, (response.url,))
        if not is_page(response):
            return Subpage(number, url, reason="not_a_page")
        if response.url == gallery:
            return Subpage(number, url, reason="elsewhere")
        return Subpage(number, response.url, tuple(self.images_of(response)))
