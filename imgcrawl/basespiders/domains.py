"""ROWS → SITES: the first pages of many domains, and, if asked for, what they link to."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from itertools import takewhile
from typing import Any, ClassVar
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.http import Response, TextResponse
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import addresses, failed_reason, is_page, request_of, text_of
from imgcrawl.basespiders.rows import RowsSpider
from imgcrawl.exceptions import InputError
from imgcrawl.items import Gallery, SitePage
from imgcrawl.pages import count_links, find_images
from imgcrawl.pages.outside import in_pieces, let_go, outside_loop, size_of
from imgcrawl.patterns import UserPattern
from imgcrawl.rows import RowsPage
from imgcrawl.settings import RETRY_EXCEPTIONS
from imgcrawl.urls import rebase
from imgcrawl.webrequest import WebRequest

_DOMAIN = re.compile(r"[^\s/?#@:\\]{1,253}(:[0-9]{1,5})?")


class DomainsSpider(RowsSpider):
    """Reads a list of domains, asks for the first page of each over http, and yields exactly one item for each.

    `columns` has a `domain`, and may have a `rank`, a number. An item has the address that was asked for, the
    final one, the status, the encoding, the title, the number of links and the images that can be found on the
    page; or an `error` that says why the page could not be had.

    Links that match `follow` are followed, up to `depth` links away, also to other sites; each gives an item of
    its own with a `parent`.
    """

    options: ClassVar[dict[str, str]] = {
        "limit": "stop after so many rows",
        "follow": "a regular expression: links whose address has a match are followed ($^ follows none)",
        "depth": "how many links away from a first page",
    }
    custom_settings = {  # noqa: RUF012 -- never changed
        "CONCURRENT_REQUESTS": 600,  # hosts that never answer keep none waiting: each has its own limit all the same
        # A host that has not answered will not: the time that costs is spent once.
        "RETRY_EXCEPTIONS": [name for name in RETRY_EXCEPTIONS if "Timeout" not in str(name)],
        "ROBOTSTXT_WAIT": 0,  # of many hosts some always answer 5xx; their outcome says so
        "SCRAPER_SLOT_MAX_ACTIVE_SIZE": 5_000_000,  # Scrapy's own: the pages here have bodies
        "VERDICT_IMAGES_EXPECTED": False,
    }
    limit: str | None = None
    follow: str = "$^"
    depth = "1"

    item_class = SitePage
    restored = frozenset({"download_slot", "Host"})
    columns: ClassVar[dict[str, int | str]] = {"domain": 0}

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.max_rows = self.at_least_one("limit")
        self.max_depth = self.at_least_one("depth") or 1
        try:
            self.followed = UserPattern(self.follow, "-a follow=", late=True)
        except re.error as error:
            raise InputError(f"-a follow={self.follow}: expected a regular expression ({error})") from error

    @property
    def pages_of_rows(self) -> Iterator[RowsPage]:
        return self.limited(super().pages_of_rows)

    def limited(self, pages: Iterator[RowsPage]) -> Iterator[RowsPage]:
        """*pages* up to `limit` rows, good or bad."""
        left = self.max_rows
        for page in pages:
            if left is None:
                yield page
                continue
            lines = sorted([row[0] for row in page.rows] + [row.line for row in page.bad])[:left]
            last = lines[-1]
            yield RowsPage(
                page.first,
                last,
                list(takewhile(lambda row: row[0] <= last, page.rows)),  # noqa: B023 -- used up in this turn
                [row for row in page.bad if row.line <= last],
            )
            left -= len(lines)
            if not left:
                return

    def read_row(self, place: str, row: Any) -> Request:
        domain = row["domain"].rstrip(".")
        if not _DOMAIN.fullmatch(domain):
            raise ValueError(f"no domain name: {domain[:80]!r}")
        rank = row.get("rank", "")
        if rank and not rank.isdecimal():
            raise ValueError(f"no rank: {rank[:80]!r}")
        about = {"url": f"http://{domain}/", "domain": domain} | ({"rank": int(rank)} if rank else {})
        return self.site_request(about, depth=0, task=place)

    def site_request(self, about: dict[str, Any], depth: int, **meta: Any) -> Request:
        url: str = about["url"]
        if self.base:
            meta |= {"page_url": None, "task": meta.get("task") or url}
        request = WebRequest(
            rebase(url, self.base) if self.base else url,
            callback=self.parse_site,
            errback=self.site_failed,
            cb_kwargs={"about": about, "depth": depth},
            meta={**meta, "referrer_policy": "no-referrer"},
        )
        if self.base:
            self.tell_apart(request, url)
        return request

    def fed_request(self, request: Request) -> Request:
        about = {"url": request.url, "domain": urlsplit(request.url).netloc}
        made = self.site_request(about, depth=0, task=request.url)
        return made.replace(meta={**request.meta, **made.meta})

    def received(self, request: Request) -> None:
        if self.base and request.callback == self.parse_site:
            self.tell_apart(request, request.cb_kwargs["about"]["url"])

    def tell_apart(self, request: Request, url: str) -> None:
        """A stand-in for all sites tells them apart by their names, and so do the limits."""
        name = urlsplit(url).netloc
        if not _DOMAIN.fullmatch(name) or not request.url.startswith(f"{self.base}/"):
            raise ValueError("no site that stands in for another")
        request.headers["Host"] = request.meta["download_slot"] = name

    async def parse_site(self, response: Response, about: dict[str, Any], depth: int) -> AsyncIterator[Any]:
        item = self.site(about, response)
        if not isinstance(response, TextResponse) or not is_page(response):
            yield self.failed(item, "not_a_page")
            return
        size = size_of(response.body)
        links = await outside_loop(size, self.read_site, item, response, depth < self.max_depth)
        await let_go(response)
        yield self.scraped(item)
        async for link in in_pieces(0, iter(links)):
            yield self.site_request({"url": link, "domain": about["domain"], "parent": about["url"]}, depth + 1)

    def read_site(self, item: Gallery, response: TextResponse, follows: bool) -> list[str]:
        """Add to *item* what its page *response* shows. The links on it that are to be followed, if any are."""
        item["encoding"] = response.encoding
        item["title"] = text_of(response, "//title")
        item["links"] = count_links(response.text, response.url)
        copies: dict[str, str] = {}
        item["image_urls"] = find_images(response.text, response.url, response.encoding, copies, authors := set[str]())
        if authors:
            self.author_pictures.append((response.url, authors))
        if copies:
            item["image_copies"] = copies
        item["image_pages"] = [response.url] * len(item["image_urls"])
        return [link for link in addresses(response, "//a/@href") if self.followed.is_in(link)] if follows else []

    def site_failed(self, failure: Failure) -> Iterator[Any]:
        request = request_of(failure)
        response = failure.value.response if isinstance(failure.value, HttpError) else None
        yield self.failed(self.site(request.cb_kwargs["about"], response), failed_reason(failure))

    def site(self, about: dict[str, Any], response: Response | None) -> Gallery:
        item = self.new_item(about["url"])
        item.update({name: about[name] for name in ("url", "domain", "rank", "parent") if name in about})
        if response is not None:
            item["final_url"] = response.url
            item["status"] = response.status
        return item
