"""LIST: how the list pages of a site are walked, whatever stands on them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from functools import cached_property
from typing import Any, ClassVar, cast
from urllib.parse import quote

from scrapy import Request
from scrapy.downloadermiddlewares.retry import get_retry_request
from scrapy.http import Response
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import (
    BaseSpider,
    addresses,
    content_type,
    failed_reason,
    is_page,
    is_readable,
    request_of,
    select,
    text_of,
)
from imgcrawl.basespiders.fedlists import FedListsSpider
from imgcrawl.basespiders.walk import Walk
from imgcrawl.identity import Identity
from imgcrawl.pages.busy import says_busy
from imgcrawl.pages.outside import let_go, outside_loop
from imgcrawl.urls import absolute, host_of, rebase

NUMBER = "imgcrawlpagenumber"  # stands for a page's number where an address is made into a pattern
NEXT_LINKS = "//link[@rel='next']/@href | //a[contains(concat(' ', @rel, ' '), ' next ')]/@href"
LOGIN_FORM = "//form//input[@type='password']"


class SiteSpider(BaseSpider):
    """A spider of one site, whose list pages have the address `list_url`, with `{page}` and any option in braces."""

    options: ClassVar[dict[str, str]] = {"pages": "stop after so many list pages"}
    pages: str | None = None

    list_url = ""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.max_pages = self.at_least_one("pages")
        self.site = host_of(self.list_url)

    def list_address(self, page: int | str, **more: Any) -> str:
        """The address of list page *page*, at `base` if one is given."""
        options = {option: quote(str(getattr(self, option, "")), safe="") for option in self.all_options()}
        return self.at_home(self.list_url.format(**{**options, "page": page, "offset": 0, "token": "", **more}))

    def at_home(self, url: str) -> str:
        """*url* at `base`, if one is given and *url* is the site's own."""
        return rebase(url, self.base) if self.base and host_of(url) == self.site else url


class EarlierWalksSpider(SiteSpider):
    """What the walk of a list knows of earlier ones: nothing, unless a subclass says more."""

    first_page = 1

    def first_address(self) -> str:
        return self.list_address(self.first_page, offset=0, token="")

    async def walk_begins(self) -> bool:
        """Note that the walk begins. Whether it may end where all is known: the one before reached the list's end."""
        return False

    def walk_ends(self, *, whole: bool) -> None:
        """The walk is over; *whole*: it looked past no page."""

    async def known_on(self, found: Sequence[str]) -> Collection[str]:
        """Which of what was *found* on a list page an earlier crawl has brought home, where that may end the walk."""
        return ()


