"""DETAIL, what it goes on with and pages of images → ITEM: galleries over several pages, whose thumbnails lead on."""

from __future__ import annotations

import re
from asyncio import gather
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

from scrapy.http import Response, TextResponse

from imgcrawl.basespiders.base import addresses, base_and_encoding, is_page, is_readable
from imgcrawl.basespiders.following import next_stated
from imgcrawl.basespiders.gallery import Besides, GallerySpider, note_more
from imgcrawl.basespiders.manypages import MAX_SUBPAGES, WINDOW, Subpage
from imgcrawl.basespiders.ownimages import own_images, size_of_images
from imgcrawl.basespiders.partpages import GalleryPage, PartPagesGallerySpider
from imgcrawl.basespiders.walk import PATIENCE
from imgcrawl.items import Gallery
from imgcrawl.pages.bounds import NamesRead, both_ends, bounded, leave_out
from imgcrawl.pages.candidates import is_shown
from imgcrawl.pages.continued import continues, goes_on, offset_in, renumbers
from imgcrawl.pages.morelinks import more_linked
from imgcrawl.pages.outside import outside_loop, size_of
from imgcrawl.pages.pagerforms import addressed_by
from imgcrawl.pages.pagination import NEXT_LINKS, leads_on, named_by, words_of
from imgcrawl.pages.statednext import next_in_data
from imgcrawl.urls import absolute

_PAGE = re.compile("page|页|頁|ページ|страниц|seite", re.IGNORECASE)
_DIGIT = re.compile("[0-9]")
_MOST_LINKS = 5_000  # of a page, in which its next one is looked for
MAX_PAGES = 1_000  # of a gallery, which are asked for one after another


