"""LIST: how the list pages of a site are walked, whatever stands on them."""

from __future__ import annotations

import re
import zlib
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar, cast
from urllib.parse import quote, urlsplit

from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import BaseSpider, content_type, failed_reason, is_page, request_of
from imgcrawl.urls import host_of, rebase

# List pages in a row that cannot be had before the walk gives up: the site is down, not one page.
MAX_FAILED_LISTS = 3


class SiteSpider(BaseSpider):
    """A spider of one site, whose list pages have the address `list_url`, with `{page}` and any option in braces."""

    options: ClassVar[dict[str, str]] = {"pages": "stop after so many list pages"}
    pages: str | None = None

    list_url = ""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.max_pages = self.at_least_one("pages")
        self.site = host_of(self.list_url)

    def list_address(self, page: int, **more: Any) -> str:
        """The address of list page *page*, at `base` if one is given."""
        options = {option: quote(str(getattr(self, option, "")), safe="") for option in self.all_options()}
        return self.at_home(self.list_url.format(**options, **more, page=page))

    def list_place(self, url: str) -> tuple[int, str, str] | None:
        """Which list page *url* is: its number, and what stands before and behind that number. None if it is none.

        Any value of an option will do: the list pages of another topic are list pages, too.
        """
        pattern = re.escape(self.list_url.removeprefix(_origin(self.list_url)))
        pattern = re.sub(r"\\{(page|offset)\\}", "(?P<number>[0-9]{1,9})", pattern, count=1)
        pattern = re.sub(r"\\{(page|offset)\\}", "[0-9]{1,9}", pattern)
        pattern = re.sub(r"\\{\w+\\}", "[^/?#&]+", pattern)
        match = re.fullmatch(pattern, url.removeprefix(_origin(url)))
        if match is None or "number" not in match.groupdict():
            return None
        start, end = (len(_origin(url)) + place for place in match.span("number"))
        return int(match["number"]), url[:start], url[end:]

    def at_home(self, url: str) -> str:
        """*url* at `base`, if one is given and *url* is the site's own."""
        return rebase(url, self.base) if self.base and host_of(url) == self.site else url


class ListSpider(SiteSpider):
    """Walks list pages from `first_page` (1 unless the site counts otherwise) to the end of the list.

    The end is a page that answers 404 or 410, that has nothing on it, or that shows again what an earlier one
    did; or the page after `pages` pages. A first page that cannot be had or has nothing on it is the crawl's
    verdict. A later one that cannot be had is counted (`list/failed`) and passed over; three of them in a row
    end the walk.

    A kind of list says what is on a page: `found_on` and `read_list`.
    """

    first_page = 1

    @abstractmethod
    def found_on(self, response: Response) -> list[str]:
        """What is on a list page: addresses, by which one page is told from another."""

    @abstractmethod
    def read_list(self, response: Response, found: list[str]) -> Iterator[Any]:
        """The requests and items that a list page gives. *found* is what `found_on` has found, and not empty."""

    @abstractmethod
    def looked_for(self) -> str:
        """What `found_on` looks for, for the sentence that says that there is none."""

    async def start(self) -> AsyncIterator[Any]:
        yield self.list_request(self.first_page, [])

    def list_request(self, page: int, seen: list[list[int]], failed: int = 0, walk: list[str] | None = None) -> Request:
        """*walk*: what stands before and behind the number of a page, where the walk began at an address that was fed;
        empty, if that has no number."""
        more = {} if walk is None else {"walk": walk}
        return Request(
            f"{walk[0]}{page}{walk[1]}" if walk else self.list_address(page),
            callback=self.parse_list,
            errback=self.list_failed,
            cb_kwargs={"page": page, "seen": seen, "failed": failed, **more},
            # The end of a list is an answer, not an error; of the first page it is one.
            meta={"handle_httpstatus_list": [404, 410], "once_a_run": True} if seen else {},
        )

    def fed_list(self, request: Request) -> Request | None:
        """What is asked for when a list page is fed: that page, and those behind it. None if it is none."""
        url = self.at_home(request.url)
        place = self.list_place(url)
        if place is None:
            return None
        # Where it is missing there is no walk to go on with.
        return self.list_request(place[0], [], MAX_FAILED_LISTS - 1, [*place[1:]]).replace(meta=request.meta)

    def parse_list(
        self, response: Response, page: int, seen: list[list[int]], failed: int, walk: list[str] | None = None
    ) -> Iterator[Any]:
        if response.status in (404, 410):
            return
        if not is_page(response):
            yield from self.list_lost(cast("Request", response.request), f"no page but {content_type(response)}")
            return
        self.crawler.stats.inc_value("list/count")
        found = self.found_on(response)
        if not found:
            if page == self.first_page and walk is None:
                self.report(f"{response.url}: page one has {self.looked_for()}")
            elif walk is not None and not seen:
                self.crawler.stats.inc_value("list/failed")
                self.logger.error("%s was fed, and has %s", response.url, self.looked_for())
            return
        prints = sorted({zlib.crc32(address.encode("utf-8", "surrogatepass")) for address in found})
        if not any(set(prints) <= set(earlier) for earlier in seen):
            yield from self.read_list(response, found)
        if not is_repeated(prints, seen) and not self.is_last(page) and walk != []:
            # What a list repeats past its end is its first page, or its last.
            yield self.list_request(page + 1, [*seen[:1], prints], walk=walk)

    def list_failed(self, failure: Failure) -> Iterator[Any]:
        yield from self.list_lost(request_of(failure), failed_reason(failure))

    def list_lost(self, request: Request, reason: str) -> Iterator[Any]:
        page, seen, failed = (request.cb_kwargs[name] for name in ("page", "seen", "failed"))
        walk = request.cb_kwargs.get("walk")
        if page == self.first_page and walk is None:
            self.report(f"{request.url}: the start page could not be had ({reason})")
            return
        self.crawler.stats.inc_value("list/failed")
        self.logger.error("%s: list page %d could not be had (%s)", request.url, page, reason)
        if failed + 1 < MAX_FAILED_LISTS and not self.is_last(page):
            yield self.list_request(page + 1, seen, failed + 1, walk)

    def is_last(self, page: int) -> bool:
        return self.max_pages is not None and page - self.first_page + 1 >= self.max_pages


def _origin(url: str) -> str:
    """Scheme, host and port of *url*."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def is_repeated(prints: list[int], seen: list[list[int]]) -> bool:
    """Whether a list page with the fingerprints *prints* shows what one in *seen* did.

    More than half is enough for the first page: what is posted while the crawl runs moves a gallery or two.
    """
    if not seen:
        return False
    shared = len(set(prints) & set(seen[0]))
    return shared * 2 > len(prints) or set(prints) <= set(seen[-1])
