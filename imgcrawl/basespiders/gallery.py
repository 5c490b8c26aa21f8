"""LIST → DETAIL → ITEM: sites whose list pages link to galleries, each with all its images on one page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import addresses, failed_reason, is_page, request_of, text_of
from imgcrawl.basespiders.lists import ListSpider
from imgcrawl.items import Gallery


class GallerySpider(ListSpider):
    """Walks the list pages of a site, the galleries they link to, and yields an item for each.

    A site declares:

    - `list_url`: the address of a list page, with `{page}` and any option in braces;
    - `first_page`: the number of the first one, 1 unless the site counts otherwise;
    - `gallery_links`: XPath or CSS of the links to galleries on a list page;
    - `image_links`: XPath or CSS of the images' addresses on a gallery's page;
    - `titles`: XPaths or CSS of the title, the first that finds text counts;

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

    # What is fed

    def fed_request(self, request: Request) -> Request:
        return self.fed_list(request) or self.gallery_request(self.at_home(request.url)).replace(meta=request.meta)

    # LIST

    def found_on(self, response: Response) -> list[str]:
        return list(dict.fromkeys(self.at_home(link) for link in addresses(response, self.gallery_links)))

    def read_list(self, response: Response, found: list[str]) -> Iterator[Any]:
        for gallery in found:
            yield self.gallery_request(gallery)

    def gallery_request(self, url: str) -> Request:
        return Request(url, callback=self.parse_gallery, errback=self.gallery_failed, priority=1)

    def looked_for(self) -> str:
        return f"no galleries; nothing matches {self.gallery_links!r}"

    # DETAIL → ITEM

    def parse_gallery(self, response: Response) -> Any:
        """Yields the item of a gallery's page. Any: a kind of gallery may have to wait for more pages."""
        item = self.new_item(response.url)
        if not is_page(response):
            yield self.lost(item, "not_a_page")
            return
        item["title"] = self.title_of(response)
        item["image_urls"] = self.images_of(response)
        self.fill(item, response)
        yield self.had(item)

    def gallery_failed(self, failure: Failure) -> Iterator[Any]:
        yield self.lost(self.new_item(request_of(failure).url), failed_reason(failure))

    def had(self, item: Gallery) -> Gallery:
        if not item["image_urls"]:
            self.logger.warning("%s: no images; nothing matches %r", item["url"], self.image_links)
        return super().had(item)

    def title_of(self, response: Response) -> str:
        """The title, or where a page has none, the last part of its address."""
        return text_of(response, *self.titles) or response.url.rstrip("/").rpartition("/")[2]

    def images_of(self, response: Response) -> list[str]:
        """The addresses of the originals of the images on a page, in order, each once."""
        return list(dict.fromkeys(self.image_url(link) for link in addresses(response, self.image_links)))
