"""LIST → DETAIL → ITEM: sites whose list pages link to galleries, each with all its images on one page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self, cast

from scrapy import Request, signals
from scrapy.core.scheduler import Scheduler
from scrapy.crawler import Crawler
from scrapy.http import JsonResponse, Response, TextResponse
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import (
    addresses,
    base_and_encoding,
    images,
    is_page,
    is_readable,
    request_of,
    words_of,
)
from imgcrawl.basespiders.ends import GalleryEnds
from imgcrawl.basespiders.known import KnownGalleriesSpider
from imgcrawl.basespiders.losses import left_out_of
from imgcrawl.basespiders.questions import asked_reason
from imgcrawl.engine import scheduler_in
from imgcrawl.exceptions import InputError, RequestRefused
from imgcrawl.items import PAGE_FACTS, Gallery
from imgcrawl.pages import PageFacts, captions_of, find_images, page_facts
from imgcrawl.pages.bounds import leave_out, noted
from imgcrawl.pages.gone import says_gone
from imgcrawl.pages.login import question_of
from imgcrawl.pages.outside import in_pieces, let_go, outside_loop, size_of
from imgcrawl.pages.saidnext import more_pressed
from imgcrawl.pages.shown import Caption, captions_kept, day_shown
from imgcrawl.urls import absolute
from imgcrawl.webrequest import WebRequest

# What only some of the spiders here read.
_READ_BY: Final = {
    "ImagePagesGallerySpider": ("image_page_links", "gallery_next_link"),
    "SitemapGallerySpider": ("sitemap_url", "sitemap_galleries"),
    "SubpageGallerySpider": ("subpage_url", "last_number"),
}


@dataclass(slots=True)
class Besides:
    """What a page has besides images (`pages`): copies of some, captions, facts where images were searched for."""

    copies: dict[str, str] = field(default_factory=dict)
    captions: dict[str, Caption] = field(default_factory=dict)
    facts: PageFacts | None = None


class GallerySpider(KnownGalleriesSpider):
    """Walks the list pages of a site, the galleries they link to, and yields an item for each.

    A site declares:

    - `list_url`: the address of a list page, with `{page}` and any option in braces;
    - `first_page`: the number of the first one, 1 unless the site counts otherwise;
    - `gallery_links`: XPath or CSS of the links to galleries on a list page;
    - `image_links`: XPath or CSS of the images on a gallery's page: of the attributes with their addresses, or of
      elements, in which images are searched for; without it they are searched for on the whole page;
    - `titles`: XPaths or CSS of the title, the first that finds text counts, else what the page states as its title;

    and may override two hooks: `image_url` makes the address on the page into that of the original, and `fill`
    adds the site's own fields to the item. They may be called in a thread (`pages.outside`), so they look at what they
    are given, and keep nothing.

    `ListSpider` and `KnownGalleriesSpider` say where the walk ends. Every gallery that a list names ends as an
    item. One that cannot be had has an `error` that says why: a reason as an image has, or `redirected` (it leads
    to a list page, to another gallery, to where other galleries lead, or to a page without images; `final_url` says
    where), `login` (the site wants to know who is asking), `age_gate` (how old), `not_a_page`.
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
        if self.is_any_list_page(request.url):
            return self.fed_list(request)
        made = self.gallery_request(self.at_home(request.url))
        return made.replace(meta={**request.meta, **made.meta})

    # LIST

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.ends = GalleryEnds(lambda url: self.is_list_page(url) or url.rstrip("/") == self.list_path)

    @classmethod
    def from_crawler(cls, crawler: Crawler, *args: Any, **kwargs: Any) -> Self:
        _check_declared(cls)
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider._named_by_a_list, signals.request_scheduled)
        crawler.signals.connect(spider._known_already, signals.request_dropped)
        return spider

    def _named_by_a_list(self, request: Request, by: int = 1) -> None:
        # A queue that workers share tells later what it knew already, and itself what is left in it.
        is_gallery = request.meta.get("task") == "gallery"
        if not is_gallery or request.meta.get("retry_times") or request.meta.get("retry_after_times"):
            return
        # Its metaclass takes any scheduler for an instance.
        if Scheduler in type(scheduler_in(self.crawler)).__mro__:
            self.crawler.stats.inc_value("gallery/found", by)

    def _known_already(self, request: Request) -> None:
        self._named_by_a_list(request, -1)

    def found_on(self, response: Response) -> list[str]:
        return list(dict.fromkeys(self.at_home(link) for link in addresses(response, self.gallery_links)))

    async def read_list(self, response: Response, found: list[str]) -> AsyncIterator[Any]:
        await let_go(response)  # it may take as long as the galleries of a long list do
        complete = await self.not_to_open(found)
        async for gallery in in_pieces(0, iter(found)):
            if gallery in complete:
                self.ends.name(gallery)
                self.crawler.stats.inc_value("gallery/known")
                continue
            yield self.gallery_request(gallery)

    def gallery_request(self, url: str) -> Request:
        request = WebRequest(
            url, callback=self.parse_gallery, errback=self.gallery_failed, priority=1, meta={"task": "gallery"}
        )
        self.ends.name(request.url)
        return request

    def looked_for(self) -> str:
        return f"no galleries; nothing matches {self.gallery_links!r}"

    # DETAIL → ITEM

    async def parse_gallery(self, response: Response) -> AsyncIterator[Any]:
        """Yields the item of a gallery's page."""
        try:
            await self.ends.ask_others(response.url, asked_address(response), scheduler_in(self.crawler))
            item = self.gallery_item(response)
            if not item.get("error"):
                with noted() as left_out:
                    await self.fill_item(item, response)
                item = await self.judged(item, response)
                left_out_of(self, item, () if item.get("error") else left_out)
        except Exception as error:  # of a site's own hooks, or of ours: the gallery has its outcome all the same
            item = self.broken(response, error)
        await let_go(response)
        yield item

    async def fill_item(self, item: Gallery, response: Response) -> None:
        """Add to *item* what *response*, its page, shows."""

        def read() -> None:
            item["image_urls"] = self.images_of(response, besides := Besides())
            self.read_page(item, response, besides.facts)
            if besides.copies:
                item["image_copies"] = besides.copies
            add_captions(item, besides.captions.items())
            note_more(response, item["image_urls"])
            self.fill(item, response)

        await outside_loop(size_of(response.body), read)

    def broken(self, response: Response, error: Exception) -> Gallery:
        """The item of a gallery whose page could not be read for an *error* of the spider's. Counted as Scrapy does."""
        if isinstance(error, RequestRefused):
            self.logger.info("%.500s: %s", response.url, error)
            return self.failed(self.new_item(asked_address(response)), error.reason)
        self.logger.error("Spider error processing %s", response, exc_info=error)
        for name in ("count", type(error).__name__):
            self.crawler.stats.inc_value(f"spider_exceptions/{name}")
        return self.failed(self.new_item(asked_address(response)), "error")

    def gallery_item(self, response: Response) -> Gallery:
        """The item of the gallery whose page is *response*; with `error` if that is another page."""
        asked = asked_address(response)
        item = self.new_item(asked)
        if response.url != asked:
            item["final_url"] = response.url
            self.ends.count(response.url, self.crawler.stats)
        if not is_readable(response):
            return self.failed(item, "not_a_page")
        if reason := self.ends.astray(response.url, asked):
            return self.failed(item, reason)
        return item

    async def judged(self, item: Gallery, response: Response) -> Gallery:
        """*item*, which has all that its page shows: counted as had, or as lost where it is not what was asked for."""
        if said := await outside_loop(size_of(response.body), self.said_instead, response, item["image_urls"]):
            item["image_urls"] = []
            return self.failed(item, said)
        if item["image_urls"]:
            return self.scraped(item)
        if "final_url" in item:
            return self.failed(item, "redirected")
        self.logger.info("%.500s: no images; nothing matches %r", item["url"], self.image_links)
        return self.scraped(item)

    def said_instead(self, response: Response, images: Sequence[str]) -> str:
        """Why the page of *response*, on which *images* were found, is not what was asked for, as it says: a reason of
        `items.PAGE_REASONS`; empty if it may be."""
        if not isinstance(response, TextResponse) or not is_page(response):
            return ""
        asked = question_of(response.selector, images, searched=not self.image_links, known=self.login_forms)
        return asked or reason_gone(response, images)

    def gallery_failed(self, failure: Failure) -> Iterator[Any]:
        yield self.failed(self.new_item(asked_address(request_of(failure))), asked_reason(failure, self.login_forms))

    def read_page(self, item: Gallery, response: Response, known: PageFacts | None = None) -> None:
        """Add to *item* its title, and what the page states about itself (`pages.PageFacts`), *known* or not.

        The title, where neither a site's own nor a stated one is found, is the last part of the page's address.
        """
        facts = PageFacts()
        if isinstance(response, TextResponse) and is_page(response):
            facts = known or page_facts(response.text, response.url, response.encoding)
            facts.date = facts.date or day_shown(response.selector)
        for fact in PAGE_FACTS:
            if value := getattr(facts, fact):
                item[fact] = value
        item["title"] = words_of(response, *self.titles) or facts.title or response.url.rstrip("/").rpartition("/")[2]

    def images_of(self, response: Response, besides: Besides | None = None) -> list[str]:
        """The addresses of the originals of the images on a page, in order, each once. *besides* gets the rest."""
        besides, shown = besides or Besides(), dict[str, str]()
        if self.image_links:
            found = images(response, self.image_links, shown)
        else:  # in JSON there are none but as in a script
            page = cast("TextResponse", response)
            text = f"<script>{page.text}" if isinstance(response, JsonResponse) else page.text
            besides.facts = PageFacts()
            found = find_images(text, page.url, page.encoding, shown, authors := set[str](), besides.facts)
            if authors:
                self.author_pictures.append((page.url, authors))
        besides.copies |= {self.image_url(original): copy for original, copy in shown.items()}
        if isinstance(response, TextResponse) and is_page(response):
            said = captions_of(response.selector, found, response.url, response.encoding)
            besides.captions |= {self.image_url(image): caption for image, caption in said.items()}
        return list(dict.fromkeys(map(self.image_url, found)))