class ImagePagesGallerySpider(PartPagesGallerySpider):
    """Walks galleries like `GallerySpider`, which may go on on further pages, and whose thumbnails may link to pages
    that show the images themselves.

    Besides what `GallerySpider` asks for, a site declares:

    - `gallery_next_link`: XPath or CSS of the link from a gallery's page to its next one. Without it that is one whose
      address is that of the gallery with the number of that page, counted from 1 or 0, or of the images before it: the
      one that says `rel="next"`, or says so in words or by its class (of others it leads to the next gallery); else one
      with a word for a page in its address, or which says that number;
    - `image_page_links`: XPath or CSS of the links on a gallery's pages to the pages of its images. Without it the
      gallery's pages are all there is.

    Of a page that shows no image itself, what the pages of its own site show that it has in frames, or in frames
    within these (beside images of its own that is of frames which are called an album, or as the page is); if there
    is nothing either, the photographs that its elements show by their classes, as its style sheets say. Frames of other
    sites are told in the log.

    The pages of a gallery end where one has no next one, or nothing that those before do not have.

    With `image_page_links`, `image_links` is about an image's page. Without it all images of such a page are the
    gallery's, but for those that the gallery's pages show too, and those that another image's page shows: thumbnails,
    logos; and where the page offers its image in several sizes by links, only the largest. A link to an image itself is
    that image. `ManyPagesGallerySpider` says what is in the item.
    """

    gallery_next_link = ""
    image_page_links = ""

    async def fill_item(self, item: Gallery, response: Response) -> None:
        first = await outside_loop(size_of(response.body), self.read_gallery_page, response, 1, response.url)
        if not first.following and not self.image_pages_of(response.url):
            await GallerySpider.fill_item(self, item, response)
            is_bare = not any(map(is_shown, item["image_urls"]))
            if is_bare or not self.image_links:
                await self.fill_from_frames(item, response, beside=not is_bare)
            if not self.image_links and not any(map(is_shown, item["image_urls"])):
                await self.fill_from_sheets(item, response)
        else:
            await super().fill_item(item, response)

    async def subpages(self, response: Response) -> list[Subpage]:
        pages, query = await self.gallery_pages(response), self.image_pages_of(response.url)
        if not query:
            return [*pages]
        links = [link for link in dict.fromkeys(chain(*(page.links for page in pages))) if link != response.url]
        if not links:
            self.logger.info("%.500s: no pages of images; nothing matches %r", response.url, query)
        found: list[Subpage] = [page for page in pages if page.reason]
        links = list(bounded(links, MAX_SUBPAGES, "pages"))
        for start in range(0, len(links), WINDOW):
            numbered = enumerate(links[start : start + WINDOW], start + 1)
            found += await gather(*(self.fetch_image_page(number, url, response) for number, url in numbered))
        return await outside_loop(size_of_images(found), self.own_pages, found, pages, links, response.url)

    def image_pages_of(self, gallery: str) -> str:
        """`image_page_links` of the gallery whose first page is at *gallery*."""
        return self.image_page_links

    def own_pages(
        self, found: list[Subpage], pages: list[GalleryPage], links: list[str], gallery: str
    ) -> list[Subpage]:
        """*found* with what is the gallery's own: see `own_images`. Called in a thread where there are many."""
        own, left_out = own_images(found, pages, links, gallery)
        if self.image_links:
            return [alone if page.reason else page for page, alone in zip(found, own, strict=True)]
        if left_out:
            self.logger.info(
                "%.500s: images left out as thumbnails, for its own pages and one image's page show them: %d, %.500s",
                gallery,
                len(left_out),
                ", ".join(left_out[:5]),
            )
        return own

    # The pages of a gallery

    async def gallery_pages(self, response: Response) -> list[GalleryPage]:
        """The pages of the gallery that begins with *response*."""
        read = partial(self.read_gallery_page, gallery=response.url)
        page = await outside_loop(size_of(response.body), read, response, 1)
        pages, asked, known, empty = [page], {response.url}, {*page.images, *page.links}, 0
        while page.following and page.following not in asked:
            if len(asked) == MAX_PAGES:
                leave_out("pages")
                break
            asked.add(page.following)
            number, url = len(asked), page.following
            fetched = await self.fetch_page(number, url, response, partial(read, number=number))
            page = fetched if isinstance(fetched, GalleryPage) else GalleryPage(number, url, reason=fetched.reason)
            shown = {*page.images, *page.links}
            empty = 0 if shown or page.reason else empty + 1  # a page of text, which may lead on
            if not page.reason and known.issuperset(shown):
                if shown or empty == PATIENCE:
                    break  # the last one again, or the first
                continue
            known |= shown
            pages.append(page)
        return pages

    def read_gallery_page(self, response: Response, number: int, gallery: str) -> GalleryPage:
        if not 200 <= response.status < 300:
            return GalleryPage(number, response.url, reason=f"http_{response.status}")
        if not is_readable(response):
            return GalleryPage(number, response.url, reason="not_a_page")
        nexts = self.next_of_gallery(response, number + 1, gallery)
        found = addresses(response, query) if (query := self.image_pages_of(gallery)) else []
        links = tuple(self.at_home(link) for link in found)
        if not nexts and number == 1 and not links:
            return GalleryPage(number, response.url)  # there is no other: it is read as a gallery's only page
        besides = Besides()
        images = () if links and self.image_links else tuple(self.images_of(response, besides))
        if not nexts:
            note_more(response, (*images, *links))
        page = GalleryPage(number, response.url, images, copies=besides.copies, captions=besides.captions, links=links)
        return replace(page, following=nexts[0]) if nexts else page

    def next_of_gallery(self, response: Response, number: int, gallery: str) -> list[str]:
        """The address of page *number* of *gallery*, if the page before, *response*, names it."""
        here = {response.url, gallery}
        if query := self.gallery_next_link:
            return [link for link in map(self.at_home, addresses(response, query, leads_on)) if link != response.url]
        links = list(self._links_of(response))
        said = [*addresses(response, NEXT_LINKS), *next_stated(response), *(to for to, _, leads in links if leads)]
        nexts = [link for link in dict.fromkeys(map(self.at_home, said)) if link not in here]
        found = [link for link in nexts if goes_on(gallery, link, number)] or [
            to for to, text, leads in links if leads and _PAGE.search(text) and renumbers(response.url, to, number)
        ]
        if found:
            return found
        told = dict.fromkeys((to, text == str(number)) for to, text, _ in links)
        numbered = [to for to, is_called in told if continues(gallery, to, number, by_word=not is_called)]
        # Of a site that counts from 0 the link "2" is that of page=1.
        called = [to for to, is_called in told if is_called]
        from_0 = [to for to in called if continues(gallery, to, number - 1, by_word=True)]
        if numbered or from_0:
            return from_0 if from_0 and set(called).isdisjoint(numbered) else numbered
        # What says "next" may lead to the last page, or to the next ten of them.
        before = offset_in(gallery, response.url)
        offsets = sorted((to for to in nexts if offset_in(gallery, to) > before), key=partial(offset_in, gallery))
        if offsets or not isinstance(response, TextResponse) or not is_page(response):
            return offsets
        place = base_and_encoding(response)
        stated = (absolute(place[0], address, place[1]) for address in next_in_data(response.selector))
        goes_on_at = [self.at_home(each) for each in stated if each and goes_on(gallery, self.at_home(each), number)]
        return goes_on_at or more_linked(response.selector, response.url, gallery, *place)

    def _links_of(self, response: Response) -> Iterator[tuple[str, str, bool]]:
        """The first links and options of a choice with a number in them on a page, and what its forms send: where each
        leads to, what it says, and whether that is the next page."""
        if not isinstance(response, TextResponse) or not is_page(response):
            return
        base, encoding = base_and_encoding(response)
        root: Any = response.selector.root
        known = NamesRead()
        for link in both_ends(root.iter("a", "option"), _MOST_LINKS):
            named = named_by(link)
            if _DIGIT.search(named) and (address := absolute(base, named, encoding)):
                text = words_of(link)
                yield self.at_home(address), text, link.tag == "a" and leads_on(link, known, text)
        for named, number in addressed_by(response.selector, response.url, encoding):
            if address := absolute(base, named, encoding):
                yield self.at_home(address), str(number or ""), not number
