"""A site that nobody has written a spider for: its declarations stand on the command line."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar

import jmespath
from jmespath.exceptions import JMESPathError
from parsel import Selector
from scrapy.http import Response, TextResponse

from imgcrawl.basespiders.base import select
from imgcrawl.basespiders.gallery import GallerySpider
from imgcrawl.exceptions import InputError
from imgcrawl.pages import find_images
from imgcrawl.urls import host_of


class DeclaredGallerySpider(GallerySpider):
    """Walks a site like `GallerySpider`, with declarations from the command line.

    Raises `InputError` for an address or a selector that is none.
    """

    options: ClassVar[dict[str, str]] = {
        "list": "the address of a list page, with {page} for its number, {offset} or {token}, or that of the first one",
        "galleries": "XPath or CSS of the links to galleries on a list page",
        "next": "XPath or CSS of the link to the next list page, or of its {token}; without it rel=next is looked for",
        "first": "the number of the first list page",
        "per_page": "galleries on a list page, where {offset} counts them; without it they are counted",
        "images": "XPath or CSS of the images on a gallery's page; without it they are searched for",
        "title": "XPath or CSS of the title on a gallery's page",
    }
    required = ("list", "galleries")
    list: str | None = None
    galleries: str | None = None
    next: str | None = None
    first: str = "1"
    per_page: str | None = None
    images: str | None = None
    title: str | None = None

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.list_url, self.gallery_links, self.image_links = self.list or "", self.galleries or "", self.images or ""
        self.titles = (self.title,) if self.title else ("//h1", "//h2")
        self.site = host_of(self.list_url)
        self.next_link = self.next or ""
        self.page_size = self.at_least_one("per_page") or 0
        self.first_page = self.whole_number("first")
        for option in ("galleries", "next", "images", "title"):
            _check_query(option, getattr(self, option))
        try:
            address = self.list_address(self.first_page)
        except (LookupError, ValueError, AttributeError) as error:
            raise InputError(
                f"-a list={self.list}: only {{page}}, {{offset}} or {{token}} may stand in braces ({error!r})"
            ) from error
        if not self.site or not address.startswith(("http://", "https://")):
            raise InputError(f"-a list={self.list}: expected an address that begins with http:// or https://")

    def images_of(self, response: Response) -> Any:
        if self.image_links or not isinstance(response, TextResponse):
            return super().images_of(response)
        return find_images(response.text, response.url, response.encoding)

    def looked_for(self) -> str:
        return f"no galleries; nothing matches -a galleries={self.gallery_links}"


def _check_query(option: str, query: str | None) -> None:
    try:
        if query is not None:
            select(Selector("<p></p>"), query)
    except (ValueError, SyntaxError, RuntimeError) as error:  # the last two: cssselect's
        with suppress(JMESPathError):
            jmespath.compile(query)
            return
        raise InputError(
            f"-a {option}={query}: expected XPath (which begins with /), CSS, or for JSON JMESPath ({error})"
        ) from error
