"""LIST → ITEM: sites that show their images on the list pages themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from scrapy import Request
from scrapy.http import Response

from imgcrawl.basespiders.base import base_and_encoding, nodes, text_of, words_of
from imgcrawl.basespiders.lists import ListSpider
from imgcrawl.basespiders.walk import Walk
from imgcrawl.exceptions import RequestRefused
from imgcrawl.items import Gallery
from imgcrawl.pages.outside import outside_loop, size_of
from imgcrawl.urls import absolute, stem


class ListImagesSpider(ListSpider):
    """Walks the list pages of a site and yields an item for each, with the images on it.

    A site declares:

    - `list_url` and `first_page` as in `GallerySpider`;
    - `images`: XPath or CSS of the elements that stand for an image;
    - `image_link` and `image_text`: XPath or CSS, within such an element, of the address and of the text that
      the image is called after;

    and may override two hooks: `image_url` makes the address on the page into that of the original, and
    `image_name` makes the text into the image's name.
    """

    images = ""
    image_link = "./@src"
    image_text = "./@alt"
    titles: tuple[str, ...] = ("//title",)

    def image_url(self, url: str) -> str:
        """The address of the original, given the one on the page."""
        return url

    def image_name(self, text: str) -> str:
        """The name of an image, given the text that it is called after."""
        return text

    def fed_request(self, request: Request) -> Request:
        return self.fed_list(request)

    def found_on(self, response: Response) -> list[str]:
        return list(self.images_on(response))

    def picked(self, found: list[str], page: int, before: Walk) -> list[str]:
        return found if page - self.first_page + 1 in self.galleries_range else []

    def is_behind_range(self, page: int, walk: Walk) -> bool:
        return page - self.first_page + 1 >= self.galleries_range.end

    async def read_list(self, response: Response, found: list[str]) -> AsyncIterator[Any]:
        try:
            yield self.scraped(await outside_loop(size_of(response.body), self.read_item, response))
        except RequestRefused as refusal:  # the list goes on
            self.logger.info("%.500s: %s", response.url, refusal)
            yield self.failed(self.new_item(response.url), refusal.reason)

    def read_item(self, response: Response) -> Gallery:
        images = self.images_on(response)
        item = self.new_item(response.url)
        item["title"] = words_of(response, *self.titles)
        item["image_urls"] = list(images)
        item["image_names"] = list(images.values())
        return item

    def looked_for(self) -> str:
        return f"no images; nothing matches {self.images!r}"

    def images_on(self, response: Response) -> dict[str, str]:
        """The images on a list page: address → name."""
        base, encoding = base_and_encoding(response)
        images: dict[str, str] = {}
        for node in nodes(response, self.images):
            address = absolute(base, text_of(node, self.image_link), encoding)
            if address and address != response.url:
                url = self.image_url(address)
                images.setdefault(url, self.image_name(text_of(node, self.image_text)).strip() or stem(url))
        return images
