"""LIST → ITEMS: lists of known length whose entries tell something and show one image."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, cast

from parsel import Selector
from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import (
    base_and_encoding,
    content_type,
    failed_reason,
    is_page,
    nodes,
    request_of,
    select,
    text_of,
    words_of,
)
from imgcrawl.basespiders.losses import lost_list, was_stopped
from imgcrawl.basespiders.sites import SiteSpider
from imgcrawl.exceptions import RequestRefused
from imgcrawl.items import Entry, Gallery
from imgcrawl.pages.outside import in_pieces, size_of
from imgcrawl.urls import absolute
from imgcrawl.webrequest import WebRequest


class EntriesSpider(SiteSpider):
    """Asks for the list pages of a site, all at once, and yields an item for each entry on them.

    A site declares:

    - `list_url`: the address of a list page, with `{page}` from 1, or `{offset}`, the entries before it;
    - `list_pages` and `per_page`: how many list pages there are, and how many entries on each;
    - `entries`: XPath or CSS of the entries on a list page;
    - `entry_link` and `entry_image`: XPath or CSS, within an entry, of its own address and of its image;
    - `texts`, `numbers` and `lists`: the item's fields, each with its XPath or CSS within an entry. Of a list,
      what a slash parts is several;

    and may override `image_url`, which makes the address on the page into that of the original. A field that
    an entry lacks is missing from the item. A list page that cannot be had, or has no entries, is counted
    (`list/failed`), and is the crawl's verdict where it is the first.
    """

    item_class = Entry

    list_pages = 1
    per_page = 0
    entries = ""
    entry_link = ""
    entry_image = ""
    texts: dict[str, str] = {}  # noqa: RUF012 -- a fact, never changed
    numbers: dict[str, str] = {}  # noqa: RUF012 -- a fact, never changed
    lists: dict[str, str] = {}  # noqa: RUF012 -- a fact, never changed

    def image_url(self, url: str) -> str:
        """The address of the original, given the one on the page."""
        return url

    async def start(self) -> AsyncIterator[Any]:
        for page in range(1, min(self.list_pages, self.max_pages or self.list_pages) + 1):
            numbers = range((page - 1) * self.per_page + 1, page * self.per_page + 1)
            if numbers and not any(number in self.galleries_range for number in numbers):
                continue
            yield self.list_request(self.list_address(page, offset=(page - 1) * self.per_page), page)

    def list_request(self, url: str, page: int) -> Request:
        return WebRequest(url, callback=self.parse_list, errback=self.list_failed, cb_kwargs={"page": page})

    def fed_request(self, request: Request) -> Request:
        # Only the first page that start() names is the crawl's verdict.
        return self.list_request(self.at_home(request.url), page=0).replace(meta=request.meta)

    async def parse_list(self, response: Response, page: int) -> AsyncIterator[Any]:
        if not is_page(response):
            self.list_lost(cast("Request", response.request), f"no page but {content_type(response)}")
            return
        entries = enumerate(nodes(response, self.entries), start=1)
        before = (page - 1) * self.per_page if page else 0  # one that is fed stands for itself
        items = (
            self.read_entry(response, entry, number) if before + number in self.galleries_range else None
            for number, entry in entries
        )
        found = False
        try:
            async for item in in_pieces(size_of(response.body), items):
                if not found:
                    found = True
                    self.crawler.stats.inc_value("list/count")
                if item:
                    yield self.scraped(item)
        except RequestRefused as refusal:
            self.list_lost(cast("Request", response.request), str(refusal))
            return
        if not found:
            self.list_lost(cast("Request", response.request), f"no entries; nothing matches {self.entries!r}")

    def list_failed(self, failure: Failure) -> None:
        if not was_stopped(failure):
            self.list_lost(request_of(failure), failed_reason(failure))

    def list_lost(self, request: Request, reason: str) -> None:
        sentence = f"{request.url}: the list page could not be had ({reason})"
        is_first = request.cb_kwargs["page"] == 1
        lost_list(self, request.url, reason, "" if is_first else sentence)
        if is_first:
            self.report(sentence)

    def read_entry(self, response: Response, entry: Selector, number: int) -> Gallery:
        base, encoding = base_and_encoding(response)
        link = text_of(entry, self.entry_link)
        # An entry without an address of its own is still known by where it stands.
        item = self.new_item((link and absolute(base, link, encoding)) or f"{response.url}#{number}")
        for field, query in self.texts.items():
            if text := words_of(entry, query):
                item[field] = text
        for field, query in self.numbers.items():
            if (value := number_in(words_of(entry, query))) is not None:
                item[field] = value
        for field, query in self.lists.items():
            parts = (part for text in select(entry, query) for part in re.split(r"(?:^|\s)/(?=\s|$)", text))
            item[field] = [part for part in (" ".join(part.split()) for part in parts) if part]
        if (image := text_of(entry, self.entry_image)) and (address := absolute(base, image, encoding)):
            item["image_urls"] = [self.image_url(address)]
            item["image_pages"] = [response.url]
        return item


def number_in(text: str) -> int | float | None:
    """The first number in *text*, as `9.7` and `1,641,722` stand in it; None where there is none."""
    match = re.search(r"[0-9]{1,15}(?:,[0-9]{3}){0,5}(\.[0-9]{1,15})?", text)
    if match is None:
        return None
    digits = match[0].replace(",", "")
    return float(digits) if match[1] else int(digits)
