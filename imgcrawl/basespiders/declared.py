"""A site that nobody has written a spider for: its declarations stand on the command line."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from parsel import Selector

from imgcrawl.basespiders.base import select
from imgcrawl.basespiders.named import NamedGallerySpider
from imgcrawl.basespiders.proposed import ProposedGallerySpider
from imgcrawl.basespiders.sitemaps import SitemapGallerySpider
from imgcrawl.exceptions import InputError
from imgcrawl.pages.proposals import GalleryImages
from imgcrawl.urls import host_of

PLACES = ("list", "gallery", "file", "sitemap")


class DeclaredGallerySpider(NamedGallerySpider, SitemapGallerySpider, ProposedGallerySpider):
    """Walks a site like `GallerySpider`, with declarations from the command line.

    Raises `InputError` for an address or a selector that is none, and where it is not said where the galleries are.
    """

    options: ClassVar[dict[str, str]] = {
        "list": "the address of a list page, with {page} for its number, {offset} or {token}, or that of the first one",
        "galleries": "XPath or CSS of the links to galleries on a list page; without it, what the page repeats",
        "next": "XPath or CSS of the link to the next list page, or of its {token}; without it what says next on it",
        "first": "the number of the first list page",
        "per_page": "galleries on a list page, where {offset} counts them; without it they are counted",
        "sitemap": "the address of a sitemap, a feed (RSS, Atom) or a robots.txt with some, in place of list pages",
        "only": "a regular expression: the addresses in a sitemap that are galleries",
        "images": "XPath or CSS of the images on a gallery's page; without it they are searched for",
        "image_pages": "XPath or CSS of the links to pages of images, which -a images is about then; found where sure",
        "gallery_next": "XPath or CSS of the link to the gallery's own next page; without it rel=next, if that is one",
        "title": "XPath or CSS of the title on a gallery's page",
        "post": "what list pages are asked for with by POST, a form's or JSON: page={page}&sort=new",
    }
    list: str | None = None
    post: str | None = None
    galleries: str | None = None
    next: str | None = None
    first: str = "1"
    per_page: str | None = None
    sitemap: str | None = None
    only: str | None = None
    images: str | None = None
    image_pages: str | None = None
    gallery_next: str | None = None
    title: str | None = None

    def __init__(self, **arguments: Any) -> None:
        given = [place for place in PLACES if arguments.get(place)]
        if len(given) != 1 and arguments.keys() <= self.all_options().keys():  # else one of them is mistyped
            said = " and ".join(f"-a {place}=…" for place in given)
            expected = ", ".join(f"-a {place}=… ({self.all_options()[place]})" for place in PLACES)
            raise InputError(f"{self.name} needs one of {expected}" + (f"; it has {said}" if given else ""))
        self.sitemap_url, self.sitemap_galleries = arguments.get("sitemap") or "", arguments.get("only") or ""
        super().__init__(**arguments)
        self.list_url, self.gallery_links, self.image_links = self.list or "", self.galleries or "", self.images or ""
        self.list_post = self.post or ""
        if self.post and not self.list:
            raise InputError(f"-a post={self.post}: expected with -a list=…, the address that it is sent to")
        self.image_page_links, self.gallery_next_link = self.image_pages or "", self.gallery_next or ""
        self.titles = (self.title,) if self.title else ("//h1", "//h2")
        self.site = host_of(self.list_url or self.sitemap_url)
        self.next_link = self.next or ""
        self.page_size = self.at_least_one("per_page") or 0
        self.first_page = self.whole_number("first")
        for option in ("galleries", "next", "images", "image_pages", "gallery_next", "title"):
            _check_query(option, getattr(self, option))
        if self.list:
            self._check_list()
        if self.sitemap and not _is_address(self.sitemap):
            raise InputError(f"-a sitemap={self.sitemap}: expected an address that begins with http:// or https://")

    def _check_list(self) -> None:
        if re.search(r",\s*https?://", self.list or ""):
            raise InputError(f"-a list={self.list}: expected one list; crawl each, with -o to the same feed")
        try:
            address = self.list_address(self.first_page)
        except (LookupError, ValueError, AttributeError) as error:
            raise InputError(
                f"-a list={self.list}: only {{page}}, {{offset}} or {{token}} may stand in braces ({error})"
            ) from error
        if not self.site or not _is_address(address):
            raise InputError(f"-a list={self.list}: expected an address that begins with http:// or https://")

    def take_images(self, found: GalleryImages) -> None:
        super().take_images(found)
        if not self.title:
            self.titles = (found.title,) if found.title else ()  # a heading that all pages share is the site's

    def more_declarations(self) -> dict[str, str]:
        return {"title": self.titles[0] if len(self.titles) == 1 else ""}

    def looked_for(self) -> str:
        return (
            super().looked_for() if self.sitemap else f"no galleries; nothing matches -a galleries={self.gallery_links}"
        )


def _check_query(option: str, query: str | None) -> None:
    try:
        if query:
            select(Selector("<p></p>"), query)
    except (ValueError, SyntaxError, RuntimeError) as error:  # the last two are cssselect's
        raise InputError(
            f"-a {option}={query}: expected XPath (which begins with /), CSS, or for JSON JMESPath ({error})"
        ) from error


def _is_address(text: str) -> bool:
    return text.startswith(("http://", "https://")) and bool(host_of(text))
