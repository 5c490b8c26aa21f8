"""A site: where its list pages are, and what is known of earlier walks of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any, ClassVar
from urllib.parse import quote

from scrapy.http import Response

from imgcrawl.basespiders.base import BaseSpider, addresses, is_page
from imgcrawl.basespiders.following import last_stated
from imgcrawl.basespiders.walk import Walk
from imgcrawl.exceptions import InputError
from imgcrawl.pages.pagerforms import Posted
from imgcrawl.pages.pagination import LINKS
from imgcrawl.urls import host_of, rebase, without_query

NUMBER = "imgcrawlpagenumber"  # stands for a page's number where an address is made into a pattern


class SiteSpider(BaseSpider):
    """A spider of one site, whose list pages have the address `list_url`, with `{page}` and any option in braces. Where
    they are asked for by POST, `list_post` is what is sent, a form's or JSON, with `{page}`, `{offset}`, `{token}`."""

    options: ClassVar[dict[str, str]] = {"pages": "stop after so many list pages"}
    pages: str | None = None

    list_url = ""
    list_post = ""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.max_pages = self.at_least_one("pages")
        self.site = host_of(self.list_url)

    def list_address(self, page: int | str, **more: Any) -> str:
        """The address of list page *page*, at `base` if one is given."""
        options = {option: quote(str(getattr(self, option, "")), safe="") for option in self.all_options()}
        numbers = {"page": page, "offset": 0, "token": "", **more}
        address = self.at_home(self.list_url.format(**{**options, **numbers}))
        if not self.list_post:
            return address
        return Posted(address, re.sub(r"\{(page|offset|token)\}", lambda name: str(numbers[name[1]]), self.list_post))

    def at_home(self, url: str) -> str:
        """*url* at `base`, if one is given and *url* is the site's own."""
        return rebase(url, self.base) if self.base and host_of(url) == self.site else url


class ListAddressesSpider(SiteSpider):
    """Knows the addresses of a site's list pages, and their numbers in them."""

    first_page = 1
    page_size = 0

    def numbered_address(self, page: int, walk: Walk) -> str:
        offset = (page - self.first_page) * self.page_size if self.page_size else walk.offset
        return self.list_address(page, offset=offset)

    def is_numbered(self) -> bool:
        """Whether the address of a list page follows from its number."""
        return any(number in each for number in ("{page", "{offset") for each in (self.list_url, self.list_post))

    def last_named(self, response: Response, page: int, offset: int, count: int) -> int:
        """The largest number of a list page in links of the site's own, or as JSON states it; 0 where there are none.
        Where links have offsets, and it was not said how many entries a page has, it is taken to have *count*, as this
        one."""
        if not is_page(response):
            return last_stated(response, page, self.first_page)
        links = addresses(response, LINKS)
        matches = (self._number_in.fullmatch(self.at_home(link)) for link in links)
        numbers = {int(number[1]) for number in matches if number and number.lastindex}
        if "{page" in self.list_url or not numbers:
            return max(numbers, default=0)
        if self.page_size:
            return self.first_page + max(numbers) // self.page_size
        behind = max(max(numbers) - offset, 0)
        return page + -(-behind // (count or behind)) if behind else 0

    def is_list_page(self, url: str) -> bool:
        """Whether *url* is, by its looks, that of a list page."""
        return self._number_in.fullmatch(url) is not None

    def forget_addresses(self) -> None:
        """Forget what followed from an earlier `list_url`."""
        for known in ("list_path", "_number_in"):
            self.__dict__.pop(known, None)

    @cached_property
    def list_path(self) -> str:
        """The address of the list without the number of a page, and without a query and a slash at its end."""
        return without_query(self.list_address(NUMBER, offset=NUMBER).partition(NUMBER)[0]).rstrip("/")

    @cached_property
    def _number_in(self) -> re.Pattern[str]:
        """What finds the number in the address of a list page, which is empty where it has none."""
        parts = [re.escape(part) for part in self.list_address(NUMBER, offset=NUMBER).split(NUMBER)]
        return re.compile("([0-9]{1,9})".join(parts[:2]) + "".join("[0-9]+" + part for part in parts[2:]) + "/?")


class EarlierWalksSpider(ListAddressesSpider):
    """What the walk of a list knows of earlier ones: nothing, unless a subclass says more."""

    def first_address(self) -> str:
        if not self.list_url:
            raise InputError(f"{type(self).__name__} declares no list_url; expected the address of a list page")
        return self.list_address(self.first_page, offset=0, token="")

    async def walk_begins(self) -> bool:
        """Note that the walk begins. Whether it may end where all is known: the one before reached the list's end."""
        return False

    def walk_ends(self, *, whole: bool) -> None:
        """The walk is over; *whole*: it looked past no page."""

    async def known_on(self, found: Sequence[str]) -> Collection[str]:
        """Which of what was *found* on a list page an earlier crawl has brought home, where that may end the walk."""
        return ()
