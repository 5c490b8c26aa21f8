"""A site: where its list pages are, and what is known of earlier walks of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from imgcrawl.basespiders.base import BaseSpider
from imgcrawl.urls import host_of, rebase


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
