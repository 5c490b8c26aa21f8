"""LIST: a list page whose address was fed from outside."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.http import Response
from twisted.python.failure import Failure

from imgcrawl.basespiders.base import BaseSpider, failed_reason, is_readable, request_of
from imgcrawl.basespiders.losses import lost_list, was_stopped
from imgcrawl.exceptions import RequestRefused
from imgcrawl.pages.outside import outside_loop, size_of
from imgcrawl.webrequest import WebRequest


class FedListsSpider(BaseSpider):
    """Reads list pages that are fed (`<spider>:start_urls`): each by itself, not those behind it.

    One that cannot be had or has nothing on it is counted (`list/failed`). A kind of list says what is on a page:
    `found_on` and `read_list`.
    """

    list_url = ""

    @abstractmethod
    def found_on(self, response: Response) -> list[str]:
        """What is on a list page: addresses, by which one page is told from another."""

    @abstractmethod
    def read_list(self, response: Response, found: list[str]) -> AsyncIterator[Any]:
        """The requests and items that a list page gives. *found* is what `found_on` has found, and not empty."""

    @abstractmethod
    def looked_for(self) -> str:
        """What `found_on` looks for, for the sentence that says that there is none."""

    @abstractmethod
    def at_home(self, url: str) -> str:
        """*url* at `base`, if one is given and *url* is the site's own."""

    def is_any_list_page(self, url: str) -> bool:
        """Whether *url* is, by its looks, that of a list page, whatever value an option has in it."""
        if not self.list_url:
            return False
        pattern = re.escape(urlsplit(self.list_url)._replace(scheme="", netloc="").geturl())
        pattern = re.sub(r"\\{(page|offset)[^{}]*\\}", "[0-9]+", pattern)
        pattern = re.sub(r"\\{[^{}]*\\}", "[^/?#&]+", pattern)
        path = urlsplit(url)._replace(scheme="", netloc="").geturl()
        return re.fullmatch(f"{pattern}/?", path) is not None

    def fed_list(self, request: Request) -> Request:
        """What is asked for when a list page is fed: that page, not those behind it."""
        made = WebRequest(self.at_home(request.url), callback=self.parse_fed_list, errback=self.fed_list_failed)
        return made.replace(meta={**request.meta, "task": "list"})

    async def parse_fed_list(self, response: Response) -> AsyncIterator[Any]:
        try:
            found = await outside_loop(size_of(response.body), self.found_on, response) if is_readable(response) else []
        except RequestRefused as refusal:
            self.fed_list_lost(response.url, str(refusal))
            return
        if found:
            self.crawler.stats.inc_value("list/count")
            async for output in self.read_list(response, found):
                yield output
        else:
            self.fed_list_lost(response.url, self.looked_for())

    def fed_list_failed(self, failure: Failure) -> None:
        if not was_stopped(failure):
            self.fed_list_lost(request_of(failure).url, failed_reason(failure))

    def fed_list_lost(self, url: str, reason: str) -> None:
        lost_list(self, url, reason, f"{url} was fed, and could not be read as a list page: {reason}")
