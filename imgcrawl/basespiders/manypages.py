"""DETAIL and more pages → ITEM: galleries whose images stand on several pages, fetched as part of the first."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain

from scrapy.http import Response
from scrapy.http.request import NO_CALLBACK

from imgcrawl.basespiders.gallery import GallerySpider, add_captions
from imgcrawl.failures import reason_of
from imgcrawl.items import Gallery, SubpageGallery
from imgcrawl.pages.outside import let_go, outside_loop, size_of
from imgcrawl.pages.shown import Caption
from imgcrawl.samples import samples_of
from imgcrawl.signalmanager import PART_READ
from imgcrawl.webrequest import WebRequest

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
    copies: dict[str, str] = field(default_factory=dict)  # of images that may be pages, what the page shows
    captions: dict[str, Caption] = field(default_factory=dict)
    largest: str = ""  # of its images, where its links offer one in several sizes


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
        size = size_of(response.body)
        await outside_loop(size, self.read_page, item, response)
        self.fill_images(item, await self.subpages(response))
        await outside_loop(size, self.fill, item, response)

    def fill_images(self, item: Gallery, subpages: list[Subpage]) -> None:
        stats = self.crawler.stats
        item["image_names"], item["image_pages"], item["failed_pages"] = [], [], []
        known = set(item["image_urls"])
        for subpage in subpages:
            stats.inc_value("subpage/count")
            new = [image for image in dict.fromkeys(subpage.images) if image not in known]
            known.update(new)
            for position, image in enumerate(new, start=1):
                item["image_urls"].append(image)
                item["image_names"].append(f"{subpage.number}-{position}" if position > 1 else str(subpage.number))
                item["image_pages"].append(subpage.url)
            if reason := subpage.reason or ("" if subpage.images else "no_image"):
                item["failed_pages"].append({"url": subpage.url, "reason": reason})
        if copies := {image: copy for subpage in subpages for image, copy in subpage.copies.items()}:
            item["image_copies"] = copies
        captions = chain.from_iterable(subpage.captions.items() for subpage in subpages)
        add_captions(item, (each for each in captions if each[0] in known))
        if failed := item["failed_pages"]:
            stats.inc_value("subpage/failed", len(failed))
            told = ", ".join(f"{page['reason']}: {page['url']}" for page in failed[:5])
            samples_of(self.crawler).add(f"subpage/failed/{failed[0]['reason']}", failed[0]["url"], item["url"])
            self.logger.info(
                "%.500s: %d of %d sub-pages without an image (%s%s)",
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

        Raises nothing but CancelledError, and `WorkGivenUp` as `outside_loop` does.
        """
        meta = {"page_url": response.url, "task": "subpage"}
        request = WebRequest(url, headers={"Referer": response.url}, meta=meta, callback=NO_CALLBACK)
        try:
            answer = await self.crawler.engine.download_async(request)
            page = await outside_loop(size_of(answer.body), read, answer)
            self.crawler.signals.send_catch_log(PART_READ, response=answer)
            await let_go(answer)
            return page
        except Exception as error:
            reason = reason_of(error)[1]
            if reason == "error":
                self.logger.exception("Sub-page failed: %s", url)
            return Subpage(number, url, reason=reason)
