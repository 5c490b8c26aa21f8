"""LIST → DETAIL → ITEM: sites whose list pages link to galleries, each with all its images on one page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scrapy import Request
from scrapy.http import Response, TextResponse
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import addresses, failed_reason, images, is_page, request_of, text_of
from imgcrawl.basespiders.lists import ListSpider
from imgcrawl.items import PAGE_FACTS, Gallery
from imgcrawl.pages import page_facts


class GallerySpider(ListSpider):
    """Walks the list pages of a site, the galleries they link to, and yields an item for each.

    A site declares:

    - `list_url`: the address of a list page, with `{page}` and any option in braces;
    - `first_page`: the number of the first one, 1 unless the site counts otherwise;
    - `gallery_links`: XPath or CSS of the links to galleries on a list page;
    - `image_links`: XPath or CSS of the images on a gallery's page: of the attributes with their addresses, or of
      elements, in which images are searched for;
    - `titles`: XPaths or CSS of the title, the first that finds text counts, else what the page states as its title;

    and may override two hooks: `image_url` makes the address on the page into that of the original, and `fill`
    adds the site's own fields to the item.

    `ListSpider` says where the walk ends. A gallery that cannot be had is an item whose `error` says why.
    """

    gallery_links = ""
    image_links = ""
    titles: tuple[str, ...] = ("//h2", "//title")

    # The hooks

    def image_url(self, url: str) -> str:
        """The address of the original, given the one on the page."""
        return url

    def fill(self, item: Gallery, response: Response) -> None:
        """Add to *item* what this site tells and others do not."""

    # LIST

    def found_on(self, response: Response) -> list[str]:
        return list(dict.fromkeys(self.at_home(link) for link in addresses(response, self.gallery_links)))

    def read_list(self, response: Response, found: list[str]) -> Iterator[Any]:
        for gallery in found:
            yield Request(gallery, callback=self.parse_gallery, errback=self.gallery_failed, priority=1)

    def looked_for(self) -> str:
        return f"no galleries; nothing matches {self.gallery_links!r}"

    # DETAIL → ITEM

    def parse_gallery(self, response: Response) -> Any:
        """Yields the item of a gallery's page. Any: a kind of gallery may have to wait for more pages."""
        item = self.new_item(response.url)
        if not is_page(response):
            yield self.lost(item, "not_a_page")
            return
        self.read_page(item, response)
        item["image_urls"] = self.images_of(response)
        self.fill(item, response)
        yield self.had(item)

    def gallery_failed(self, failure: Failure) -> Iterator[Any]:
        yield self.lost(self.new_item(request_of(failure).url), failed_reason(failure))

    def had(self, item: Gallery) -> Gallery:
        if not item["image_urls"]:
            self.logger.warning("%s: no images; nothing matches %r", item["url"], self.image_links)
        return super().had(item)

    def read_page(self, item: Gallery, response: Response) -> None:
        """Add to *item* its title, and what the page states about itself in standard ways (`pages.PageFacts`).

        The title, where neither a site's own nor a stated one is found, is the last part of the page's address.
        """
        assert isinstance(response, TextResponse)  # noqa: S101 -- what `is_page` says
        facts = page_facts(response.text, response.url, response.encoding)
        for fact in PAGE_FACTS:
            if value := getattr(facts, fact):
                item[fact] = value
        item["title"] = text_of(response, *self.titles) or facts.title or response.url.rstrip("/").rpartition("/")[2]

    def images_of(self, response: Response) -> list[str]:
        """The addresses of the originals of the images on a page, in order, each once."""
        return list(dict.fromkeys(self.image_url(link) for link in images(response, self.image_links)))