class ListSpider(EarlierWalksSpider, FedListsSpider):
    """Walks list pages from `first_page` (1 unless the site counts otherwise) to the end of the list.

    The address `list_url` has in it `{page}`; or `{offset}`, the number of entries before, counted by `page_size` or,
    where that is 0, by what the pages showed; or `{token}`, what `next_link` finds on the page before. Where it has
    none of them, `next_link` (XPath, CSS, or JMESPath for pages that are JSON) finds the address of the next page;
    without it that is the link that says `rel="next"`.

    The end is a page that answers 404 or 410, that has nothing on it, that shows only what the first page or the one
    before did, or that has no next one; or the page after `pages` pages. Some pages in a row that bring next to
    nothing new are the end, too. Where the site's own links name a later page, or a page without anything on it says
    that there were too many requests or links on, it is asked for again, and some more pages are looked at;
    what is missing then is the crawl's verdict. A first page that cannot be had or has nothing on it is the verdict.
    A later one that cannot be had is counted (`list/failed`) and passed over; three of them in a row end the walk.

    A kind of list says what is on a page: `found_on` and `read_list`.
    """

    page_size = 0
    next_link = ""
    most_known: int | None = None

    async def start(self) -> AsyncIterator[Any]:
        walk = Walk(may_stop=await self.walk_begins())
        yield self.list_request(self.first_address(), self.first_page, walk)

    def list_request(self, url: str, page: int, walk: Walk) -> Request:
        return Request(
            url,
            callback=self.parse_list,
            errback=self.list_failed,
            cb_kwargs={"page": page, "walk": walk.to_wire()},
            # The end of a list is an answer, not an error; of the first page it is one.
            meta={"task": "list"}
            | ({} if page == self.first_page else {"handle_httpstatus_list": [404, 410], "once_a_run": True}),
        )

    async def parse_list(self, response: Response, page: int, walk: dict[str, Any]) -> AsyncIterator[Any]:
        before = Walk.from_wire(walk)
        goes_on = False
        async for output in self.walk_on(response, page, before):
            goes_on = goes_on or (isinstance(output, Request) and output.meta.get("task") == "list")
            yield output
        if not goes_on:
            self.walk_ends(whole=not before.lacks and not before.failed)

    async def walk_on(self, response: Response, page: int, before: Walk) -> AsyncIterator[Any]:
        """What comes of list page *page*, and the request for the next one, unless the walk ends."""
        if response.status in (404, 410) or not is_readable(response):
            for request in self.without_page(response, page, before):
                yield request
            return
        self.crawler.stats.inc_value("list/count")
        found, named = await outside_loop(len(response.body), self.found_and_named, response)
        if not found:
            for request in self.without_any(response, page, before.without(named)):
                yield request
            return
        known = await self.known_on(found)
        step = before.after(map(self._identity.of, found), named, (address in known for address in found))
        if step.brings_new:
            async for output in self.read_list(response, found):
                yield output
        if self.is_last(page) or step.walk.ends_known(self.most_known):
            return
        if not step.goes_on(page):
            self.tell_end(response, page, step.walk)
            return
        for request in self.next_request(response, page, step.walk):
            yield request
        await let_go(response)

    def found_and_named(self, response: Response) -> tuple[list[str], int]:
        """What is on a list page, and the largest page number that it links to."""
        return self.found_on(response), self.last_named(response)

    # The end, and what only looks like it

    def without_page(self, response: Response, page: int, walk: Walk) -> Iterator[Any]:
        """An answer that is no list page: the end of the list, unless its own links name a later page, or an error."""
        if response.status not in (404, 410):
            yield from self.list_lost(cast("Request", response.request), f"no page but {content_type(response)}")
        elif page < walk.named:
            yield from self.list_lacks(response, page, walk, f"http_{response.status}", again=False)

    def without_any(self, response: Response, page: int, walk: Walk) -> Iterator[Any]:
        """A page with nothing on it: the end of the list, unless something says that it is not."""
        if is_page(response) and response.xpath(LOGIN_FORM):
            at = f"{response.url}: list page {page}"
            self.report(f"{at} is a form to log in: the session has ended, or COOKIES_FILE is missing")
            return
        busy = is_page(response) and says_busy(text_of(response, "//body"))
        links_on = bool(self.next_address(response, page, walk)) and not self.is_numbered()
        if busy or links_on or page < walk.named:
            yield from self.list_lacks(response, page, walk, "busy" if busy else "nothing", again=True)
        elif page == self.first_page:
            self.report(f"{response.url}: page one has {self.looked_for()}")

    def list_lacks(self, response: Response, page: int, walk: Walk, reason: str, *, again: bool) -> Iterator[Any]:
        """A page that should show something does not: *again* is tried, then the walk looks past it."""
        request = cast("Request", response.request)
        if again and (retry := get_retry_request(request, spider=self, reason=f"list_{reason}")):
            retry.meta["retry_wait"] = True
            yield retry
        elif page == self.first_page:
            self.report(f"{response.url}: page one has {self.looked_for()} ({reason})")
        else:
            self.crawler.stats.inc_value("list/failed")
            self.logger.warning("%.500s: list page %d shows nothing (%s)", response.url, page, reason)
            if walk.failed < walk.patience(page) and not self.is_last(page):
                yield from self.next_request(response, page, walk)
            else:
                self.tell_end(response, page, walk)

    def list_failed(self, failure: Failure) -> Iterator[Any]:
        yield from self.list_lost(request_of(failure), failed_reason(failure))

    def list_lost(self, request: Request, reason: str) -> Iterator[Any]:
        page, walk = request.cb_kwargs["page"], Walk.from_wire(request.cb_kwargs["walk"]).without()
        if page == self.first_page:
            self.report(f"{request.url}: the start page could not be had ({reason})")
            return
        self.crawler.stats.inc_value("list/failed")
        self.logger.error("%.500s: list page %d could not be had (%s)", request.url, page, reason)
        if not self.is_numbered():
            self.report(f"the walk ended at list page {page}, which could not be had ({reason}): {request.url}")
        elif walk.failed < walk.patience(page) and not self.is_last(page):
            yield self.list_request(self.numbered_address(page + 1, walk), page + 1, walk)
        else:
            self.tell_end(None, page, walk)

    def tell_end(self, response: Response | None, page: int, walk: Walk) -> None:
        """The walk ends at *page* for what its pages show, not because the list says so."""
        if page < walk.named:
            self.report(f"the walk ended at list page {page}, before the site's own last one, {walk.named}")
        elif walk.barren > 1 and response:
            self.logger.warning("%.500s: %d list pages brought next to nothing new: the end", response.url, walk.barren)

    def is_last(self, page: int) -> bool:
        return self.max_pages is not None and page - self.first_page + 1 >= self.max_pages

    @cached_property
    def _identity(self) -> Identity:
        return Identity.of_pages(self.crawler.settings)

    # The next page

    def next_request(self, response: Response, page: int, walk: Walk) -> Iterator[Request]:
        address = self.next_address(response, page, walk)
        if address:
            yield self.list_request(address, page + 1, walk)
        elif page == self.first_page and not self.next_link:
            self.logger.info(
                "%.500s: one list page was read: its address has no {page}, and it names no next", response.url
            )

    def next_address(self, response: Response, page: int, walk: Walk) -> str:
        """The address of the page after *page*; empty where there is none."""
        if self.is_numbered():
            return self.numbered_address(page + 1, walk)
        found = select(response, self.next_link) if self.next_link else []
        if "{token}" in self.list_url:
            token = next(filter(None, found), "")
            return self.list_address(page + 1, token=quote(token, safe=""), offset=walk.offset) if token else ""
        following = addresses(response, self.next_link or NEXT_LINKS) if is_readable(response) else []
        if not self.next_link:
            following += next_in_header(response)
        return next((self.at_home(address) for address in following if address != response.url), "")

    def numbered_address(self, page: int, walk: Walk) -> str:
        offset = (page - self.first_page) * self.page_size if self.page_size else walk.offset
        return self.list_address(page, offset=offset)

    def is_numbered(self) -> bool:
        """Whether the address of a list page follows from its number."""
        return "{page" in self.list_url or "{offset" in self.list_url

    def last_named(self, response: Response) -> int:
        """The largest page number in links of the site's own to list pages; 0 where there are none."""
        links = addresses(response, "//a/@href") if is_page(response) else []
        numbers = (self._number_in.fullmatch(self.at_home(link)) for link in links)
        return max((int(number[1]) for number in numbers if number and number.lastindex), default=0)

    def is_list_page(self, url: str) -> bool:
        """Whether *url* is, by its looks, that of a list page."""
        return self._number_in.fullmatch(url) is not None

    @cached_property
    def _number_in(self) -> re.Pattern[str]:
        """What finds the number in the address of a list page, which is empty where it has none."""
        parts = [re.escape(part) for part in self.list_address(NUMBER).split(NUMBER)]
        return re.compile("([0-9]{1,9})".join(parts[:2]) + "".join("[0-9]+" + part for part in parts[2:]) + "/?")


def next_in_header(response: Response) -> list[str]:
    """What the header `Link` (RFC 8288) names as the next page."""
    said = b",".join(response.headers.getlist("Link")).decode("utf-8", "replace")
    found = re.findall(r"<([^<>]{1,2000})>[^,<]{0,200}?;\s*rel\s*=\s*[\"']?(?:[^\"',;]*\s)?next\b", said, re.IGNORECASE)
    return [address for link in found if (address := absolute(response.url, link))]