def add_captions(item: Gallery, captions: Iterable[tuple[str, Caption]]) -> None:
    """Add to what is stated about the images of *item* what all of its *captions* say of those that have none."""
    facts: dict[str, dict[str, str]] = item.get("image_facts") or {}
    for image, caption in captions_kept(captions, item["title"]).items():
        facts.setdefault(image, {}).setdefault("caption", caption)
    if facts:
        item["image_facts"] = facts


def reason_gone(response: Response, images: Sequence[str]) -> str:
    """ "gone" where the page of *response*, on which *images* were found, says that it is not there; else nothing."""
    if not isinstance(response, TextResponse) or not is_page(response):
        return ""
    return "gone" if says_gone(response.selector, response.url, images, response.encoding) else ""


def note_more(response: Response, images: Collection[str]) -> None:
    """Note where the page of a gallery, which shows *images* and leads on to no other, has a button for more."""
    if not isinstance(response, TextResponse) or not is_page(response) or not images:
        return

    def resolve(link: str) -> str | None:
        base, encoding = base_and_encoding(response)  # which few pages are asked for
        return absolute(base, link, encoding)

    if more_pressed(response.selector, response.text, images, resolve):
        leave_out("button")


def asked_address(reached: Request | Response) -> str:
    """The address that was asked for, whatever redirects have *reached*."""
    redirected: list[str] = reached.meta.get("redirect_urls") or [reached.url]
    return redirected[0]


def _check_declared(spider: type[GallerySpider]) -> None:
    """Raise `InputError` for a declaration of *spider* that nothing would read."""
    for base in _READ_BY.keys() - {each.__name__ for each in spider.__mro__}:
        for name in _READ_BY[base]:
            if getattr(spider, name, ""):
                raise InputError(f"{spider.__name__} declares {name}, which only {base} reads: derive it from that")
