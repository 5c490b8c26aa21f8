"""DETAIL and what is in it → ITEM: pages that are read as parts of a gallery's, in frames or for one image."""

from __future__ import annotations

from asyncio import gather
from dataclasses import dataclass, field, replace
from functools import partial

from scrapy.http import Response, TextResponse

from imgcrawl.basespiders.base import base_and_encoding, content_type, is_page
from imgcrawl.basespiders.gallery import Besides, reason_gone
from imgcrawl.basespiders.manypages import ManyPagesGallerySpider, Subpage
from imgcrawl.basespiders.ownimages import largest_of
from imgcrawl.items import Gallery
from imgcrawl.pages.bounds import bounded, leave_out
from imgcrawl.pages.candidates import is_shown
from imgcrawl.pages.links import MAX_FRAMES, album_frames, frames_of
from imgcrawl.pages.outside import outside_loop, size_of
from imgcrawl.pages.sheets import MAX_SHEETS, images_in_sheet, imported_by, names_in, sheets_of
from imgcrawl.pages.versions import offered_versions

MAX_LEVEL = 3  # of frames in frames


@dataclass(frozen=True, slots=True)
class GalleryPage(Subpage):
    """A page of a gallery: also where it leads to."""

    links: tuple[str, ...] = ()  # pages of images
    following: str = ""  # the gallery's next page
    thumbnails: dict[str, tuple[str, ...]] = field(default_factory=dict)  # of links: what they show


class PartPagesGallerySpider(ManyPagesGallerySpider):
    """Reads what a gallery's page shows by other pages of its site: those in frames, those of its images, and style
    sheets."""

    async def fill_from_frames(self, item: Gallery, response: Response, *, beside: bool = False) -> None:
        """Add to *item* what the pages show that its page has in frames, or these do: of one that shows nothing itself
        all, *beside* what it shows those that surely belong to it."""
        size = size_of(response.body)
        found: list[Subpage] = []
        if beside:
            frames = await outside_loop(size, self.frames_beside, response)
            copies = item.get("image_copies") or {}
            found = [GalleryPage(0, response.url, tuple(item["image_urls"]), copies=copies)] if frames else []
        else:
            frames = (await outside_loop(size, self.read_frame, response, 0, response.url, "")).links
        own, known = len(found), {response.url}
        for _ in range(MAX_LEVEL):
            new = list(bounded((frame for frame in dict.fromkeys(frames) if frame not in known), MAX_FRAMES, "pages"))
            known.update(new)
            numbered = enumerate(new, len(found) + 1)
            pages = await gather(*(self.fetch_frame(number, url, response) for number, url in numbered))
            found += pages
            frames = tuple(frame for page in pages for frame in page.links)
        if not known.issuperset(frames):
            leave_out("pages")
        if any(page.images or (beside and page.reason) for page in found[own:]):
            item["image_urls"] = []
            self.fill_images(item, [page for page in found if page.images or page.reason not in ("", "elsewhere")])
            del item["image_names"]  # they are numbered as those of one page

    async def fill_from_sheets(self, item: Gallery, response: Response) -> None:
        """Add to *item*, whose page shows nothing itself, the photographs that its elements show by their classes, as
        the page's style sheets say."""
        if not isinstance(response, TextResponse) or not is_page(response):
            return
        size = size_of(response.body)
        place = await outside_loop(size, base_and_encoding, response)
        names = await outside_loop(size, names_in, response.text)
        sheets = await outside_loop(size, sheets_of, response.text, *place)

        def read(answer: Response, number: int) -> Subpage:
            css = answer.text if isinstance(answer, TextResponse) and 200 <= answer.status < 300 else ""
            imported.extend(imported_by(css, answer.url))
            return Subpage(number, response.url, tuple(images_in_sheet(css, answer.url, names)))

        known: dict[str, None] = {}
        found: list[Subpage] = []
        for _ in range(MAX_LEVEL):
            imported: list[str] = []
            new = (sheet for sheet in dict.fromkeys(sheets) if sheet not in known)
            numbered = list(enumerate(bounded(new, MAX_SHEETS - len(known)), len(known) + 1))
            known |= {url: None for _, url in numbered}
            pages = (self.fetch_page(number, url, response, partial(read, number=number)) for number, url in numbered)
            found += await gather(*pages)
            sheets = imported
        if found := [page for page in found if page.images]:
            self.fill_images(item, found)
            del item["image_names"]

    def frames_beside(self, response: Response) -> tuple[str, ...]:
        """The frames of its own site in which a page that shows images surely has more of them."""
        if not isinstance(response, TextResponse) or not is_page(response):
            return ()
        own, others = album_frames(response.selector, response.url, response.encoding)
        if others:
            self.logger.info(
                "%.500s: what it has in frames beside its images is not read: %.500s; if that is a gallery, give it by "
                "-a gallery=",
                response.url,
                ", ".join(others),
            )
        return tuple(own)

    async def fetch_frame(self, number: int, url: str, response: Response) -> GalleryPage:
        read = partial(self.read_frame, number=number, url=url, gallery=response.url)
        page = await self.fetch_page(number, url, response, read)
        return page if isinstance(page, GalleryPage) else GalleryPage(number, url, reason=page.reason)

    def read_frame(self, answer: Response, number: int, url: str, gallery: str) -> GalleryPage:
        """A page in a frame, or around some: *links* are the frames in it, where it shows nothing itself."""
        page = self.read_image_page(answer, number, url, gallery)
        page = replace(page, images=largest_of(page.images, page.largest))
        if any(map(is_shown, page.images)) or not isinstance(answer, TextResponse) or not is_page(answer):
            return GalleryPage(number, page.url, page.images, reason=page.reason, captions=page.captions)
        own, others = frames_of(answer.text, answer.url, answer.encoding)
        if others:
            self.logger.info("%.500s: frames of other sites are not read: %.500s", answer.url, ", ".join(others))
        images = () if page.reason else page.images
        return GalleryPage(number, page.url, images, reason=page.reason, links=tuple(own))

    async def fetch_image_page(self, number: int, url: str, response: Response) -> Subpage:
        return await self.fetch_page(
            number, url, response, lambda answer: self.read_image_page(answer, number, url, response.url)
        )

    def read_image_page(self, response: Response, number: int, url: str, gallery: str) -> Subpage:
        if not 200 <= response.status < 300:
            return Subpage(number, url, reason=f"http_{response.status}")
        if content_type(response).lower().startswith("image/"):
            return Subpage(number, gallery, (response.url,))
        if not isinstance(response, TextResponse):
            return Subpage(number, url, reason="not_a_page")
        if response.url == gallery:
            return Subpage(number, url, reason="elsewhere")
        besides = Besides()
        images, asked, largest = tuple(self.images_of(response, besides)), "", ""
        if is_page(response):
            is_sure = any(map(is_shown, images))  # whatever it asks besides
            asked = (reason_gone if is_sure else self.said_instead)(response, images)
            if not self.image_links:
                offered = offered_versions(response.selector, *base_and_encoding(response))
                if versions := [self.image_url(address) for address in offered]:
                    largest = versions[0]
                    images = (*(image for image in images if image not in versions), largest)
        # What was shown may be a logo, or one called like that.
        url, images = (url if asked else response.url), (() if asked == "gone" else images)
        return Subpage(number, url, images, reason=asked, captions=besides.captions, largest=largest)
